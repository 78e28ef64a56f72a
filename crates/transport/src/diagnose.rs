//! Why can't it connect: the way of a connect, step by step, each timed and explained.
//!
//! Invariant: the steps are the ones that `connect` takes, by the same functions, on connections of their own: a
//! diagnosis never touches the channels of a pool. It stops at the first step that fails.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::HeaderValue;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::channel::{Gauges, Peer};
use crate::config::ConnectionConfig;
use crate::credentials::Credentials;
use crate::dial::{
    FirstBytes, Resolver, Stream, TlsSetup, connect_tcp, connect_unix, handshake_tls, interleave,
    resolve, set_up_tls, silent,
};
use crate::error::{ConnectError, ConnectFailure, Phase, ServerAnswer};
use crate::handshake::{Greeting, ServerDescription, greet};
use crate::http2::{Keepalive, drive, handshake};
use crate::pool::establish::{Driver, Greeter, Place, Route, unanswered};
use crate::pool::{mismatch, routes};
use crate::target::{Endpoint, Host};

/// What was found out about a target, endpoint by endpoint.
///
/// ```no_run
/// # async fn example() -> Result<(), milvus_transport::TargetError> {
/// use milvus_transport::{ConnectionConfig, diagnose, parse_uri};
///
/// let config = ConnectionConfig::new(parse_uri("https://localhost:19530")?.target);
/// let diagnosis = diagnose("dev", &config).await;
/// if let Some(step) = diagnosis.first_failure() {
///     println!("{:?}: {}", step.step, step.meaning.as_deref().unwrap_or_default());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The alias; empty for a configuration without one.
    pub alias: String,
    /// The target.
    pub address: String,
    /// True when every step of every endpoint passed.
    pub healthy: bool,
    /// One for each endpoint of the target.
    pub endpoints: Vec<EndpointDiagnosis>,
}

/// What was found out about one endpoint.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct EndpointDiagnosis {
    /// The endpoint.
    pub address: String,
    /// The steps, in their order; those after a failure are there as not reached.
    pub steps: Vec<DiagnosisStep>,
}

/// The steps of a connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// Can the configuration be used?
    Configuration,
    /// Does the name have addresses?
    Dns,
    /// Does an address take connections?
    Tcp,
    /// Is TLS agreed on, and the server who it should be?
    Tls,
    /// Is HTTP/2 spoken?
    Http2,
    /// Is it a Milvus, and is it ready?
    Handshake,
    /// Does it know us?
    Authentication,
    /// Has it the database?
    Database,
    /// Which version is it?
    Version,
}

impl Step {
    /// All steps, in their order.
    pub const ALL: [Self; 9] = [
        Self::Configuration,
        Self::Dns,
        Self::Tcp,
        Self::Tls,
        Self::Http2,
        Self::Handshake,
        Self::Authentication,
        Self::Database,
        Self::Version,
    ];

    /// The step in which a failure of this phase shows.
    fn of(phase: Phase) -> Self {
        match phase {
            Phase::Configuration => Self::Configuration,
            Phase::Dns => Self::Dns,
            Phase::Tcp => Self::Tcp,
            Phase::Tls => Self::Tls,
            Phase::Http2 => Self::Http2,
            Phase::Authentication => Self::Authentication,
            Phase::Database => Self::Database,
            _ => Self::Handshake,
        }
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Configuration => "configuration",
            Self::Dns => "DNS",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Http2 => "HTTP/2",
            Self::Handshake => "handshake",
            Self::Authentication => "authentication",
            Self::Database => "database",
            Self::Version => "version",
        })
    }
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepOutcome {
    /// Well.
    Passed,
    /// This target has no such step.
    NotNeeded,
    /// Badly.
    Failed,
    /// An earlier step failed.
    NotReached,
}

