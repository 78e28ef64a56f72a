//! URIs: `http://user:password@host:port/database` and its relatives, down to plain paths of database files.
//!
//! Any input gives a result or a [`TargetError`], never a panic; what stands before an `@` never gets into an error.
//! An own parser instead of the `url` crate, because lists of endpoints and scheme-less paths are not URLs,
//! and because `url` brings tables of international domain names that a build of this crate would pay for.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use secrecy::{ExposeSecret, SecretString};

use super::{DEFAULT_PORT, DEFAULT_SECURE_PORT, Endpoint, Host, Target, TargetError, TargetFault};
use super::{parse_port, split_port, without_userinfo};

/// Unreserved characters of RFC 3986 stay readable; all else is escaped.
const COMPONENT_ESCAPES: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

const KNOWN_SCHEMES: [&str; 8] = [
    "http", "https", "tcp", "grpc", "grpcs", "unix", "memory", "file",
];

/// What a URI says.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ParsedUri {
    /// Where the Milvus is.
    pub target: Target,
    /// The decoded user name; `None` when there is none or it is empty.
    pub user: Option<String>,
    /// The decoded password; `None` when there is no `:` in the user information.
    pub password: Option<SecretString>,
    /// The decoded database name; `None` when there is none or it is empty.
    pub database: Option<String>,
}

impl ParsedUri {
    /// What a URI of this target alone, without user information and database, says.
    pub fn of_target(target: Target) -> Self {
        Self {
            target,
            user: None,
            password: None,
            database: None,
        }
    }

    /// The complete URI, password included, that parses to this again. For display use `to_string()`, which hides the password.
    pub fn to_uri(&self) -> SecretString {
        self.written(self.password.as_ref().map(|p| escaped(p.expose_secret())))
            .into()
    }

    fn written(&self, password: Option<String>) -> String {
        let target = self.target.to_string();
        let Some((scheme, address)) = target.split_once("://") else {
            return target;
        };
        let userinfo = match (&self.user, password) {
            (None, None) => String::new(),
            (user, password) => format!(
                "{}{}@",
                user.as_deref().map(escaped).unwrap_or_default(),
                password.map(|p| format!(":{p}")).unwrap_or_default(),
            ),
        };
        let database = self.database.as_ref().map(|d| format!("/{}", escaped(d)));
        format!(
            "{scheme}://{userinfo}{address}{}",
            database.unwrap_or_default()
        )
    }
}

/// The URI with `***` in place of the password.
impl fmt::Display for ParsedUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written(self.password.as_ref().map(|_| "***".to_owned())))
    }
}

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, COMPONENT_ESCAPES).to_string()
}

/// Reads a URI:
///
/// | form | meaning |
/// |---|---|
/// | `http://`, `tcp://`, `grpc://` + `[user:password@]host[:port][/database]` | plain, default port 19530 |
/// | `https://`, `grpcs://` + the same | TLS, default port 443 |
/// | `http://a:19530,b:19530` | several endpoints of one Milvus |
/// | `unix:/path.sock`, `unix:///path.sock` | a Unix socket |
/// | a path that ends in `.db`, `file:` + such a path | a database file of this process |
/// | `memory:`, `memory:name` | a database in this process's memory |
///
/// User, password and database are percent-decoded. Surrounding white space is ignored.
///
/// ```
/// use milvus_transport::parse_uri;
///
/// let parsed = parse_uri("http://root:p%40ss@[::1]/books")?;
/// assert_eq!(parsed.target.address(), "[::1]:19530");
/// assert_eq!(parsed.user.as_deref(), Some("root"));
/// assert_eq!(parsed.database.as_deref(), Some("books"));
/// assert_eq!(parsed.to_string(), "http://root:***@[::1]:19530/books");
/// # Ok::<(), milvus_transport::TargetError>(())
/// ```
///
/// # Errors
/// [`TargetError::Uri`], which says what is wrong and shows the URI without its user information.
pub fn parse_uri(uri: &str) -> Result<ParsedUri, TargetError> {
    let uri = uri.trim();
    parse(uri).map_err(|fault| TargetError::Uri {
        uri: without_userinfo(uri),
        fault,
    })
}

fn parse(uri: &str) -> Result<ParsedUri, TargetFault> {
    let (scheme, rest) = match uri.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), rest),
        _ => (String::new(), uri),
    };
    match scheme.as_str() {
        "http" => network(rest, "http", false),
        "tcp" => network(rest, "tcp", false),
        "grpc" => network(rest, "grpc", false),
        "https" => network(rest, "https", true),
        "grpcs" => network(rest, "grpcs", true),
        "unix" => socket(rest).map(ParsedUri::of_target),
        "memory" => memory(rest).map(ParsedUri::of_target),
        "file" => file(rest).map(ParsedUri::of_target),
        _ if reads_as_local_path(uri) => Ok(ParsedUri::of_target(Target::Embedded {
            path: PathBuf::from(uri),
        })),
        _ => Err(TargetFault::Scheme(without_userinfo(uri))),
    }
}

