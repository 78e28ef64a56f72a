//! Addresses and URIs: what each form means, and what each mistake is told.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use milvus_transport::{Endpoint, Host, ParsedUri, Target, parse_address, parse_uri};
use proptest::prelude::*;
use secrecy::{ExposeSecret, SecretString};

fn named(host: &str, port: u16) -> Endpoint {
    Endpoint {
        host: Host::Name(host.to_owned()),
        port,
    }
}

fn tcp(host: &str, port: u16, secure: bool) -> Target {
    Target::endpoint(named(host, port), secure)
}

fn target(uri: &str) -> Target {
    parse_uri(uri).unwrap_or_else(|e| panic!("{e}")).target
}

fn password(parsed: &ParsedUri) -> Option<&str> {
    parsed.password.as_ref().map(ExposeSecret::expose_secret)
}

#[test]
fn schemes_give_security_and_default_port() {
    for scheme in ["http", "tcp", "grpc", "HTTP"] {
        assert_eq!(
            target(&format!("{scheme}://milvus")),
            tcp("milvus", 19530, false)
        );
    }
    for scheme in ["https", "grpcs", "Https"] {
        assert_eq!(
            target(&format!("{scheme}://milvus")),
            tcp("milvus", 443, true)
        );
    }
    assert_eq!(target("https://milvus:19530/"), tcp("milvus", 19530, true));
    assert_eq!(target(" http://milvus:\n"), tcp("milvus", 19530, false));
    assert_eq!(
        target("http://Milvus.Example:0"),
        tcp("milvus.example", 0, false)
    );
}

#[test]
fn several_endpoints() {
    let parsed = parse_uri("http://root:pw@a:1,b,[::1]:3/books").unwrap();
    assert_eq!(parsed.target.address(), "a:1,b:19530,[::1]:3");
    assert_eq!(parsed.user.as_deref(), Some("root"));
    assert_eq!(parsed.database.as_deref(), Some("books"));
    assert!(parse_uri("http://a,").is_err());
}

#[test]
fn user_information_is_decoded() {
    let parsed = parse_uri("http://us%40er:p%3Aa%2Fs%20s@h/d%C3%BC").unwrap();
    assert_eq!(parsed.user.as_deref(), Some("us@er"));
    assert_eq!(password(&parsed), Some("p:a/s s"));
    assert_eq!(parsed.database.as_deref(), Some("dü"));
    // As in Python's urllib: the last '@' counts, and a password may hold a colon.
    let parsed = parse_uri("http://user:p@s:s@h").unwrap();
    assert_eq!(
        (parsed.user.as_deref(), password(&parsed)),
        (Some("user"), Some("p@s:s"))
    );
    let parsed = parse_uri("http://user@h").unwrap();
    assert_eq!(
        (parsed.user.as_deref(), password(&parsed)),
        (Some("user"), None)
    );
    let parsed = parse_uri("http://:@h").unwrap();
    assert_eq!(
        (parsed.user.as_deref(), password(&parsed)),
        (None, Some(""))
    );
}

#[test]
fn local_targets() {
    assert_eq!(
        target("unix:/run/m.sock"),
        Target::Unix {
            path: "/run/m.sock".into()
        }
    );
    assert_eq!(target("unix:///run/m.sock"), target("unix:/run/m.sock"));
    assert_eq!(
        target("unix:m.sock"),
        Target::Unix {
            path: "m.sock".into()
        }
    );
    assert_eq!(
        target("./my data/demo.db"),
        Target::Embedded {
            path: "./my data/demo.db".into()
        }
    );
    assert_eq!(
        target("C:\\data\\demo.db"),
        Target::Embedded {
            path: "C:\\data\\demo.db".into()
        }
    );
    assert_eq!(
        target("file:///data/my%20demo.db"),
        Target::Embedded {
            path: "/data/my demo.db".into()
        }
    );
    assert_eq!(
        target("memory:"),
        Target::Memory {
            name: String::new()
        }
    );
    assert_eq!(
        target("memory:notes"),
        Target::Memory {
            name: "notes".into()
        }
    );
    assert_eq!(target("memory:notes").address(), "memory:notes");
    assert_eq!(target("file:memory:.db").to_string(), "file:memory:.db");
}