/// One step of a diagnosis.
#[derive(Clone, Debug, serde::Serialize)]
#[non_exhaustive]
pub struct DiagnosisStep {
    /// Which.
    pub step: Step,
    /// How it ended.
    pub outcome: StepOutcome,
    /// How long it took, in microseconds.
    pub micros: u64,
    /// What was seen: addresses, the TLS version, the server's words.
    pub detail: String,
    /// Which failure it is.
    pub failure: Option<ConnectFailure>,
    /// What the failure means.
    pub meaning: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// What the server answered.
    pub answer: Option<ServerAnswer>,
}

impl Diagnosis {
    /// The first step that failed, of the first endpoint that has one.
    pub fn first_failure(&self) -> Option<&DiagnosisStep> {
        self.endpoints
            .iter()
            .flat_map(|endpoint| &endpoint.steps)
            .find(|step| step.outcome == StepOutcome::Failed)
    }

    /// A diagnosis that could not begin: the configuration can't be used.
    pub fn of_configuration(
        alias: &str,
        address: &str,
        failure: ConnectFailure,
        detail: &str,
    ) -> Self {
        let error = ConnectError::new(failure, Phase::Configuration, &address.into(), detail);
        let mut walk = Walk::begin();
        walk.fail(error);
        Self::new(alias, address, vec![walk.finish(address)])
    }

    fn new(alias: &str, address: &str, endpoints: Vec<EndpointDiagnosis>) -> Self {
        let mut this = Self {
            alias: alias.into(),
            address: address.into(),
            healthy: false,
            endpoints,
        };
        this.healthy = this.first_failure().is_none();
        this
    }
}

/// Walks the way of a connect and explains each step. Takes at most the configuration's `connect_timeout` for each
/// endpoint.
pub async fn diagnose(alias: &str, config: &ConnectionConfig) -> Diagnosis {
    let address = config.target.address();
    let routes = match routes(config) {
        Ok(routes) => routes,
        Err(error) => {
            return Diagnosis::of_configuration(alias, &address, error.failure, &error.detail);
        }
    };
    let mut endpoints = Vec::with_capacity(routes.len());
    for route in &routes {
        let mut walk = Walk::begin();
        let steps = walk_route(&mut walk, route, config);
        match tokio::time::timeout(config.options.connect_timeout, steps).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => walk.fail(error),
            Err(_) => {
                let detail = format!(
                    "not done within {:.1} s",
                    config.options.connect_timeout.as_secs_f32()
                );
                walk.fail(ConnectError::new(
                    ConnectFailure::TimedOut,
                    walk.phase,
                    &route.address,
                    detail,
                ));
            }
        }
        endpoints.push(walk.finish(&route.address));
    }
    Diagnosis::new(alias, &address, endpoints)
}

async fn walk_route(
    walk: &mut Walk,
    route: &Route,
    config: &ConnectionConfig,
) -> Result<(), ConnectError> {
    let credentials = config
        .credentials
        .read()
        .await
        .map_err(|error| ConnectError::unreadable_credentials(&route.address, error))?;
    let tls = if route.secure {
        Some(set_up_tls(&route.host(), &route.tls, &route.address).await?)
    } else {
        None
    };
    let user = credentials
        .user()
        .map_or_else(|| "no user".to_owned(), |user| format!("user {user}"));
    walk.pass(Step::Configuration, format!("{}, {user}", route.address));
    let (stream, peer) = walk_to_stream(walk, route, tls, config.options.dial_timeout).await?;
    let http2 = walk_to_http2(walk, route, config, stream, peer).await?;
    walk_to_version(walk, route, config, &credentials, &http2).await
}

/// An HTTP/2 connection of the diagnosis's own.
struct Http2 {
    sender: SendRequest<Bytes>,
    peer: Peer,
    first_bytes: Arc<FirstBytes>,
    _driver: Driver,
}

