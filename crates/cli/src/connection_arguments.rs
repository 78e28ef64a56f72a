//! The arguments that describe a connection: credentials by reference, TLS, database, options.
//!
//! Invariant: what is accepted here ends in the vocabulary of [`Field`], so the command line, the profile file and the
//! library say the same things by the same names.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use milvus_connections::transport::parse_uri;
use milvus_connections::{ConnectionParams, Field, FieldKind, FieldValue};

use crate::console::Console;
use crate::failure::Failure;
use crate::secret::{self, SecretKind};

/// How to connect, apart from the address.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct ConnectionArguments {
    /// The user; the password is then asked for, unless one of the options below says where it is
    #[arg(long, value_name = "NAME", help_heading = "Credentials")]
    user: Option<String>,
    /// Ask for the secret: the password of --user, or else a token
    #[arg(long, help_heading = "Credentials", conflicts_with = "stdin")]
    prompt: bool,
    /// Read the secret from the first line of standard input
    #[arg(long, help_heading = "Credentials")]
    stdin: bool,
    /// The environment variable that holds the password
    #[arg(long, value_name = "VARIABLE", help_heading = "Credentials")]
    password_env: Option<String>,
    /// The file that holds the password
    #[arg(long, value_name = "FILE", help_heading = "Credentials")]
    password_file: Option<PathBuf>,
    /// The command that prints the password (run by `sh -c`)
    #[arg(long, value_name = "COMMAND", help_heading = "Credentials")]
    password_command: Option<String>,
    /// The environment variable that holds the token: an API key, or user:password
    #[arg(long, value_name = "VARIABLE", help_heading = "Credentials")]
    token_env: Option<String>,
    /// The file that holds the token
    #[arg(long, value_name = "FILE", help_heading = "Credentials")]
    token_file: Option<PathBuf>,
    /// The command that prints the token (run by `sh -c`)
    #[arg(long, value_name = "COMMAND", help_heading = "Credentials")]
    token_command: Option<String>,
    /// There to be refused: see [`crate::secret`].
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "", allow_hyphen_values = true)]
    password: Option<Refused>,
    /// There to be refused.
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "", allow_hyphen_values = true)]
    token: Option<Refused>,

    /// The database
    #[arg(
        long,
        visible_alias = "db",
        value_name = "NAME",
        help_heading = "Connection"
    )]
    database: Option<String>,
    /// Encrypt with TLS; an https:// URI does so by itself
    #[arg(long, help_heading = "Connection")]
    tls: bool,
    /// PEM file of the certificate authorities to trust instead of the system's
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    ca: Option<PathBuf>,
    /// PEM file of the client's certificate, for mutual TLS
    #[arg(
        long,
        value_name = "FILE",
        requires = "client_key",
        help_heading = "Connection"
    )]
    client_certificate: Option<PathBuf>,
    /// PEM file of the client's private key, for mutual TLS
    #[arg(
        long,
        value_name = "FILE",
        requires = "client_certificate",
        help_heading = "Connection"
    )]
    client_key: Option<PathBuf>,
    /// PEM file of the server's own certificate, to be trusted as it is
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    server_certificate: Option<PathBuf>,
    /// The name that the server's certificate must be valid for [default: the host]
    #[arg(long, value_name = "NAME", help_heading = "Connection")]
    server_name: Option<String>,
    /// Seconds that a connect may take [default: 10]
    #[arg(long, value_name = "SECONDS", help_heading = "Connection")]
    timeout: Option<f64>,
    /// Any other field of the profile file, such as max_channels=8; may be given several times
    #[arg(long = "set", value_name = "FIELD=VALUE", help_heading = "Connection")]
    settings: Vec<String>,
}

/// A value that must not be kept, since it may be a secret.
#[derive(Clone, Debug)]
struct Refused;

impl From<&str> for Refused {
    fn from(_: &str) -> Self {
        Self
    }
}

impl ConnectionArguments {
    /// The parameters, with the secret if one is asked for. `whose` Milvus, for the prompt.
    pub(crate) fn params(
        &self,
        target: ConnectionParams,
        whose: &str,
        console: &mut Console,
    ) -> Result<ConnectionParams, Failure> {
        if self.password.is_some() {
            return Err(secret::refuse_argument(
                "--password would take a secret",
                SecretKind::Password,
            ));
        }
        if self.token.is_some() {
            return Err(secret::refuse_argument(
                "--token would take a secret",
                SecretKind::Token,
            ));
        }
        let user = self.user.clone().or_else(|| user_of(&target));
        let params = self.connection(self.references(target)?)?;
        self.with_secret(params, user, whose, console)
    }

