//! The handle that users of a connection hold: an alias, a database, and a lease on a pool (or a service in this
//! process).
//!
//! Invariant: a handle is cheap to clone; all clones of one handle close together; two handles to one target share
//! their pool and nothing else.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use milvus_protocol::milvus::{ConnectRequest, ConnectResponse};
use milvus_protocol::rpc::{self, OperationClass, Rpc};
use milvus_protocol::{EncodedMessage, ReceivedMessage, encode_grpc_frame};
use tokio::time::Instant;
use tracing::Instrument as _;

use crate::attempt::{self, Call};
use crate::backend::Backend;
use crate::config::ConnectionConfig;
use crate::credentials::CredentialSource;
use crate::error::{ConnectError, Error, ErrorKind, Phase, ServerAnswer};
use crate::event::Events;
use crate::grpc::RequestId;
use crate::handshake::{Judge, ServerDescription};
use crate::in_process::{RequestBody, Service, Tower};
use crate::moment::after;
use crate::pool::Pool;
use crate::seat::Seat;
use crate::status::{ConnectionState, ConnectionStatus};
use crate::telemetry::{self, Metrics, ServerName};

/// What servers call the database that calls go to when they name none.
const DEFAULT_DATABASE: &str = "default";
/// The deadline of a call that is made to stay open.
const LONG_POLL_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// One connection to one Milvus. Cheap to clone.
///
/// ```no_run
/// use milvus_protocol::{milvus::GetVersionRequest, rpc};
/// use milvus_transport::{Connection, ConnectionConfig, Credentials, parse_uri};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let config = ConnectionConfig::new(parse_uri("http://localhost:19530")?.target)
///     .credentials(Credentials::password("root", "Milvus"));
/// let connection = Connection::connect("default", config).await?;
/// let answer = connection.call(&rpc::GET_VERSION, GetVersionRequest {}).await?;
/// println!("{}", answer.version);
/// connection.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Connection {
    shared: Arc<Shared>,
    database: Database,
}

struct Shared {
    alias: Arc<str>,
    address: Arc<str>,
    server: ServerName,
    config: ConnectionConfig,
    backend: Backend,
    /// What a service in this process said of itself; a pool keeps its own.
    described: OnceLock<ServerDescription>,
}

impl Shared {
    fn new(alias: Arc<str>, address: Arc<str>, config: ConnectionConfig, backend: Backend) -> Self {
        Self {
            alias,
            address,
            backend,
            server: ServerName::of_target(&config.target),
            described: OnceLock::new(),
            config,
        }
    }
}

/// The database of a handle, as text and as metadata.
#[derive(Clone)]
struct Database {
    name: Arc<str>,
    header: Option<HeaderValue>,
}

impl Database {
    fn new(name: &str) -> Option<Self> {
        let header = if name.is_empty() {
            None
        } else {
            Some(HeaderValue::from_str(name).ok()?)
        };
        Some(Self {
            name: name.into(),
            header,
        })
    }
}

/// What one call does differently; see [`Connection::call_with`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CallOptions {
    /// How long the call may take, over everything; `None` for the connection's `call_timeout`.
    pub timeout: Option<Duration>,
    /// What may be done with the call when nobody knows whether an attempt was applied; `None` for what the table of
    /// calls says of this request.
    pub class: Option<OperationClass>,
    /// The id under which the server traces the call; `None` for one of ours.
    pub request_id: Option<String>,
}

impl CallOptions {
    /// With this much time.
    pub fn timeout(timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            ..Self::default()
        }
    }
}