async fn walk_to_http2(
    walk: &mut Walk,
    route: &Route,
    config: &ConnectionConfig,
    stream: Stream,
    peer: Peer,
) -> Result<Http2, ConnectError> {
    let timeout = config.options.dial_timeout;
    let first_bytes = stream.first_bytes();
    walk.phase = Phase::Http2;
    let (sender, connection) = match handshake(stream).await {
        Ok(connected) => connected,
        Err(error) => {
            return Err(mismatch::explain(route, &peer, &first_bytes, Some(&error), timeout).await);
        }
    };
    let keepalive = Keepalive::of(&config.options, 0);
    let (over, mut ended) = tokio::sync::oneshot::channel();
    let driving = drive(
        connection,
        sender.clone(),
        Arc::new(Gauges::new(Arc::default())),
        Arc::clone(&first_bytes),
        keepalive,
        |_| (),
    );
    let driver = Driver::spawn(async move { drop(over.send(driving.await)) });
    tokio::select! {
        biased;
        () = first_bytes.arrived() => {}
        _ = &mut ended => {}
        () = tokio::time::sleep(timeout) => return Err(silent(Phase::Http2, &route.address)),
    }
    if !first_bytes.is_http2() {
        return Err(mismatch::explain(route, &peer, &first_bytes, None, timeout).await);
    }
    walk.pass(Step::Http2, "the server greets".into());
    Ok(Http2 {
        sender,
        peer,
        first_bytes,
        _driver: driver,
    })
}

