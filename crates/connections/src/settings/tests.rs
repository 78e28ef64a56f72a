//! Which value wins, and what is refused.

use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::*;

const PROFILE: fn() -> Origin = || Origin::Profile {
    path: std::path::Path::new("p.toml").into(),
};

fn layer(params: ConnectionParams, origin: Origin) -> Settings {
    Settings::of("dev", &params, &origin).unwrap()
}

fn argument(params: ConnectionParams) -> Settings {
    layer(params, Origin::Argument)
}

fn entry(params: ConnectionParams) -> Settings {
    layer(params, Origin::Entry)
}

fn config(settings: &Settings) -> ConnectionConfig {
    settings
        .config("dev", settings.complete_target().unwrap())
        .unwrap()
}

fn credentials(config: &ConnectionConfig) -> String {
    match &config.credentials {
        CredentialSource::Fixed(Credentials::Anonymous) => "anonymous".to_owned(),
        CredentialSource::Fixed(Credentials::Password { user, password }) => {
            format!("{user}:{}", password.expose_secret())
        }
        CredentialSource::Fixed(Credentials::Token(token)) => {
            format!("token {}", token.expose_secret())
        }
        other => format!("{other:?}"),
    }
}

fn refused(params: ConnectionParams) -> String {
    match Settings::of("dev", &params, &Origin::Entry) {
        Err(error) => error.to_string(),
        Ok(settings) => settings
            .config("dev", settings.complete_target().unwrap())
            .unwrap_err()
            .to_string(),
    }
}

#[test]
fn address_before_addresses_before_uri_before_host_and_port() {
    let all = |params: ConnectionParams| config(&entry(params)).target.address();
    let host = ConnectionParams::host("h").port(4);
    assert_eq!(all(host.clone()), "h:4");
    let uri = host.with(Field::Uri, FieldValue::Secret("http://u:3".into()));
    assert_eq!(all(uri.clone()), "u:3");
    let addresses = uri.with(
        Field::Addresses,
        FieldValue::Texts(vec!["m:2".into(), "n:2".into()]),
    );
    assert_eq!(all(addresses.clone()), "m:2,n:2");
    let address = addresses.with(Field::Address, FieldValue::Text("a:1".into()));
    assert_eq!(all(address.clone()), "a:1");
    let unused = entry(address).unused;
    let fields: Vec<_> = unused
        .iter()
        .filter_map(|unused| unused.source.field)
        .collect();
    assert_eq!(
        fields,
        [Field::Addresses, Field::Uri, Field::Host, Field::Port]
    );
}

#[test]
fn a_missing_host_or_port_is_the_default_one() {
    assert_eq!(
        config(&entry(ConnectionParams::host("h"))).target.address(),
        "h:19530"
    );
    assert_eq!(
        config(&entry(ConnectionParams::new().port("1")))
            .target
            .address(),
        "localhost:1"
    );
    let nothing = entry(ConnectionParams::new()).over(Settings::default_target());
    assert_eq!(config(&nothing).target.address(), "localhost:19530");
}

#[test]
fn arguments_win_over_the_user_information_of_the_uri() {
    let uri = || ConnectionParams::uri("https://root:p%40@h/books");
    assert_eq!(credentials(&config(&entry(uri()))), "root:p@");
    assert_eq!(
        credentials(&config(&entry(uri().password("new")))),
        "root:new"
    );
    assert_eq!(credentials(&config(&entry(uri().user("me")))), "me:p@");
    assert_eq!(
        credentials(&config(&entry(uri().token("key")))),
        "token key"
    );
    assert_eq!(config(&entry(uri())).database, "books");
    assert_eq!(config(&entry(uri().db_name("own"))).database, "own");
    assert!(config(&entry(uri())).target.secure());
}

