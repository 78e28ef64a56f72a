//! Where a Milvus answers: one or more network endpoints, a Unix socket, or a database in this process.
//!
//! A [`Target`] is pure data. Nothing here touches the network or the file system, nothing here holds a secret,
//! and what [`Target`] displays is a URI that parses back to the same target.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

mod uri;

pub use uri::{ParsedUri, parse_uri};

/// The host that is meant when only a port is given.
pub const DEFAULT_HOST: &str = "localhost";
/// The port on which a Milvus proxy listens unless told otherwise.
pub const DEFAULT_PORT: u16 = 19530;
/// The port that is meant by an `https` URI without one.
pub const DEFAULT_SECURE_PORT: u16 = 443;

/// What may not stand unescaped in a local path that is written as a `file:` URI.
const PATH_ESCAPES: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'?').add(b'#');

/// Something that answers Milvus calls, and where it is.
///
/// ```
/// use milvus_transport::{Target, parse_uri};
///
/// let target = parse_uri("https://root:Milvus@example.com/books")?.target;
/// assert!(target.secure());
/// assert_eq!(target.address(), "example.com:443");
/// assert_eq!(target.to_string(), "https://example.com:443");
/// assert!(matches!(parse_uri("./demo.db")?.target, Target::Embedded { .. }));
/// # Ok::<(), milvus_transport::TargetError>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// One or more endpoints of one logical Milvus, among which calls are balanced.
    Tcp {
        /// At least one; in the order in which they were given.
        endpoints: Vec<Endpoint>,
        /// Whether the connection is encrypted with TLS.
        secure: bool,
    },
    /// A Milvus that listens on a Unix domain socket of this machine.
    Unix {
        /// The socket's path.
        path: PathBuf,
    },
    /// A database in one local file, answered by the engine in this process.
    Embedded {
        /// The file; its name ends in `.db`.
        path: PathBuf,
    },
    /// A database in this process's memory. Handles with the same name share it.
    Memory {
        /// Empty for the unnamed one.
        name: String,
    },
}

impl Target {
    /// A target of a single endpoint.
    pub fn endpoint(endpoint: Endpoint, secure: bool) -> Self {
        Self::Tcp {
            endpoints: vec![endpoint],
            secure,
        }
    }

    /// The address as people write it: `localhost:19530`, `a:19530,b:19530`, `unix:/run/milvus.sock`, `./demo.db`, `memory:`.
    pub fn address(&self) -> String {
        match self {
            Self::Tcp { endpoints, .. } => joined(endpoints),
            Self::Unix { .. } | Self::Memory { .. } => self.to_string(),
            Self::Embedded { path } => path.display().to_string(),
        }
    }

    /// Whether the connection to this target is encrypted with TLS.
    pub fn secure(&self) -> bool {
        matches!(self, Self::Tcp { secure: true, .. })
    }
}

/// A URI of the target, without user information: for every target that [`parse_uri`] gives, `parse_uri(&target.to_string())`
/// gives the same target again.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { endpoints, secure } => {
                let scheme = if *secure { "https" } else { "http" };
                write!(f, "{scheme}://{}", joined(endpoints))
            }
            Self::Unix { path } => write!(f, "unix:{}", path.display()),
            Self::Embedded { path } => write_local_path(f, path),
            Self::Memory { name } => write!(f, "memory:{name}"),
        }
    }
}