impl Connection {
    /// Connects: returns once the target has answered Milvus's handshake with the given credentials and has the
    /// database, within `connect_timeout`. The alias is used in errors and snapshots.
    ///
    /// # Errors
    /// [`ErrorKind::Connect`] with the failure that was found, as soon as it is known; `InvalidConfiguration` before
    /// anything is sent.
    pub async fn connect(alias: &str, config: ConnectionConfig) -> Result<Self, Error> {
        let alias: Arc<str> = alias.into();
        let address: Arc<str> = config.target.address().into();
        let Some(database) = Database::new(&config.database) else {
            return Err(Error::invalid_configuration(
                &alias,
                &address,
                format!("{:?} is no valid database name", config.database),
            ));
        };
        let deadline = after(Instant::now(), config.options.connect_timeout);
        let backend = Backend::connect(&config, deadline)
            .await
            .map_err(|error| Error::connect(&alias, &error))?;
        let shared = Arc::new(Shared::new(alias, address, config, backend));
        let connection = Self { shared, database };
        connection.check_database(deadline).await?;
        Ok(connection)
    }

    /// A connection to a service in this process; returns once it has answered Milvus's handshake and has the database.
    ///
    /// # Errors
    /// `InvalidConfiguration` when the database's name can't be one; [`ErrorKind::Connect`] when the service refuses.
    pub async fn in_process<S, B>(
        alias: &str,
        config: ConnectionConfig,
        service: S,
    ) -> Result<Self, Error>
    where
        S: tower_service::Service<http::Request<RequestBody>, Response = http::Response<B>>
            + Clone
            + Send
            + 'static,
        S::Error: std::fmt::Display + Send,
        S::Future: Send,
        B: http_body::Body + Send + 'static,
        B::Data: Send,
        B::Error: std::fmt::Display + Send,
    {
        let alias: Arc<str> = alias.into();
        let address: Arc<str> = config.target.address().into();
        let Some(database) = Database::new(&config.database) else {
            return Err(Error::invalid_configuration(
                &alias,
                &address,
                format!("{:?} is no valid database name", config.database),
            ));
        };
        let service: Box<dyn Service> = Box::new(Tower(std::sync::Mutex::new(service)));
        let backend = Backend::InProcess {
            service: ArcSwapOption::from_pointee(service),
            metrics: Metrics::register(&address),
        };
        let deadline = after(Instant::now(), config.options.connect_timeout);
        let connection = Self {
            shared: Arc::new(Shared::new(alias, address, config, backend)),
            database,
        };
        if let Some(answer) = connection.ask_for_database(deadline).await? {
            // Set here for the first time: nobody else has the handle yet.
            let _ = connection.shared.described.set(ServerDescription::from(
                answer.server_info.unwrap_or_default(),
            ));
        }
        Ok(connection)
    }

    async fn check_database(&self, deadline: Instant) -> Result<(), Error> {
        let name = &self.database.name;
        if name.is_empty() || **name == *DEFAULT_DATABASE {
            return Ok(());
        }
        self.ask_for_database(deadline).await.map(drop)
    }

    /// Asks whether the handle's database exists: the pool's own handshake names none, since a pool is shared by handles
    /// with different databases. `None` from a server that does not know the question: it has no databases to choose
    /// from, or says so with the first call.
    async fn ask_for_database(&self, deadline: Instant) -> Result<Option<ConnectResponse>, Error> {
        let options = CallOptions::timeout(deadline.saturating_duration_since(Instant::now()));
        let failed = match self
            .call_with(&rpc::CONNECT, ConnectRequest::default(), options)
            .await
        {
            Ok(answer) => return Ok(Some(answer)),
            Err(error) if error.kind() == ErrorKind::Unimplemented => return Ok(None),
            Err(error) => error,
        };
        let Some(answer) = failed.answer() else {
            return Err(failed);
        };
        let anonymous = self.authorization_is_missing();
        let error = Judge {
            address: &self.shared.address,
            anonymous,
        }
        .answered(answer.clone());
        Err(Error::connect(
            &self.shared.alias,
            &ConnectError {
                detail: format!("{:?}", self.database.name),
                ..error
            },
        ))
    }

    fn authorization_is_missing(&self) -> bool {
        matches!(&self.shared.config.credentials, CredentialSource::Fixed(credentials) if credentials.is_anonymous())
    }