    fn references(&self, mut params: ConnectionParams) -> Result<ConnectionParams, Failure> {
        let texts = [
            (Field::User, &self.user),
            (Field::PasswordEnv, &self.password_env),
            (Field::PasswordCommand, &self.password_command),
            (Field::TokenEnv, &self.token_env),
            (Field::TokenCommand, &self.token_command),
        ];
        for (field, text) in texts {
            if let Some(text) = text {
                params = params.with(field, FieldValue::Text(text.clone()));
            }
        }
        for (field, path) in [
            (Field::PasswordFile, &self.password_file),
            (Field::TokenFile, &self.token_file),
        ] {
            if let Some(path) = path {
                params = params.with(field, FieldValue::Path(absolute(path)?));
            }
        }
        Ok(params)
    }

    fn connection(&self, mut params: ConnectionParams) -> Result<ConnectionParams, Failure> {
        let paths = [
            (Field::CaPemPath, &self.ca),
            (Field::ClientPemPath, &self.client_certificate),
            (Field::ClientKeyPath, &self.client_key),
            (Field::ServerPemPath, &self.server_certificate),
        ];
        for (field, path) in paths {
            if let Some(path) = path {
                params = params.with(field, FieldValue::Path(absolute(path)?));
            }
        }
        for (field, text) in [
            (Field::DbName, &self.database),
            (Field::ServerName, &self.server_name),
        ] {
            if let Some(text) = text {
                params = params.with(field, FieldValue::Text(text.clone()));
            }
        }
        if self.tls {
            params = params.secure(true);
        }
        if let Some(timeout) = self.timeout {
            params = params.with(
                Field::Timeout,
                FieldValue::Seconds(seconds(timeout).ok_or_else(|| wrong_value(Field::Timeout))?),
            );
        }
        for setting in &self.settings {
            let (field, value) = parse_setting(setting)?;
            params = params.with(field, value);
        }
        Ok(params)
    }

    fn with_secret(
        &self,
        params: ConnectionParams,
        user: Option<String>,
        whose: &str,
        console: &mut Console,
    ) -> Result<ConnectionParams, Failure> {
        let kind = if user.is_some() {
            SecretKind::Password
        } else {
            SecretKind::Token
        };
        let has_reference = REFERENCES.iter().any(|field| params.get(*field).is_some());
        let whose = user
            .as_deref()
            .map_or_else(|| whose.to_owned(), |user| format!("{user} on {whose}"));
        let secret = if self.stdin {
            secret::from_input(console, kind)?
        } else if self.prompt || (self.user.is_some() && !has_reference && console.can_ask()) {
            secret::ask(console, kind, &whose)?
        } else if self.user.is_some() && !has_reference {
            return Err(Failure::usage(
                "--user goes with a password",
                "none is given, and there is no terminal to ask at",
            )
            .hint(secret::instead(kind)));
        } else {
            return Ok(params);
        };
        let field = if kind == SecretKind::Password {
            Field::Password
        } else {
            Field::Token
        };
        Ok(params.with(field, FieldValue::Secret(secret)))
    }
}

/// The fields that say where a secret is.
pub(crate) const REFERENCES: [Field; 6] = [
    Field::PasswordEnv,
    Field::PasswordFile,
    Field::PasswordCommand,
    Field::TokenEnv,
    Field::TokenFile,
    Field::TokenCommand,
];

fn user_of(params: &ConnectionParams) -> Option<String> {
    match params.get(Field::User) {
        Some(FieldValue::Text(user)) => Some(user.clone()),
        _ => None,
    }
}

/// The parameters that addresses on the command line amount to. Several are several addresses of one Milvus.
pub(crate) fn target_params(targets: &[String]) -> Result<ConnectionParams, Failure> {
    let [target] = targets else {
        if let Some(uri) = targets.iter().find(|target| is_uri(target)) {
            return Err(Failure::usage(
                "several addresses must each be HOST:PORT",
                format!("{uri:?} is a URI"),
            )
            .hint("For TLS, give --tls."));
        }
        return Ok(ConnectionParams::addresses(targets.iter().cloned()));
    };
    if !is_uri(target) {
        return Ok(match target.contains(':') {
            true => ConnectionParams::address(target.clone()),
            false => ConnectionParams::host(target.clone()),
        });
    }
    if let Ok(uri) = parse_uri(target)
        && uri.password.is_some()
    {
        return Err(secret::refuse_argument("the URI holds a password", SecretKind::Password)
            .at(&uri)
            .hint("Leave it out of the URI, and give the user with --user and the password with --prompt, --stdin, --password-env VARIABLE, --password-file FILE or --password-command COMMAND. If it was real, change it."));
    }
    Ok(ConnectionParams::uri(target.clone()))
}

/// Whether a target is written as a URI or a path, not as an address.
pub(crate) fn is_uri(target: &str) -> bool {
    target.contains("://")
        || target.starts_with("unix:")
        || target.starts_with("memory:")
        || target.ends_with(".db")
}

