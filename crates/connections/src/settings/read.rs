//! From what one origin says to settings: the form of the address is chosen, a URI is taken apart, values are checked.
//!
//! Invariant: what is given and not used is told (`unused`); what contradicts itself is refused, never guessed.

use milvus_transport::{Endpoint, Target, TargetFault, parse_address, parse_uri};
use secrecy::ExposeSecret;

use super::{Kept, Secret, Settings};
use crate::explain::Unused;
use crate::field::{Field, FieldValue};
use crate::params::ConnectionParams;
use crate::source::{Origin, Source, Sourced};

/// A field that can't be used, and why.
pub(super) struct Fault {
    pub(super) field: Field,
    pub(super) message: String,
}

fn fault(field: Field, message: impl ToString) -> Fault {
    Fault {
        field,
        message: message.to_string(),
    }
}

/// Tokens before passwords, as PyMilvus takes them.
const SECRETS: [Field; 8] = [
    Field::Token,
    Field::TokenEnv,
    Field::TokenFile,
    Field::TokenCommand,
    Field::Password,
    Field::PasswordEnv,
    Field::PasswordFile,
    Field::PasswordCommand,
];

pub(super) fn settings(params: &ConnectionParams, origin: &Origin) -> Result<Settings, Fault> {
    let mut settings = Settings::default();
    read_target(&mut settings, params, origin)?;
    read_credentials(&mut settings, params, origin)?;
    if let Some(database) = text(params, Field::DbName) {
        settings.database = Some(Sourced::new(database.to_owned(), origin, Field::DbName));
    }
    if let Some(FieldValue::Flag(secure)) = params.get(Field::Secure) {
        let scheme_says = settings.secure.as_ref().is_some_and(|by_uri| by_uri.value);
        if scheme_says && !secure {
            return Err(fault(
                Field::Secure,
                "it is false, but the URI's scheme asks for TLS; make them agree",
            ));
        }
        settings.secure = Some(Sourced::new(*secure, origin, Field::Secure));
    }
    for (field, value) in params.iter().filter(|(field, _)| stands_alone(*field)) {
        check(field, value)?;
        settings
            .others
            .insert(field, Sourced::new(value.clone(), origin, field));
    }
    Ok(settings)
}

/// Whether a field is a TLS file or an option, which needs no other field to be understood.
fn stands_alone(field: Field) -> bool {
    !SECRETS.contains(&field)
        && !matches!(
            field,
            Field::Address
                | Field::Addresses
                | Field::Uri
                | Field::Host
                | Field::Port
                | Field::User
                | Field::DbName
                | Field::Secure
        )
}

fn check(field: Field, value: &FieldValue) -> Result<(), Fault> {
    match value {
        FieldValue::Seconds(duration) if duration.is_zero() => {
            Err(fault(field, "it must be above zero"))
        }
        FieldValue::Count(0) if field != Field::MinChannels => {
            Err(fault(field, "it must be above zero"))
        }
        _ => Ok(()),
    }
}

fn text(params: &ConnectionParams, field: Field) -> Option<&str> {
    match params.get(field) {
        Some(FieldValue::Text(text)) => Some(text),
        Some(FieldValue::Secret(secret)) => Some(secret.expose_secret()),
        _ => None,
    }
}