/// Whether `text` is one of the schemes below, in any case.
pub(super) fn is_known_scheme(text: &str) -> bool {
    KNOWN_SCHEMES
        .iter()
        .any(|known| text.eq_ignore_ascii_case(known))
}

/// RFC 3986, section 3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// Whether `text` alone, without `file:` before it, means a database file.
pub(super) fn reads_as_local_path(text: &str) -> bool {
    let scheme = text.split_once(':').map(|(scheme, _)| scheme);
    !scheme.is_some_and(is_known_scheme)
        && !text.contains("://")
        && !text.contains('\0')
        && text.trim() == text
        && text.ends_with(".db")
}

fn network(rest: &str, scheme: &'static str, secure: bool) -> Result<ParsedUri, TargetFault> {
    let rest = rest
        .strip_prefix("//")
        .ok_or(TargetFault::SlashesMissing(scheme))?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    // An '@' out here is nearly always the end of a password that holds an unescaped '/': taking "user:1234" for a host
    // and port would send the rest of the password away as a database name.
    if path.contains('@') {
        return Err(TargetFault::MisplacedUserInformation);
    }
    if path.contains(['?', '#']) {
        return Err(TargetFault::QueryOrFragment);
    }
    let (userinfo, hosts) = match authority.rsplit_once('@') {
        Some((userinfo, hosts)) => (Some(userinfo), hosts),
        None => (None, authority),
    };
    let (user, password) = match userinfo.map(|info| info.split_once(':').ok_or(info)) {
        None => (None, None),
        Some(Err(user)) => (Some(user), None),
        Some(Ok((user, password))) => (Some(user), Some(password)),
    };
    let default_port = if secure {
        DEFAULT_SECURE_PORT
    } else {
        DEFAULT_PORT
    };
    let endpoints = hosts
        .split(',')
        .map(|text| endpoint(text, default_port))
        .collect::<Result<_, _>>()?;
    Ok(ParsedUri {
        target: Target::Tcp { endpoints, secure },
        user: non_empty(user)?,
        password: password
            .map(|p| decoded(p).map(|p| SecretString::from(p.into_owned())))
            .transpose()?,
        database: database(path)?,
    })
}

fn endpoint(text: &str, default_port: u16) -> Result<Endpoint, TargetFault> {
    let (host, port) = split_port(text)?;
    Ok(Endpoint {
        host: Host::parse(host)?,
        port: match port {
            None | Some("") => default_port,
            Some(port) => parse_port(port)?,
        },
    })
}

fn database(path: &str) -> Result<Option<String>, TargetFault> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let first = segments.next();
    match segments.next() {
        Some(_) => Err(TargetFault::PathTooLong),
        None => non_empty(first),
    }
}

fn non_empty(text: Option<&str>) -> Result<Option<String>, TargetFault> {
    match text {
        None | Some("") => Ok(None),
        Some(text) => decoded(text).map(|text| Some(text.into_owned())),
    }
}

fn decoded(text: &str) -> Result<Cow<'_, str>, TargetFault> {
    let all_escapes = text.split('%').skip(1).all(|after| {
        let bytes = after.as_bytes();
        bytes.len() >= 2 && bytes.iter().take(2).all(u8::is_ascii_hexdigit)
    });
    if !all_escapes {
        return Err(TargetFault::Escape);
    }
    percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| TargetFault::NotUtf8)
}

fn socket(rest: &str) -> Result<Target, TargetFault> {
    let path = one_leading_slash(rest)?;
    if path.is_empty() || path.contains('\0') {
        return Err(TargetFault::LocalPath);
    }
    Ok(Target::Unix {
        path: PathBuf::from(path),
    })
}

fn file(rest: &str) -> Result<Target, TargetFault> {
    let path = decoded(rest)?;
    let path = one_leading_slash(&path)?;
    if path.contains('\0') {
        return Err(TargetFault::LocalPath);
    }
    if !path.ends_with(".db") {
        return Err(TargetFault::Scheme(without_userinfo(&format!(
            "file:{rest}"
        ))));
    }
    Ok(Target::Embedded {
        path: PathBuf::from(path),
    })
}

/// `///path` and `//localhost/path` are `/path`; `//host/path` would be on another machine.
fn one_leading_slash(rest: &str) -> Result<&str, TargetFault> {
    let Some(after) = rest.strip_prefix("//") else {
        return Ok(rest);
    };
    let after = after.strip_prefix("localhost").unwrap_or(after);
    if !after.starts_with('/') {
        return Err(TargetFault::LocalPath);
    }
    let doubled = after.bytes().take_while(|b| *b == b'/').count() - 1;
    after.get(doubled..).ok_or(TargetFault::LocalPath)
}

fn memory(rest: &str) -> Result<Target, TargetFault> {
    let name = rest.strip_prefix("//").unwrap_or(rest);
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.chars().all(legal) {
        return Err(TargetFault::MemoryName);
    }
    Ok(Target::Memory {
        name: name.to_owned(),
    })
}