/// The profile file may be read from anywhere, so a path in it must not depend on where this program ran.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        Failure::usage(
            format!("can't use the path {:?}", path.display().to_string()),
            error,
        )
    })
}

fn seconds(number: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(number)
        .ok()
        .filter(|duration| !duration.is_zero())
}

fn wrong_value(field: Field) -> Failure {
    Failure::usage(
        format!("the value of `{field}` can't be used"),
        format!("it must be {}", field.kind()),
    )
}

fn parse_setting(setting: &str) -> Result<(Field, FieldValue), Failure> {
    let Some((name, value)) = setting.split_once('=') else {
        return Err(Failure::usage(
            format!("--set {setting:?} can't be understood"),
            "it must be FIELD=VALUE",
        )
        .hint("For example: --set max_channels=8"));
    };
    let Some(field) = Field::from_name(name) else {
        let failure = Failure::usage(
            format!("there is no field {name:?}"),
            "--set takes the names of the profile file",
        );
        return Err(match Field::nearest(name) {
            Some(nearest) => failure.hint(format!("Did you mean `{nearest}`?")),
            None => failure.hint(format!("The fields are {}.", names(Field::ALL))),
        });
    };
    let parsed = match field.kind() {
        FieldKind::Secret => {
            let kind = if field == Field::Token {
                SecretKind::Token
            } else {
                SecretKind::Password
            };
            return Err(secret::refuse_argument(
                &format!("`{field}` is a secret"),
                kind,
            ));
        }
        FieldKind::Uri => {
            return Err(Failure::usage(
                "the address is no option",
                "`uri` says where the Milvus is",
            )
            .hint("Give it as an argument, without --set."));
        }
        FieldKind::Text | FieldKind::Port => Some(FieldValue::Text(value.to_owned())),
        FieldKind::Texts => Some(FieldValue::Texts(
            value
                .split(',')
                .map(|part| part.trim().to_owned())
                .collect(),
        )),
        FieldKind::Path => Some(FieldValue::Path(absolute(Path::new(value))?)),
        FieldKind::Flag => value.parse().ok().map(FieldValue::Flag),
        FieldKind::Count => value.parse().ok().map(FieldValue::Count),
        FieldKind::Seconds => value
            .parse()
            .ok()
            .and_then(seconds)
            .map(FieldValue::Seconds),
        _ => None,
    };
    parsed
        .map(|value| (field, value))
        .ok_or_else(|| wrong_value(field))
}

fn names(fields: &[Field]) -> String {
    let names: Vec<_> = fields.iter().map(|field| field.name()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(params: ConnectionParams) -> String {
        format!("{params:?}")
    }

    #[test]
    fn targets_are_addresses_hosts_or_uris() {
        let target = |text: &str| shown(target_params(&[text.to_owned()]).unwrap());
        assert_eq!(
            target("localhost:19530"),
            r#"{"address": "localhost:19530"}"#
        );
        assert_eq!(target("db.example.com"), r#"{"host": "db.example.com"}"#);
        assert_eq!(target("https://u@h"), r#"{"uri": "https://u@h:443"}"#);
        assert_eq!(target("unix:/x.sock"), r#"{"uri": "unix:/x.sock"}"#);
        let two = target_params(&["a:1".to_owned(), "b:2".to_owned()]).unwrap();
        assert_eq!(shown(two), r#"{"addresses": "a:1, b:2"}"#);
    }

    #[test]
    fn a_password_in_a_uri_is_refused_and_not_repeated() {
        let failure = target_params(&["https://root:canary@h".to_owned()]).unwrap_err();
        assert!(!format!("{failure:?}").contains("canary"));
        assert!(failure.message.contains("holds a password"));
    }

    #[test]
    fn settings_are_read_by_their_kind() {
        let setting = |text: &str| {
            parse_setting(text)
                .map(|(field, value)| shown(ConnectionParams::new().with(field, value)))
        };
        assert_eq!(
            setting("max_channels=8").unwrap(),
            r#"{"max_channels": "8"}"#
        );
        assert_eq!(
            setting("call_timeout=2.5").unwrap(),
            r#"{"call_timeout": "2.5 s"}"#
        );
        assert_eq!(setting("retry=false").unwrap(), r#"{"retry": "false"}"#);
        for wrong in [
            "retry=maybe",
            "max_channels=-1",
            "timeout=0",
            "timeout",
            "uri=x",
            "max_chanels=1",
            "zzz=1",
        ] {
            setting(wrong).unwrap_err();
        }
        let secret = setting("password=canary").unwrap_err();
        assert!(!format!("{secret:?}").contains("canary"));
    }
}