#[test]
fn addresses() {
    assert_eq!(
        parse_address("localhost:19530"),
        Ok(named("localhost", 19530))
    );
    assert_eq!(
        parse_address("[::1]:19530").unwrap().to_string(),
        "[::1]:19530"
    );
    assert!(matches!(
        parse_address("127.0.0.1:1").unwrap().host,
        Host::V4(_)
    ));
    assert_eq!(Endpoint::from_parts("::1", "1"), parse_address("[::1]:1"));
    assert_eq!(
        Endpoint::from_parts("localhost", "0"),
        Ok(named("localhost", 0))
    );
}

#[test]
fn mistakes_in_addresses_are_told() {
    let told = |address: &str| parse_address(address).unwrap_err().to_string();
    insta::assert_snapshot!(
        [
            "localhost",
            "localhost:",
            ":19530",
            "localhost:x",
            "localhost:65535",
            "localhost:-1",
            "::1:19530",
            "[::1",
            "[::1]19530",
            "[fe80::1%eth0]:1",
            "a b:1",
            "münchen:1",
            "http://localhost:19530",
            "a:1,b:1",
            "root:hidden@localhost:19530",
        ]
        .map(told)
        .join("\n")
    );
    let told = |host: &str, port: &str| Endpoint::from_parts(host, port).unwrap_err().to_string();
    insta::assert_snapshot!(
        [
            told("", "19530"),
            told("localhost", "p"),
            told("localhost", "70000")
        ]
        .join("\n")
    );
}

#[test]
fn mistakes_in_uris_are_told() {
    let told = |uri: &str| parse_uri(uri).unwrap_err().to_string();
    insta::assert_snapshot!(
        [
            "",
            "localhost:19530",
            "ftp://localhost",
            "demo.sqlite",
            "http:localhost",
            "http://",
            "http://root@",
            "http://h:65535",
            "http://h:port",
            "http://h/a/b",
            "http://h?timeout=5",
            "http://h/a#b",
            "http://root:hid/den@h",
            "http://root:hid%zzden@h",
            "http://root:%ff@h",
            "ftp://root:hidden@h",
            "hidden://secret@h",
            "unix:",
            "unix://host/x.sock",
            "file://host/x.db",
            "file:x.sqlite",
            "memory:a b",
        ]
        .map(told)
        .join("\n")
    );
}

fn host() -> impl Strategy<Value = Host> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|octets| Host::V4(octets.into())),
        any::<[u16; 8]>().prop_map(|groups| Host::V6(groups.into())),
        "[a-z]([a-z0-9_-]{0,8})(\\.[a-z0-9-]{1,6}){0,2}".prop_map(Host::Name),
    ]
}

fn network_target() -> impl Strategy<Value = Target> {
    let endpoint = (host(), 0..u16::MAX).prop_map(|(host, port)| Endpoint { host, port });
    (prop::collection::vec(endpoint, 1..4), any::<bool>())
        .prop_map(|(endpoints, secure)| Target::Tcp { endpoints, secure })
}

fn local_target() -> impl Strategy<Value = Target> {
    let path = "[^\0]{0,12}";
    prop_oneof![
        path.prop_map(|p| Target::Embedded {
            path: format!("/{p}.db").into()
        }),
        "(http://|memory:|\\PC{1,8})".prop_map(|p| Target::Embedded {
            path: format!("{p}.db").into()
        }),
        "[a-zA-Z0-9._-]{0,8}".prop_map(|name| Target::Memory { name }),
        "(/[a-z @%]{0,6}[a-z]){1,3}".prop_map(|path| Target::Unix { path: path.into() }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_target_displays_parses_back(target in prop_oneof![network_target(), local_target()]) {
        prop_assert_eq!(parse_uri(&target.to_string()).map(|p| p.target), Ok(target));
    }

    #[test]
    fn what_a_uri_says_can_be_written_and_read_again(
        target in network_target(),
        user in prop::option::of(".{1,12}"),
        password in prop::option::of(".{0,12}"),
        database in prop::option::of(".{1,12}"),
    ) {
        let mut uri = ParsedUri::of_target(target.clone());
        uri.user = user.clone();
        uri.password = password.clone().map(SecretString::from);
        uri.database = database.clone();
        let again = parse_uri(uri.to_uri().expose_secret()).unwrap();
        prop_assert_eq!(&again.target, &target);
        prop_assert_eq!(&again.user, &user);
        prop_assert_eq!(self::password(&again), password.as_deref());
        prop_assert_eq!(&again.database, &database);
    }
}