/// `address` > `addresses` > `uri` > `host` and `port`.
fn read_target(
    settings: &mut Settings,
    params: &ConnectionParams,
    origin: &Origin,
) -> Result<(), Fault> {
    let forms = [
        Field::Address,
        Field::Addresses,
        Field::Uri,
        Field::Host,
        Field::Port,
    ];
    let mut given = forms.into_iter().filter(|form| params.get(*form).is_some());
    let Some(form) = given.next() else {
        return Ok(());
    };
    let target = match form {
        Field::Address => {
            let address = text(params, form).unwrap_or_default();
            Target::endpoint(parse_address(address).map_err(|e| fault(form, e))?, false)
        }
        Field::Addresses => several(params)?,
        Field::Uri => read_uri(settings, params, origin)?,
        _ => {
            let host = text(params, Field::Host).unwrap_or(milvus_transport::DEFAULT_HOST);
            let port = text(params, Field::Port)
                .map_or_else(|| milvus_transport::DEFAULT_PORT.to_string(), str::to_owned);
            let endpoint = Endpoint::from_parts(host, &port).map_err(|error| {
                let about_port = matches!(
                    error.fault(),
                    TargetFault::PortNotANumber | TargetFault::PortOutOfRange(_)
                );
                fault(if about_port { Field::Port } else { Field::Host }, error)
            })?;
            Target::endpoint(endpoint, false)
        }
    };
    settings.target = Some(Sourced::new(target, origin, form));
    for weaker in given.filter(|weaker| !(form == Field::Host && *weaker == Field::Port)) {
        settings.unused.push(Unused {
            source: Source::new(origin, weaker),
            reason: format!("`{form}` is given too, and wins"),
        });
    }
    Ok(())
}

fn several(params: &ConnectionParams) -> Result<Target, Fault> {
    let Some(FieldValue::Texts(addresses)) = params.get(Field::Addresses) else {
        return Err(fault(Field::Addresses, "it must be a list of addresses"));
    };
    let endpoints = addresses
        .iter()
        .map(|address| parse_address(address).map_err(|e| fault(Field::Addresses, e)))
        .collect::<Result<_, _>>()?;
    Ok(Target::Tcp {
        endpoints,
        secure: false,
    })
}

fn read_uri(
    settings: &mut Settings,
    params: &ConnectionParams,
    origin: &Origin,
) -> Result<Target, Fault> {
    let uri = parse_uri(text(params, Field::Uri).unwrap_or_default())
        .map_err(|e| fault(Field::Uri, e))?;
    let from_uri = |value| Sourced::new(value, origin, Field::Uri);
    settings.user = uri.user.map(from_uri);
    settings.database = uri.database.map(from_uri);
    settings.secret = uri.password.map(|password| {
        let secret = Secret {
            is_token: false,
            kept: Kept::InPlace(password),
        };
        Sourced::new(secret, origin, Field::Uri)
    });
    Ok(match uri.target {
        Target::Tcp { endpoints, secure } => {
            settings.secure = Some(Sourced::new(secure, origin, Field::Uri));
            Target::Tcp {
                endpoints,
                secure: false,
            }
        }
        local => local,
    })
}

/// Explicit fields win over the URI's user information; a token wins over a password.
fn read_credentials(
    settings: &mut Settings,
    params: &ConnectionParams,
    origin: &Origin,
) -> Result<(), Fault> {
    if let Some(user) = text(params, Field::User) {
        settings.user = Some(Sourced::new(user.to_owned(), origin, Field::User));
    }
    let mut given = SECRETS
        .into_iter()
        .filter_map(|field| Some((field, secret(field, params.get(field)?)?)));
    let Some((field, secret)) = given.next() else {
        return Ok(());
    };
    for (weaker, other) in given {
        if other.is_token == secret.is_token {
            return Err(fault(
                weaker,
                format!("`{field}` is given too; give one of them"),
            ));
        }
        settings.unused.push(Unused {
            source: Source::new(origin, weaker),
            reason: format!("`{field}` is given too, and wins"),
        });
    }
    settings.secret = Some(Sourced::new(secret, origin, field));
    Ok(())
}

fn secret(field: Field, value: &FieldValue) -> Option<Secret> {
    let is_token = matches!(
        field,
        Field::Token | Field::TokenEnv | Field::TokenFile | Field::TokenCommand
    );
    let kept = match (field, value) {
        (_, FieldValue::Secret(secret)) => Kept::InPlace(secret.clone()),
        (_, FieldValue::Path(path)) => Kept::File(path.clone()),
        (Field::TokenEnv | Field::PasswordEnv, FieldValue::Text(variable)) => {
            Kept::Variable(variable.clone())
        }
        (Field::TokenCommand | Field::PasswordCommand, FieldValue::Text(command)) => {
            Kept::Command(command.clone())
        }
        _ => return None,
    };
    Some(Secret { is_token, kept })
}