fn joined(endpoints: &[Endpoint]) -> String {
    endpoints
        .iter()
        .map(Endpoint::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

/// A path is shown as it is unless it would then read as something else, such as a file that is really named `memory:x.db`.
fn write_local_path(f: &mut fmt::Formatter<'_>, path: &Path) -> fmt::Result {
    let text = path.to_string_lossy();
    if uri::reads_as_local_path(&text) {
        f.write_str(&text)
    } else {
        write!(f, "file:{}", utf8_percent_encode(&text, PATH_ESCAPES))
    }
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// A name to resolve, or an address.
    pub host: Host,
    /// 0 to 65534, the range that Milvus's own client accepts.
    pub port: u16,
}

impl Endpoint {
    /// Reads a host and a port that were given apart. An IPv6 address may stand in brackets or without.
    ///
    /// # Errors
    /// [`TargetError`] when the host is empty or holds a character that no host name has, or the port is not a number
    /// in `[0, 65535)`.
    pub fn from_parts(host: &str, port: &str) -> Result<Self, TargetError> {
        Host::parse(host)
            .and_then(|host| {
                Ok(Self {
                    host,
                    port: parse_port(port)?,
                })
            })
            .map_err(|fault| TargetError::HostOrPort {
                host: without_userinfo(host),
                port: without_userinfo(port),
                fault,
            })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The host part of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name for DNS, in lower case.
    Name(String),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
}

impl Host {
    fn parse(text: &str) -> Result<Self, TargetFault> {
        let bracketed = text.strip_prefix('[').map(|rest| rest.strip_suffix(']'));
        match bracketed {
            Some(Some(inside)) => return parse_v6(inside),
            Some(None) => return Err(TargetFault::UnclosedBracket),
            None => {}
        }
        if text.is_empty() {
            return Err(TargetFault::EmptyHost);
        }
        if text.contains(':') {
            return parse_v6(text);
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::V4(address));
        }
        match text.chars().find(|c| !in_host_name(*c)) {
            Some('@') => Err(TargetFault::MisplacedUserInformation),
            Some(c) if !c.is_ascii() => Err(TargetFault::InternationalHost),
            Some(c) => Err(TargetFault::HostCharacter(c)),
            None => Ok(Self::Name(text.to_ascii_lowercase())),
        }
    }
}

fn in_host_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')
}

fn parse_v6(text: &str) -> Result<Host, TargetFault> {
    if text.contains('%') {
        return Err(TargetFault::Zone);
    }
    text.parse().map(Host::V6).map_err(|_| TargetFault::IpV6)
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}

/// Reads `host:port`, such as `localhost:19530` or `[::1]:19530`.
///
/// ```
/// use milvus_transport::parse_address;
///
/// assert_eq!(parse_address("[::1]:19530")?.to_string(), "[::1]:19530");
/// assert!(parse_address("localhost").is_err());
/// # Ok::<(), milvus_transport::TargetError>(())
/// ```
///
/// # Errors
/// [`TargetError::Address`], which says what is wrong with it.
pub fn parse_address(address: &str) -> Result<Endpoint, TargetError> {
    let fail = |fault| TargetError::Address {
        address: without_userinfo(address),
        fault,
    };
    if address.contains("://") {
        return Err(fail(TargetFault::UriAsAddress));
    }
    if address.contains('@') {
        return Err(fail(TargetFault::MisplacedUserInformation));
    }
    if address.contains(',') {
        return Err(fail(TargetFault::SeveralAddresses));
    }
    let (host, port) = split_port(address).map_err(fail)?;
    let port = port.ok_or(TargetFault::PortMissing).map_err(fail)?;
    Ok(Endpoint {
        host: Host::parse(host).map_err(fail)?,
        port: parse_port(port).map_err(fail)?,
    })
}

/// Splits `host[:port]`; the colons inside the brackets of an IPv6 address are not separators.
fn split_port(text: &str) -> Result<(&str, Option<&str>), TargetFault> {
    let after_host = match text.strip_prefix('[') {
        Some(rest) => 1 + rest.find(']').ok_or(TargetFault::UnclosedBracket)? + 1,
        None => text.find(':').unwrap_or(text.len()),
    };
    let (host, rest) = text.split_at(after_host);
    match rest.strip_prefix(':') {
        Some(port) if port.contains(':') => Err(TargetFault::TooManyColons),
        Some(port) => Ok((host, Some(port))),
        None if rest.is_empty() => Ok((host, None)),
        None => Err(TargetFault::AfterBracket),
    }
}

fn parse_port(text: &str) -> Result<u16, TargetFault> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(TargetFault::PortNotANumber);
    }
    match text.parse() {
        Ok(port) if port < u16::MAX => Ok(port),
        _ => Err(TargetFault::PortOutOfRange(text.to_owned())),
    }
}

/// What stands before the last `@`, wherever that is, may be a password. Better to hide too much than too little.
fn without_userinfo(text: &str) -> String {
    let Some(at) = text.rfind('@') else {
        return text.to_owned();
    };
    let (before, after) = text.split_at(at);
    let scheme = before
        .find("://")
        .filter(|end| uri::is_known_scheme(&before[..*end]))
        .map_or(0, |end| end + 3);
    format!("{}***{after}", &before[..scheme])
}

