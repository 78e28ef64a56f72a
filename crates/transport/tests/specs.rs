//! Behaviour as data: every file in `specs/` is a story of steps, what each must lead to, and exactly what happens to the
//! channels meanwhile. Each is named after what users of other clients complain about.
//!
//! A channel is called by its server and a number, `one-2` is the second channel to server `one` that became ready. Its
//! history is exact and in order: `ready`, then `unresponsive` and `responsive` in turn, then at most one `draining`, then
//! `closed`; `(draining)` may be missing, since a
//! connection without calls can be over before its farewell is looked at. Between channels there is no order.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use h2::Reason;
use milvus_protocol::milvus::{HasCollectionRequest, InsertRequest, UpsertRequest};
use milvus_protocol::rpc;
use milvus_testkit::fault::{
    Direction, FaultServer, FaultServerOptions, FrameRule, FrameThen, FrameWhen, LastStream, Rule,
    Then, When,
};
use milvus_transport::{
    CallOptions, ChannelId, Connection, ConnectionConfig, ConnectionOptions, Error, EventKind,
    Events, parse_uri,
};
use serde::Deserialize;
use tokio::task::JoinHandle;

/// Bounds every wait; machines are shared and slow.
const LONG: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec {
    /// What users complain about.
    #[expect(dead_code, reason = "for the reader of the file")]
    complaint: String,
    /// What is so here.
    #[expect(dead_code, reason = "for the reader of the file")]
    here: String,
    #[serde(default)]
    options: Options,
    servers: BTreeMap<String, Server>,
    steps: Vec<Step>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    max_channels: Option<usize>,
    outage_patience_ms: Option<u64>,
    keepalive_timeout_ms: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    max_concurrent_streams: Option<u32>,
}

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
enum Step {
    /// Connects to all servers.
    Connect {
        #[serde(default = "prod")]
        alias: String,
        #[serde(default)]
        expect: Expect,
    },
    Call {
        rpc: String,
        #[serde(default = "prod")]
        alias: String,
        times: Option<usize>,
        timeout_ms: Option<u64>,
        #[serde(default)]
        expect: Expect,
    },
    /// Begins a call that goes on while the next steps are made.
    Begin {
        name: String,
        rpc: String,
    },
    /// Ends a begun call.
    Finish {
        name: String,
        #[serde(default)]
        expect: Expect,
    },
    /// Drops the future of a begun call.
    Drop {
        name: String,
    },
    Rule {
        server: String,
        rpc: String,
        then: String,
        times: Option<u64>,
    },
    ClearRules {
        server: String,
    },
    /// From its next frame on, the connection of this server delivers nothing more and stays open.
    Silence {
        server: String,
    },
    Stop {
        server: String,
    },
    /// At the address where it was.
    Restart {
        server: String,
    },
    AwaitDialFailure {
        says: String,
    },
    /// Waits until as many calls have come.
    AwaitArrival {
        server: String,
        rpc: String,
        count: u64,
    },
    /// How many calls came to all servers together.
    Counts {
        rpc: String,
        arrived: u64,
        applied: u64,
    },
    /// Waits until the snapshot is so.
    Status {
        state: Option<String>,
        channels: Option<usize>,
        calls_in_flight: Option<u32>,
        calls_waiting: Option<usize>,
        throttled: Option<u64>,
        retry_tokens: Option<i64>,
    },
    /// Waits until the histories of all channels are these.
    Events {
        channels: BTreeMap<String, Vec<String>>,
    },
    Close {
        #[serde(default = "prod")]
        alias: String,
    },
}

fn prod() -> String {
    "prod".into()
}

/// What a call or a connect leads to; success without a word.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    error: Option<String>,
    phase: Option<String>,
    applied: Option<String>,
    attempts: Option<u32>,
    says: Option<String>,
}

impl Expect {
    fn check(&self, step: &str, outcome: Result<(), Error>) {
        let error = match (outcome, &self.error) {
            (Ok(()), None) => return,
            (Ok(()), Some(wanted)) => panic!("{step}: succeeded, {wanted} was expected"),
            (Err(error), None) => panic!("{step}: {error}"),
            (Err(error), Some(_)) => error,
        };
        let is = |wanted: &Option<String>, found: String| {
            if let Some(wanted) = wanted {
                assert_eq!(*wanted, found, "{step}: {error}");
            }
        };
        is(&self.error, format!("{:?}", error.kind()));
        is(&self.phase, format!("{:?}", error.phase()));
        is(&self.applied, format!("{:?}", error.applied()));
        if let Some(attempts) = self.attempts {
            assert_eq!(attempts, error.attempts(), "{step}: {error}");
        }
        if let Some(words) = &self.says {
            assert!(error.to_string().contains(words), "{step}: {error}");
        }
    }
}

