//! `milvusctl serve`: puts a database of this machine on a port, for every Milvus client.
//!
//! Invariant: nobody is let in without credentials unless that was asked for, and no secret is printed: a password that is
//! made up here goes into a file that only its owner can read.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use milvus_embedded::{Embedded, Location, OpenError, Options, StorageError};
use milvus_protocol::server::MessageLimits;
use milvus_server::{Authenticate, Listen, ServeError, ServeOptions, Server, ServerTls, Stopped};

use crate::console::Console;
use crate::exit::Exit;
use crate::failure::Failure;

mod announcement;
mod log;
mod root_password;
mod signals;

use announcement::Announcement;
use log::Level;
pub(super) use root_password::write_private;
use signals::Signals;

/// Milvus's own port.
const USUAL_ADDRESS: &str = "127.0.0.1:19530";
const MEBIBYTE: usize = 1 << 20;

/// Serve a database of this machine to every Milvus client.
///
/// Clients of any language connect as to a Milvus server, with the user root or with users and API keys that you make. The
/// database is the same that `./demo.db` opens in a program; it belongs to one process at a time.
///
/// On the first start root gets a password: from --root-password-file, else from the variable MILVUS_ROOT_PASSWORD, else
/// from a prompt, else a generated one, which is written to DATABASE.root-password (mode 600). Later starts ask for
/// nothing.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  milvusctl serve ./demo.db
  milvusctl serve ./demo.db --listen 0.0.0.0:19530 --tls-cert server.pem --tls-key server.key
  milvusctl serve ./demo.db --unix /run/milvus/demo.sock
  milvusctl serve ./demo.db --listen 127.0.0.1:0 | jq -r '.addresses[0]'
  milvusctl serve ./demo.db --listen 0.0.0.0:19530 --probes 127.0.0.1:9091 --log warn

Then, from Python:
  MilvusClient(\"http://127.0.0.1:19530\", user=\"root\", password=open(\"demo.db.root-password\").read())

GET /healthz and /metrics (Prometheus) answer on the same port, or at --probes, without credentials. Each call and connection that \
is refused is a line on standard error (--log). SIGTERM or Ctrl-C ends it: calls in flight are answered first; a second one cuts \
them.")]
pub(crate) struct ServeArguments {
    /// The database's folder, made when it isn't there; by custom its name ends in .db
    #[arg(value_name = "DATABASE")]
    path: PathBuf,
    /// An address to listen on, more than once for several; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", help_heading = "Where", default_values_t = [USUAL_ADDRESS.to_owned()], default_value_if("unix", clap::builder::ArgPredicate::IsPresent, None))]
    listen: Vec<String>,
    /// A Unix socket to listen on, which only you may open; then no port, unless --listen asks for one
    #[arg(long, value_name = "PATH", help_heading = "Where")]
    unix: Option<PathBuf>,
    /// Answer /healthz and /metrics here, in plain HTTP, and no longer on the other addresses
    #[arg(long, value_name = "HOST:PORT", help_heading = "Where")]
    probes: Option<String>,
    /// The server's certificate chain (PEM); connections by TCP are TLS then
    #[arg(long, value_name = "FILE", requires = "tls_key", help_heading = "TLS")]
    tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = "TLS")]
    tls_key: Option<PathBuf>,
    /// The authority of the clients' certificates (PEM); clients without one are refused then
    #[arg(long, value_name = "FILE", requires = "tls_cert", help_heading = "TLS")]
    client_ca: Option<PathBuf>,
    /// Let everybody in who can reach the address
    #[arg(long, conflicts_with_all = ["root_password_file", "reset_root_password"], help_heading = "Who")]
    no_auth: bool,
    /// A file that holds root's first password
    #[arg(long, value_name = "FILE", help_heading = "Who")]
    root_password_file: Option<PathBuf>,
    /// Give root another password, as at the first start
    #[arg(long, help_heading = "Who")]
    reset_root_password: bool,
    /// The largest request
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=2047), help_heading = "Limits")]
    max_request: u32,
    /// Connections at once
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Limits")]
    max_connections: u32,
    /// Calls at once; more are told to come again
    #[arg(long, value_name = "N", default_value_t = 4_096, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Limits")]
    max_calls: u32,
    /// How long calls in flight may take after the signal to stop
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 10,
        help_heading = "Limits"
    )]
    drain: u32,
    /// What to log on standard error: off, error, warn, info, debug or trace [default:
    /// $MILVUSCTL_LOG, or info]
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "LEVEL",
        help_heading = "Log"
    )]
    log: Option<Level>,
}