/// An address or URI that can't be understood. It shows what was given, but never user information.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not `host:port`.
    #[error("Illegal address: {address}, should be in form 'localhost:19530': {fault}")]
    Address {
        /// What was given, without user information.
        address: String,
        /// What is wrong with it.
        fault: TargetFault,
    },
    /// A host and a port that were given apart.
    #[error(
        "Illegal host: {host} or port: {port}, should be in form of '111.1.1.1', '19530': {fault}"
    )]
    HostOrPort {
        /// What was given as host, without user information.
        host: String,
        /// What was given as port.
        port: String,
        /// What is wrong with them.
        fault: TargetFault,
    },
    /// Not a URI of a Milvus.
    #[error(
        "Illegal uri: [{uri}], expected form 'http[s]://[user:password@]example.com[:12345]': {fault}"
    )]
    Uri {
        /// What was given, without user information.
        uri: String,
        /// What is wrong with it.
        fault: TargetFault,
    },
}

impl TargetError {
    /// What exactly is wrong.
    pub fn fault(&self) -> &TargetFault {
        match self {
            Self::Address { fault, .. }
            | Self::HostOrPort { fault, .. }
            | Self::Uri { fault, .. } => fault,
        }
    }
}

/// What exactly is wrong with an address or URI.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetFault {
    /// No host.
    #[error("the host is empty")]
    EmptyHost,
    /// A character that host names don't have.
    #[error("a host name can't contain {0:?}")]
    HostCharacter(char),
    /// A host name outside ASCII.
    #[error("write an international host name in its ASCII form, such as 'xn--mnchen-3ya.example'")]
    InternationalHost,
    /// `[` without `]`.
    #[error("the '[' of an IPv6 address has no ']'")]
    UnclosedBracket,
    /// Something other than a port after `]`.
    #[error("after the ']' of an IPv6 address only ':' and a port can follow")]
    AfterBracket,
    /// Not an IPv6 address.
    #[error("that is no IPv6 address; they look like '[::1]'")]
    IpV6,
    /// `fe80::1%eth0`.
    #[error(
        "an IPv6 address with a zone (such as '%eth0') is not supported; use an address without one"
    )]
    Zone,
    /// Several colons outside brackets.
    #[error("it has too many ':'; put an IPv6 address in brackets, as in '[::1]:19530'")]
    TooManyColons,
    /// No port where one is needed.
    #[error("it has no port")]
    PortMissing,
    /// A port that isn't a number.
    #[error("the port is not a number. Type of 'port' must be str or int.")]
    PortNotANumber,
    /// A port outside the range.
    #[error("port number {0} out of range, valid range [0, 65535)")]
    PortOutOfRange(String),
    /// A URI where an address belongs.
    #[error("that is a URI; give it as 'uri'")]
    UriAsAddress,
    /// Several addresses where one belongs.
    #[error("give several addresses as 'addresses', or in a URI such as 'http://a:19530,b:19530'")]
    SeveralAddresses,
    /// User information where it doesn't belong.
    #[error(
        "user and password belong in 'user' and 'password', or before the '@' of a URI with '@' written as '%40', \
         '/' as '%2F', '?' as '%3F' and '#' as '%23'"
    )]
    MisplacedUserInformation,
    /// Neither a scheme that we know nor a database file.
    #[error(
        "uri: {0} is illegal, needs start with [unix, http, https, tcp] or a local file endswith [.db]; \
         grpc://, file: and memory: work too"
    )]
    Scheme(String),
    /// `http:host` or the like.
    #[error("'//' must follow the scheme, as in '{0}://localhost:19530'")]
    SlashesMissing(&'static str),
    /// A `%` that starts no escape.
    #[error(
        "each '%' must start an escape of two hexadecimal digits; write '%25' for a percent sign"
    )]
    Escape,
    /// An escape that doesn't decode to text.
    #[error("the escaped bytes are not UTF-8 text")]
    NotUtf8,
    /// More than `/database`.
    #[error("only a database name can follow the address, as in 'http://localhost:19530/books'")]
    PathTooLong,
    /// `?…` or `#…`.
    #[error("a query ('?') or fragment ('#') means nothing here; options are fields of their own")]
    QueryOrFragment,
    /// A Unix socket or file without a usable path.
    #[error(
        "the path is empty, or has a host or a zero byte in it; write 'unix:/run/milvus.sock' or 'file:/data/demo.db'"
    )]
    LocalPath,
    /// A memory database with an unusable name.
    #[error("the name of a memory database consists of letters, digits, '-', '_' and '.'")]
    MemoryName,
}