/// What happened to the channels so far.
struct Histories {
    events: Events,
    of: BTreeMap<String, Vec<String>>,
    names: HashMap<ChannelId, String>,
    dial_failures: Vec<String>,
}

impl Histories {
    fn follow(connection: &Connection, servers: &Servers) -> Self {
        let mut this = Self {
            // First the events, so that nothing is missed; what is in both counts once.
            events: connection.events(),
            of: BTreeMap::new(),
            names: HashMap::new(),
            dial_failures: Vec::new(),
        };
        for channel in connection.status().channels {
            this.ready(channel.id, &channel.peer, servers);
        }
        this
    }

    fn ready(&mut self, channel: ChannelId, peer: &str, servers: &Servers) {
        if self.names.contains_key(&channel) {
            return;
        }
        let server = servers.name_of(peer);
        let number = 1 + self
            .names
            .values()
            .filter(|name| name.starts_with(&format!("{server}-")))
            .count();
        let name = format!("{server}-{number}");
        self.of.insert(name.clone(), vec!["ready".into()]);
        self.names.insert(channel, name);
    }

    fn are(&self, wanted: &BTreeMap<String, Vec<String>>) -> bool {
        let same = |(name, history): (&String, &Vec<String>)| {
            let wanted = wanted.get(name).map(Vec::as_slice).unwrap_or_default();
            let without: Vec<_> = wanted.iter().filter(|what| *what != "(draining)").collect();
            let with = wanted.iter().map(|what| what.trim_matches(['(', ')']));
            history.iter().eq(with) || history.iter().eq(without)
        };
        self.of.len() == wanted.len() && self.of.iter().all(same)
    }

    fn add(&mut self, channel: ChannelId, what: &str) {
        if let Some(name) = self.names.get(&channel) {
            self.of.get_mut(name).unwrap().push(what.into());
        }
    }

    /// Takes events until `done` holds.
    async fn until(&mut self, servers: &Servers, what: &str, done: impl Fn(&Self) -> bool) {
        let waited = tokio::time::timeout(LONG, async {
            while !done(self) {
                match self.events.next().await {
                    Some(event) => self.take(event.kind, servers),
                    None => panic!("the events ended before {what}; {:?}", self.of),
                }
            }
        });
        if waited.await.is_err() {
            panic!("no {what}; {:?}, {:?}", self.of, self.dial_failures);
        }
    }

    fn take(&mut self, kind: EventKind, servers: &Servers) {
        match kind {
            EventKind::Ready { channel, peer } => self.ready(channel, &peer, servers),
            EventKind::Unresponsive { channel } => self.add(channel, "unresponsive"),
            EventKind::Responsive { channel } => self.add(channel, "responsive"),
            EventKind::Draining { channel, .. } => self.add(channel, "draining"),
            EventKind::Closed { channel, .. } => self.add(channel, "closed"),
            EventKind::DialFailed { error, .. } => self.dial_failures.push(error.to_string()),
            _ => {}
        }
    }
}

/// The servers of a story: running, or the address where one was.
#[derive(Default)]
struct Servers {
    running: BTreeMap<String, FaultServer>,
    addresses: BTreeMap<String, SocketAddr>,
    limits: BTreeMap<String, Option<u32>>,
    /// Arrived and applied calls of servers that were stopped.
    before: HashMap<String, (u64, u64)>,
}

impl Servers {
    async fn start(&mut self, name: &str) {
        let options = FaultServerOptions {
            address: self.addresses.get(name).copied(),
            max_concurrent_streams: self.limits.get(name).copied().flatten(),
            ..FaultServerOptions::default()
        };
        let server = FaultServer::start(options).await.unwrap();
        self.addresses.insert(name.into(), server.address());
        self.running.insert(name.into(), server);
    }

    async fn stop(&mut self, name: &str) {
        let server = self.running.remove(name).unwrap();
        for rpc in ["HasCollection", "Insert", "Upsert"] {
            let before = self.before.entry(rpc.into()).or_default();
            before.0 += server.arrived(rpc);
            before.1 += server.applied(rpc);
        }
        server.stop().await;
    }

    fn counts(&self, rpc: &str) -> (u64, u64) {
        let before = self.before.get(rpc).copied().unwrap_or_default();
        self.running
            .values()
            .fold(before, |(arrived, applied), server| {
                (arrived + server.arrived(rpc), applied + server.applied(rpc))
            })
    }

    fn name_of(&self, peer: &str) -> &str {
        let found = self
            .addresses
            .iter()
            .find(|(_, address)| address.to_string() == peer);
        found.map(|(name, _)| name.as_str()).unwrap()
    }