/// The users and keys of a database.
struct Users(Embedded);

impl Authenticate for Users {
    fn verify_password(&self, user: &str, password: &str) -> Option<u64> {
        self.0.verify_password(user, password)
    }

    fn password_revision(&self, user: &str) -> Option<u64> {
        self.0.password_revision(user)
    }

    fn verify_key(&self, key: &str) -> Option<String> {
        self.0.verify_key(key)
    }
}

pub(super) async fn run(
    arguments: &ServeArguments,
    console: &mut Console,
) -> Result<Exit, Failure> {
    let mut signals = Signals::listen()?;
    log::start(arguments.log, console)?;
    let listen = addresses(arguments).await?;
    let database = open(&arguments.path, None).await?;
    let password = if arguments.no_auth {
        None
    } else {
        Some(root_password::establish(&database, arguments, console).await?)
    };
    let mut options = options(arguments, listen, &database);
    if let Some(probes) = &arguments.probes {
        options.probes = Some(resolve(probes).await?);
    }
    warn(&options, console);
    let server = Server::bind(options)
        .await
        .map_err(|error| cannot_listen(&error))?;
    let (addresses, probes) = (server.addresses(), server.probes_address());
    let announcement = Announcement::new(arguments, &addresses, probes.as_deref(), password);
    database.announce(&announcement.addresses().join(", "));
    console.announce(&announcement)?;
    let mut limits = MessageLimits::default();
    limits.request = arguments.max_request as usize * MEBIBYTE;
    let service = database.service().with_limits(limits);
    drop(database);
    let (stop, stopping) = tokio::sync::oneshot::channel();
    // A sender that is gone stops the server as well.
    let serving = server.run(service, async { drop(stopping.await) });
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        _ = &mut serving => {}
        () = signals.next() => {
            // Dropping would do the same; the receiver is there as long as `serving` is.
            let _ = stop.send(());
            console.note("stopping: calls in flight are answered first; the same signal again cuts them");
            let stopped = tokio::select! {
                stopped = &mut serving => Some(stopped),
                () = signals.next() => None,
            };
            tell_cut(stopped, console);
        }
    }
    Ok(Exit::Success)
}

fn tell_cut(stopped: Option<Stopped>, console: &mut Console) {
    match stopped {
        Some(Stopped { calls_cut: 0, .. }) => {}
        Some(Stopped { calls_cut, .. }) => console.note(&format!(
            "{calls_cut} calls were not finished in time and got no answer (--drain)"
        )),
        None => console.note("calls in flight were cut"),
    }
}

async fn addresses(arguments: &ServeArguments) -> Result<Vec<Listen>, Failure> {
    let mut listen = Vec::new();
    for address in &arguments.listen {
        listen.push(resolve(address).await?);
    }
    listen.extend(arguments.unix.clone().map(Listen::Unix));
    Ok(listen)
}

/// The socket address of `HOST:PORT`.
async fn resolve(address: &str) -> Result<Listen, Failure> {
    let failure = |reason: String| {
        Failure::usage(format!("can't listen on {address:?}"), reason).hint(format!(
            "Write it as HOST:PORT: {USUAL_ADDRESS}, [::1]:19530, 0.0.0.0:19530."
        ))
    };
    let mut found = tokio::net::lookup_host(address)
        .await
        .map_err(|error| failure(error.to_string()))?;
    let address: SocketAddr = found
        .next()
        .ok_or_else(|| failure("the name has no address".into()))?;
    Ok(Listen::Tcp(address))
}

fn options(arguments: &ServeArguments, listen: Vec<Listen>, database: &Embedded) -> ServeOptions {
    // The list has at least one address: the default one, or the socket.
    let mut options = ServeOptions::new(Listen::Tcp(([127, 0, 0, 1], 0).into()));
    options.listen = listen;
    if let (Some(certificate), Some(key)) = (&arguments.tls_cert, &arguments.tls_key) {
        options.tls = Some(ServerTls {
            certificate: certificate.clone(),
            key: key.clone(),
            client_ca: arguments.client_ca.clone(),
        });
    }
    if !arguments.no_auth {
        options.authentication = Some(Arc::new(Users(database.clone())));
    }
    options.max_connections = arguments.max_connections as usize;
    options.max_calls = arguments.max_calls as usize;
    options.drain_timeout = Duration::from_secs(arguments.drain.into());
    options
}