    /// Makes a call. An empty `db_name` in the request is filled with the handle's database.
    ///
    /// # Errors
    /// Typed and complete: see [`Error`]. [`Error::applied`] says whether a write may have been done.
    pub async fn call<Req, Res>(&self, rpc: &Rpc<Req, Res>, request: Req) -> Result<Res, Error>
    where
        Req: prost::Message,
        Res: prost::Message + Default,
    {
        self.call_with(rpc, request, CallOptions::default()).await
    }

    /// Makes a call with options of its own.
    ///
    /// # Errors
    /// As [`Connection::call`].
    pub async fn call_with<Req, Res>(
        &self,
        rpc: &Rpc<Req, Res>,
        mut request: Req,
        options: CallOptions,
    ) -> Result<Res, Error>
    where
        Req: prost::Message,
        Res: prost::Message + Default,
    {
        if let Some(database) = rpc.database_mut(&mut request)
            && database.is_empty()
        {
            database.push_str(&self.database.name);
        }
        let class = options.class.unwrap_or_else(|| rpc.class_of(&request));
        let message = self.encode(rpc, &request)?;
        // From here on only the encoded bytes are needed, of all attempts.
        drop(request);
        let mut decoded = None;
        let mut check = |received: ReceivedMessage| {
            let response: Res = received.decode()?;
            let failed = rpc
                .status(&response)
                .filter(|status| !status.is_success())
                .map(ServerAnswer::from_status);
            decoded = Some(response);
            Ok(failed)
        };
        self.run(rpc.info(), class, &message, options, &mut check)
            .await?;
        decoded.ok_or_else(|| {
            self.error(
                ErrorKind::Decode,
                Phase::Decode,
                "there was no message in it",
            )
        })
    }

    fn encode<Req: prost::Message, Res>(
        &self,
        rpc: &Rpc<Req, Res>,
        request: &Req,
    ) -> Result<EncodedMessage, Error> {
        encode_grpc_frame(request, self.shared.config.options.max_request_bytes).map_err(|error| {
            let hint = "Send it in smaller parts, or raise max_request_bytes together with the server's limit.";
            let detail = format!("it has {} bytes, the limit is {} bytes", error.length, error.limit);
            self.error(ErrorKind::RequestTooLarge, Phase::Configuration, detail).with_call(rpc.name(), 0, Duration::ZERO).with_hint(hint)
        })
    }

    async fn run(
        &self,
        info: &'static rpc::RpcInfo,
        class: OperationClass,
        message: &EncodedMessage,
        options: CallOptions,
        check: &mut attempt::Check<'_>,
    ) -> Result<(), Error> {
        let began = Instant::now();
        let usual = match class {
            OperationClass::LongPoll => LONG_POLL_TIMEOUT,
            _ => self.shared.config.options.call_timeout,
        };
        let request_id = options
            .request_id
            .and_then(RequestId::given)
            .unwrap_or_else(RequestId::new);
        let deadline = after(began, options.timeout.unwrap_or(usual));
        let database = self.database.header.clone();
        let call = Call {
            info,
            class,
            message,
            database,
            request_id,
            began,
            deadline,
            alias: &self.shared.alias,
        };
        let facts = telemetry::CallSpan {
            server: &self.shared.server,
            database: &self.database.name,
        };
        let span = telemetry::call_span(&call, &facts);
        let outcome = self
            .shared
            .backend
            .run(&call, &self.shared.address, check)
            .instrument(span.clone())
            .await;
        telemetry::call_ended(&span, &outcome);
        outcome
    }

    fn error(&self, kind: ErrorKind, phase: Phase, detail: impl Into<String>) -> Error {
        Error::new(
            kind,
            phase,
            &self.shared.alias,
            &self.shared.address,
            detail,
        )
    }