    fn uri(&self) -> String {
        let all: Vec<_> = self.addresses.values().map(ToString::to_string).collect();
        format!("http://{}", all.join(","))
    }
}

struct Story {
    servers: Servers,
    options: ConnectionOptions,
    connections: HashMap<String, Connection>,
    histories: Option<Histories>,
    begun: HashMap<String, JoinHandle<Result<(), Error>>>,
}

impl Story {
    async fn tell(spec: Spec) {
        let mut options = ConnectionOptions::default();
        options.call_timeout = LONG;
        options.connect_timeout = LONG;
        options.max_channels = spec.options.max_channels.unwrap_or(1);
        if let Some(patience) = spec.options.outage_patience_ms {
            options.outage_patience = Duration::from_millis(patience);
        }
        if let Some(timeout) = spec.options.keepalive_timeout_ms {
            options.keepalive_timeout = Duration::from_millis(timeout);
        }
        let mut servers = Servers::default();
        for (name, server) in &spec.servers {
            servers
                .limits
                .insert(name.clone(), server.max_concurrent_streams);
            servers.start(name).await;
        }
        let mut story = Self {
            servers,
            options,
            connections: HashMap::new(),
            histories: None,
            begun: HashMap::new(),
        };
        assert!(
            matches!(spec.steps.last(), Some(Step::Events { .. })),
            "a story ends with the histories of all channels"
        );
        for (index, step) in spec.steps.into_iter().enumerate() {
            let place = format!("step {}", index + 1);
            story.step(&place, step).await;
        }
    }

    async fn step(&mut self, place: &str, step: Step) {
        match step {
            Step::Connect { alias, expect } => self.connect(place, alias, &expect).await,
            Step::Call {
                rpc,
                alias,
                times,
                timeout_ms,
                expect,
            } => {
                let connection = self.connections.get(&alias).unwrap();
                let options = CallOptions::timeout(timeout_ms.map_or(LONG, Duration::from_millis));
                for _ in 0..times.unwrap_or(1) {
                    let outcome = call(connection, &rpc, options.clone()).await;
                    expect.check(place, outcome);
                }
            }
            Step::Begin { name, rpc } => {
                let connection = self.connections.get("prod").unwrap().clone();
                let call = async move { call(&connection, &rpc, CallOptions::timeout(LONG)).await };
                self.begun.insert(name, tokio::spawn(call));
            }
            Step::Finish { name, expect } => {
                let call = self.begun.remove(&name).unwrap();
                expect.check(place, call.await.unwrap());
            }
            Step::Drop { name } => {
                let call = self.begun.remove(&name).unwrap();
                call.abort();
                assert!(call.await.unwrap_err().is_cancelled());
            }
            Step::Rule {
                server,
                rpc,
                then,
                times,
            } => {
                let rule =
                    Rule::new(When::rpc(rpc), then_of(&then)).times(times.unwrap_or(u64::MAX));
                self.servers.running.get(&server).unwrap().rule(rule);
            }
            Step::ClearRules { server } => self.servers.running.get(&server).unwrap().clear_rules(),
            Step::Silence { server } => {
                let to_client = FrameWhen {
                    direction: Some(Direction::ToClient),
                    ..FrameWhen::default()
                };
                let link = self.servers.running.get(&server).unwrap().link();
                link.rule(FrameRule::new(to_client, FrameThen::Stall).times(1));
            }
            Step::Stop { server } => self.servers.stop(&server).await,
            Step::Restart { server } => self.servers.start(&server).await,
            Step::Close { alias } => {
                let connection = self.connections.get(&alias).unwrap();
                tokio::time::timeout(LONG, connection.close())
                    .await
                    .unwrap();
            }
            observed => self.observe(place, observed).await,
        }
    }

    async fn connect(&mut self, place: &str, alias: String, expect: &Expect) {
        let target = parse_uri(&self.servers.uri()).unwrap().target;
        let config = ConnectionConfig::new(target).options(self.options.clone());
        match Connection::connect(&alias, config).await {
            Ok(connection) => {
                expect.check(place, Ok(()));
                if self.histories.is_none() {
                    self.histories = Some(Histories::follow(&connection, &self.servers));
                }
                self.connections.insert(alias, connection);
            }
            Err(error) => expect.check(place, Err(error)),
        }
    }