async fn walk_to_version(
    walk: &mut Walk,
    route: &Route,
    config: &ConnectionConfig,
    credentials: &Credentials,
    http2: &Http2,
) -> Result<(), ConnectError> {
    let timeout = config.options.dial_timeout;
    let (user, anonymous) = (
        credentials.user().unwrap_or_default(),
        credentials.is_anonymous(),
    );
    let authorization = credentials.authorization();
    let named = HeaderValue::from_str(&config.database)
        .ok()
        .filter(|name| !name.is_empty());
    let mut greeter = Greeter {
        route,
        sender: http2.sender.clone(),
        authorization: authorization.as_ref(),
        database: None,
        timeout,
    };
    walk.phase = Phase::Handshake;
    let Greeting { server, .. } =
        match tokio::time::timeout(timeout, greet(&greeter, &route.address, user, anonymous)).await
        {
            Ok(Ok(greeting)) => greeting,
            Ok(Err(error))
                if error.failure == ConnectFailure::HandshakeBroken
                    && !http2.first_bytes.is_http2() =>
            {
                return Err(mismatch::explain(
                    route,
                    &http2.peer,
                    &http2.first_bytes,
                    None,
                    timeout,
                )
                .await);
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(unanswered(route, &http2.first_bytes)),
        };
    walk.pass(Step::Handshake, "a Milvus answers".into());
    walk.pass(
        Step::Authentication,
        if anonymous {
            "no credentials given, none asked for"
        } else {
            "not refused"
        }
        .into(),
    );
    match &named {
        Some(name) => {
            walk.phase = Phase::Database;
            greeter.database = Some(name);
            greet(&greeter, &route.address, user, anonymous).await?;
            walk.pass(Step::Database, config.database.clone());
        }
        None => walk.pass(Step::Database, "the default one".into()),
    }
    walk.pass(Step::Version, describe(&server));
    Ok(())
}

/// DNS, TCP and TLS, or the Unix socket.
async fn walk_to_stream(
    walk: &mut Walk,
    route: &Route,
    tls: Option<TlsSetup>,
    timeout: Duration,
) -> Result<(Stream, Peer), ConnectError> {
    let endpoint = match &route.place {
        Place::Unix(path) => {
            walk.skip(Step::Dns);
            walk.phase = Phase::Tcp;
            let stream = connect_unix(path, &route.address).await?;
            walk.pass(Step::Tcp, format!("Unix socket {}", path.display()));
            walk.skip(Step::Tls);
            return Ok((Stream::unix(stream), Peer::Unix(path.clone())));
        }
        Place::Tcp(endpoint) => endpoint,
    };
    let (tcp, peer) = walk_to_tcp(walk, route, endpoint, timeout).await?;
    let peer = Peer::Tcp(peer);
    let Some(tls) = tls else {
        walk.skip(Step::Tls);
        return Ok((Stream::tcp(tcp), peer));
    };
    walk.phase = Phase::Tls;
    match handshake_tls(tcp, tls, &route.tls, &route.address, timeout).await {
        Ok((stream, facts)) => {
            walk.pass(
                Step::Tls,
                format!(
                    "{}, {}, for {}",
                    facts.version, facts.cipher, facts.server_name
                ),
            );
            Ok((stream, peer))
        }
        Err(error) => Err(mismatch::explain_tls(route, &peer, error, timeout).await),
    }
}

async fn walk_to_tcp(
    walk: &mut Walk,
    route: &Route,
    endpoint: &Endpoint,
    timeout: Duration,
) -> Result<(TcpStream, SocketAddr), ConnectError> {
    walk.phase = Phase::Dns;
    let addresses = resolve(endpoint, &route.address, &Resolver::System, timeout).await?;
    match endpoint.host {
        Host::Name(_) => {
            let list: Vec<_> = addresses
                .iter()
                .map(|address| address.ip().to_string())
                .collect();
            walk.pass(Step::Dns, list.join(", "));
        }
        Host::V4(_) | Host::V6(_) => walk.skip(Step::Dns),
    }
    walk.phase = Phase::Tcp;
    let (tcp, peer) = connect_tcp(&interleave(&addresses, 0), &route.address, timeout).await?;
    walk.pass(Step::Tcp, peer.to_string());
    Ok((tcp, peer))
}

/// The steps so far.
struct Walk {
    steps: Vec<DiagnosisStep>,
    since: Instant,
    /// Where the walk is: what a deadline that passes now is reported for.
    phase: Phase,
}

impl Walk {
    fn begin() -> Self {
        Self {
            steps: Vec::with_capacity(Step::ALL.len()),
            since: Instant::now(),
            phase: Phase::Configuration,
        }
    }

    fn push(&mut self, step: Step, outcome: StepOutcome, detail: String) {
        let micros = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.since = Instant::now();
        self.steps.push(DiagnosisStep {
            step,
            outcome,
            micros,
            detail,
            failure: None,
            meaning: None,
            hint: None,
            answer: None,
        });
    }

    fn pass(&mut self, step: Step, detail: String) {
        self.push(step, StepOutcome::Passed, detail);
    }

    fn skip(&mut self, step: Step) {
        self.push(step, StepOutcome::NotNeeded, String::new());
    }

    /// Notes the failure at its own step. With TLS 1.3 a server judges the client's certificate when the client already
    /// believes to be done: the verdict then stands at the step that it is about, which had passed. Steps between that
    /// were not noted have passed.
    fn fail(&mut self, error: ConnectError) {
        let failed = Step::of(error.phase);
        self.steps.retain(|done| done.step < failed);
        for step in Step::ALL.into_iter().take_while(|step| *step < failed) {
            if !self.steps.iter().any(|done| done.step == step) {
                self.push(step, StepOutcome::Passed, String::new());
            }
        }
        self.push(failed, StepOutcome::Failed, error.detail);
        if let Some(step) = self.steps.last_mut() {
            step.failure = Some(error.failure);
            step.meaning = Some(error.failure.meaning().to_owned());
            step.hint = Some(error.failure.hint().to_owned());
            step.answer = error.answer;
        }
    }

    fn finish(mut self, address: &str) -> EndpointDiagnosis {
        for step in Step::ALL.into_iter().skip(self.steps.len()) {
            self.since = Instant::now();
            self.push(step, StepOutcome::NotReached, String::new());
        }
        EndpointDiagnosis {
            address: address.to_owned(),
            steps: self.steps,
        }
    }
}

fn describe(server: &ServerDescription) -> String {
    match (server.version.as_str(), server.deploy_mode.as_str()) {
        ("", _) => "the server does not say".into(),
        (version, "") => version.into(),
        (version, mode) => format!("{version} ({})", mode.to_lowercase()),
    }
}