/// Says what strangers could do.
fn warn(options: &ServeOptions, console: &mut Console) {
    let is_open = options
        .listen
        .iter()
        .any(|listen| matches!(listen, Listen::Tcp(address) if !address.ip().is_loopback()));
    if !is_open {
        return;
    }
    if options.authentication.is_none() {
        console.note(
            "everybody who can reach this address may read and change everything (--no-auth)",
        );
    }
    if options.tls.is_none() {
        console.note("without --tls-cert passwords and data travel in plain text");
    }
}

/// Opens the database, unless the path is something else. `taken` says what to do when another process has it.
async fn open(path: &Path, taken: Option<&str>) -> Result<Embedded, Failure> {
    let failure = |exit, reason: String| {
        Failure::new(exit, "can't open the database", reason).at(path.display())
    };
    if path.is_file() {
        return Err(failure(
            Exit::Configuration,
            "it is a file, and a database is a folder".into(),
        ));
    }
    let is_other_folder = std::fs::read_dir(path).is_ok_and(|mut files| files.next().is_some())
        && !path.join("catalog.redb").exists();
    if is_other_folder {
        let failure = failure(
            Exit::Configuration,
            "the folder holds other things and no database".into(),
        );
        return Err(failure.hint("Name a folder that isn't there yet: it will be made."));
    }
    match path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        Some(parent) if !parent.is_dir() => {
            let reason = format!("the folder {} does not exist", parent.display());
            return Err(failure(Exit::Configuration, reason));
        }
        _ => {}
    }
    let location = Location::Folder(path.to_owned());
    // Opening reads files.
    let opened =
        tokio::task::spawn_blocking(|| milvus_embedded::open(location, Options::default()));
    let opened = opened
        .await
        .map_err(|error| failure(Exit::Failed, error.to_string()))?;
    opened.map_err(|error| match &error {
        OpenError::Storage(StorageError::Locked { holder, .. }) if !holder.served_at.is_empty() => {
            let reason = format!("it is served already, by {holder}");
            let connect = format!("Connect to {}.", holder.served_at);
            failure(Exit::Failed, reason).hint(taken.unwrap_or(&connect))
        }
        OpenError::Storage(StorageError::Locked { holder, .. }) => {
            let reason = format!("another process has it open: {holder}");
            let close = "Close it there; an embedded database belongs to one process at a time.";
            failure(Exit::Failed, reason).hint(taken.unwrap_or(close))
        }
        _ => failure(Exit::Failed, error.to_string()),
    })
}

/// What to do when the database of `key` is open elsewhere.
const KEYS_AND_FILES: &str = "API keys are made on the files, because Milvus's protocol has no call for them: stop that \
                              process (SIGTERM), make the key, start it again. Users with passwords can be made while it \
                              runs: create_user.";

/// The database of a command that works on its files.
pub(super) async fn open_existing(path: &Path) -> Result<Embedded, Failure> {
    if path.join("catalog.redb").exists() {
        return open(path, Some(KEYS_AND_FILES)).await;
    }
    let failure = Failure::new(
        Exit::Configuration,
        "can't open the database",
        "there is none",
    );
    Err(failure
        .at(path.display())
        .hint("`milvusctl serve` makes one."))
}

fn cannot_listen(error: &ServeError) -> Failure {
    let failure = |exit| Failure::new(exit, "can't serve", error);
    match error {
        ServeError::Listen { address, error } if error.kind() == std::io::ErrorKind::AddrInUse => {
            Failure::new(Exit::Failed, "can't serve", "something else listens there already")
                .at(address)
                .hint(format!(
                    "`milvusctl doctor {address}` says what it is. --listen takes another address; port 0 takes a free one."
                ))
        }
        ServeError::Listen { .. } => failure(Exit::Failed),
        _ => failure(Exit::Configuration)
            .hint("--tls-cert takes the chain and --tls-key the unencrypted private key, both as PEM."),
    }
}