    /// The steps that look and do nothing.
    async fn observe(&mut self, place: &str, step: Step) {
        match step {
            Step::AwaitDialFailure { says } => {
                let histories = self.histories.as_mut().unwrap();
                histories.dial_failures.clear();
                let failed = |histories: &Histories| {
                    let failures = &histories.dial_failures;
                    failures.iter().any(|failure| failure.contains(&says))
                };
                histories.until(&self.servers, &says, failed).await;
            }
            Step::AwaitArrival { server, rpc, count } => {
                let server = self.servers.running.get(&server).unwrap();
                eventually(place, || server.arrived(&rpc), &count).await;
            }
            Step::Counts {
                rpc,
                arrived,
                applied,
            } => assert_eq!(
                self.servers.counts(&rpc),
                (arrived, applied),
                "{place}: arrived and applied"
            ),
            Step::Status {
                state,
                channels,
                calls_in_flight,
                calls_waiting,
                throttled,
                retry_tokens,
            } => {
                let connection = self.connections.get("prod").unwrap();
                // What the step does not name counts as it is.
                let found = || {
                    let status = connection.status();
                    (
                        state.as_ref().map(|_| status.state.to_string()),
                        channels.map(|_| status.channels.len()),
                        calls_in_flight.map(|_| status.calls_in_flight),
                        calls_waiting.map(|_| status.calls_waiting),
                        throttled.map(|_| status.calls.throttled),
                        retry_tokens.map(|_| status.retry_tokens),
                    )
                };
                let wanted = (
                    state.clone(),
                    channels,
                    calls_in_flight,
                    calls_waiting,
                    throttled,
                    retry_tokens,
                );
                eventually(place, found, &wanted).await;
            }
            Step::Events { channels } => {
                let what = format!("{place}: {channels:?}");
                let histories = self.histories.as_mut().unwrap();
                histories
                    .until(&self.servers, &what, |histories| histories.are(&channels))
                    .await;
            }
            _ => panic!("{place} is not made here"),
        }
    }
}

/// Waits until what is found is what is wanted.
async fn eventually<T: PartialEq + std::fmt::Debug>(
    place: &str,
    found: impl Fn() -> T,
    wanted: &T,
) {
    let waited = tokio::time::timeout(LONG, async {
        while found() != *wanted {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    if waited.await.is_err() {
        panic!("{place}: {:?} is not {wanted:?}", found());
    }
}

async fn call(connection: &Connection, rpc: &str, options: CallOptions) -> Result<(), Error> {
    match rpc {
        "HasCollection" => connection
            .call_with(
                &rpc::HAS_COLLECTION,
                HasCollectionRequest::default(),
                options,
            )
            .await
            .map(drop),
        "Insert" => connection
            .call_with(&rpc::INSERT, InsertRequest::default(), options)
            .await
            .map(drop),
        "Upsert" => connection
            .call_with(&rpc::UPSERT, UpsertRequest::default(), options)
            .await
            .map(drop),
        other => panic!("no step makes the call {other}"),
    }
}

fn then_of(words: &str) -> Then {
    match words {
        "close" => Then::Close,
        "abort" => Then::Abort,
        "hang" => Then::Hang,
        "refuse" => Then::Reset(Reason::REFUSED_STREAM),
        "go away before this" => Then::GoAway(LastStream::BeforeThis, Reason::NO_ERROR),
        "go away after this" => Then::GoAway(LastStream::This, Reason::NO_ERROR),
        "too many pings" => Then::GoAway(LastStream::BeforeThis, Reason::ENHANCE_YOUR_CALM),
        "rate limited" => Then::rate_limited(),
        "not ready" => Then::not_ready(),
        "wrong password" => Then::GrpcStatus(16, "auth check failure, please check api key".into()),
        "transient" => Then::GrpcStatus(14, "the query node is away".into()),
        other => panic!("no server does {other:?}"),
    }
}

fn run(name: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("specs/{name}.toml"));
    let text = std::fs::read_to_string(&path).unwrap();
    let spec: Spec = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(4 * LONG, Story::tell(spec))
            .await
            .unwrap();
    });
}

macro_rules! specs {
    ($($name:ident)*) => {
        $(#[test] fn $name() { run(stringify!($name)); })*

        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

specs! {
    a_cancelled_caller_leaks_no_slot
    a_dead_endpoint_is_never_chosen
    a_failed_connect_is_not_remembered
    a_goaway_is_not_noticed
    a_half_dead_endpoint_is_left_in_time
    a_proxy_that_is_not_ready_is_not_used
    a_restart_is_waited_out
    a_timeout_is_not_a_cancellation
    a_write_is_not_sent_twice
    closing_one_alias_does_not_break_another
    one_connection_is_not_the_ceiling
    overload_marks_nothing_bad
    reads_are_repeated
    too_many_pings_are_survived
    waiting_names_its_cause
}

#[test]
fn every_file_is_a_test() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("specs");
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    files.sort();
    assert_eq!(files, NAMES);
}