    /// The same connection with another database. Nothing is sent.
    ///
    /// # Errors
    /// `InvalidRequest` when the name can't be one.
    pub fn with_database(&self, name: &str) -> Result<Self, Error> {
        match Database::new(name) {
            Some(database) => Ok(Self {
                shared: Arc::clone(&self.shared),
                database,
            }),
            None => Err(Error::invalid_request(
                &self.shared.alias,
                None,
                format!("{name:?} is no valid database name"),
            )),
        }
    }

    pub(crate) fn pool(&self) -> Option<Arc<Pool>> {
        let current = self.shared.backend.current();
        current.map(|current| Arc::clone(current.pool()))
    }

    /// A place for a call on the network; `None` when closed, and for a service in this process.
    pub(crate) fn seat(&self) -> Option<Seat<'_>> {
        self.shared.backend.seat()
    }

    pub(crate) fn database_header(&self) -> Option<&HeaderValue> {
        self.database.header.as_ref()
    }

    /// The database of calls that name none; empty for the server's default one.
    pub fn database(&self) -> &str {
        &self.database.name
    }

    /// The alias under which this handle was made.
    pub fn alias(&self) -> &str {
        &self.shared.alias
    }

    /// The target's address.
    pub fn address(&self) -> &str {
        &self.shared.address
    }

    /// The configuration that this handle was made with.
    pub fn config(&self) -> &ConnectionConfig {
        &self.shared.config
    }

    /// The same for all handles to one target, whatever their alias, credentials or database: what session timestamps
    /// are kept by.
    pub fn logical_target(&self) -> &str {
        &self.shared.address
    }

    /// What the server said of itself in its last handshake.
    pub fn server(&self) -> ServerDescription {
        match self.shared.backend.current() {
            Some(current) => (**current.pool().server.load()).clone(),
            None => self.shared.described.get().cloned().unwrap_or_default(),
        }
    }

    /// True when calls can be made: not closed.
    pub fn is_open(&self) -> bool {
        self.shared.backend.is_open()
    }

    /// How the connection is at this moment.
    pub fn status(&self) -> ConnectionStatus {
        let (alias, database) = (&self.shared.alias, &self.database.name);
        match self.shared.backend.current() {
            Some(current) => {
                let status = ConnectionStatus::of_pool(alias, database, current.pool());
                if current.lease().is_open() {
                    status
                } else {
                    ConnectionStatus {
                        state: ConnectionState::Closed,
                        ..status
                    }
                }
            }
            None => {
                let state = if self.is_open() {
                    ConnectionState::Ready
                } else {
                    ConnectionState::Closed
                };
                ConnectionStatus::in_process(
                    alias,
                    &self.shared.address,
                    database,
                    state,
                    self.server(),
                )
            }
        }
    }

    /// What happens to the channels from now on. A service in this process has none; of a global cluster, those of the
    /// cluster that is primary now.
    pub fn events(&self) -> Events {
        let current = self.shared.backend.current();
        Events::new(current.map(|current| current.pool().events.subscribe()))
    }

    /// Replaces the credentials of the pool behind this handle, for all handles that share it; the next attempt of
    /// every call uses them. Of a global cluster also those of the global endpoint and of the clusters that become primary
    /// later. Channels stay. A closed handle changes nothing.
    pub fn update_credentials(&self, credentials: impl Into<CredentialSource>) {
        self.shared.backend.replace_credentials(credentials.into());
    }

    /// Closes this handle and its clones: no call begins any more, those that wait are told, and those in flight have
    /// `drain_timeout` to end, then they are cut. Where other handles share the pool, it stays open for them. Closing twice
    /// is fine.
    pub async fn close(&self) {
        self.shared
            .backend
            .close(self.shared.config.options.drain_timeout)
            .await;
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("alias", &self.shared.alias)
            .field("address", &self.shared.address)
            .field("database", &self.database.name)
            .field("state", &self.status().state)
            .finish_non_exhaustive()
    }
}