#[test]
fn layers_merge_value_by_value() {
    let merged = argument(ConnectionParams::new().timeout(Duration::from_secs(1)))
        .over(entry(
            ConnectionParams::uri("https://h")
                .timeout(Duration::from_secs(2))
                .max_channels(7),
        ))
        .over(layer(
            ConnectionParams::new().token("key").max_channels(8),
            PROFILE(),
        ));
    let config = config(&merged);
    assert_eq!(config.target.to_string(), "https://h:443");
    assert_eq!(config.options.connect_timeout, Duration::from_secs(1));
    assert_eq!(config.options.max_channels, 7);
    assert_eq!(credentials(&config), "token key");
}

#[test]
fn a_layer_about_another_milvus_does_not_apply() {
    let merged = argument(ConnectionParams::address("new:1")).over(entry(
        ConnectionParams::address("old:1")
            .token("old")
            .db_name("old"),
    ));
    assert_eq!(credentials(&config(&merged)), "anonymous");
    assert_eq!(config(&merged).database, "");
    let told: Vec<_> = merged
        .unused
        .iter()
        .map(|u| format!("{}: {}", u.source, u.reason))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    entry, `address`: it is about old:1, not new:1
    entry, `token`: it is about old:1, not new:1
    entry, `db_name`: it is about old:1, not new:1
    ");
}

#[test]
fn the_same_address_keeps_what_is_known_about_it() {
    let merged = argument(ConnectionParams::address("h:443"))
        .over(entry(ConnectionParams::uri("https://root:pw@h/books")));
    let config = config(&merged);
    assert!(config.target.secure());
    assert_eq!(credentials(&config), "root:pw");
    assert_eq!(config.database, "books");
}

#[test]
fn a_password_goes_with_the_user_that_it_was_given_for() {
    let weaker = || {
        entry(
            ConnectionParams::address("h:1")
                .user("root")
                .password("old"),
        )
    };
    let over = |params| credentials(&config(&argument(params).over(weaker())));
    assert_eq!(over(ConnectionParams::new().password("new")), "root:new");
    assert_eq!(over(ConnectionParams::new().user("root")), "root:old");
    assert_eq!(over(ConnectionParams::new().user("other")), "other:");
    assert_eq!(over(ConnectionParams::new().token("key")), "token key");
    let key = entry(ConnectionParams::address("h:1").token("key"));
    let merged = argument(ConnectionParams::new().user("other")).over(key);
    assert_eq!(credentials(&config(&merged)), "other:");
}

#[test]
fn secrets_by_reference_stay_references() {
    let source = |params: ConnectionParams| format!("{:?}", config(&entry(params)).credentials);
    let host = || ConnectionParams::host("h");
    insta::assert_snapshot!(source(host().token_env("KEY")), @r#"Environment { user: None, variable: "KEY" }"#);
    insta::assert_snapshot!(source(host().user("u").password_file("f")), @r#"File { user: Some("u"), path: "f" }"#);
    insta::assert_snapshot!(source(host().user("u").token_command("c")), @r#"Command { user: None, command: "c" }"#);
}

#[test]
fn contradictions_are_refused() {
    let host = || ConnectionParams::host("h");
    let refusals = [
        ConnectionParams::address("localhost"),
        ConnectionParams::uri("ftp://u:hidden@h"),
        ConnectionParams::addresses(["a:1", "b"]),
        host().port(65535),
        host().password("hidden"),
        host().user("u").password("hidden").password_env("P"),
        host().token("hidden").token_file("t"),
        ConnectionParams::uri("https://h").secure(false),
        ConnectionParams::uri("memory:").secure(true),
        host().ca_pem_path("ca.pem"),
        host().timeout(Duration::ZERO),
        host().max_channels(0),
        host().min_channels(5),
    ];
    let told: Vec<_> = refusals.into_iter().map(refused).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn plain_scheme_and_secure_flag_agree_on_tls() {
    assert!(
        config(&entry(ConnectionParams::uri("http://h").secure(true)))
            .target
            .secure()
    );
    assert!(
        config(&entry(ConnectionParams::address("h:1").secure(true)))
            .target
            .secure()
    );
    let plain_again = argument(ConnectionParams::uri("http://h:1"))
        .over(entry(ConnectionParams::uri("https://h:1")));
    assert!(!config(&plain_again).target.secure());
}
