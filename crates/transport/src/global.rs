//! Global clusters of Zilliz Cloud: several clusters behind one endpoint, of which one takes writes.
//!
//! Invariant: the version of the topology never goes back. A failed look-up keeps the primary that is known. Once a new
//! primary is ready, calls that wait for the former one move to it, and those in flight there end as on a channel that is
//! replaced. Close always wins: nothing is looked up or adopted after it.
//!
//! Facts: a host with a label that contains `global-cluster` is a global endpoint; `GET
//! {endpoint}/global-cluster/topology` with a bearer token tells the clusters; bit 1 of `capability` marks the writable one.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::Instant;

mod rest;
mod topology;

use topology::Topology;

use crate::backend::connected;
use crate::config::ConnectionConfig;
use crate::credentials::{Authorization, AuthorizationCache, CredentialSource, Credentials};
use crate::error::{ConnectError, ConnectFailure, Error, ErrorKind, Phase, ServerAnswer};
use crate::event::{Event, EventKind};
use crate::moment::after;
use crate::pool::establish::Route;
use crate::pool::{Calls, Lease, routes};
use crate::target::{Host, Target, parse_uri};

/// How often the topology is looked up.
#[derive(Clone, Copy)]
struct Pace {
    /// While all is well.
    interval: Duration,
    /// Two look-ups are at least this far apart, however many calls ask.
    floor: Duration,
}

const PACE: Pace = Pace {
    interval: Duration::from_secs(5 * 60),
    floor: Duration::from_millis(500),
};
/// What a cluster says that gets a write and is not the primary.
const NOT_PRIMARY: &str = "STREAMING_CODE_REPLICATE_VIOLATION";

/// True when the target is a global endpoint.
pub(crate) fn is_global(target: &Target) -> bool {
    let Target::Tcp { endpoints, .. } = target else {
        return false;
    };
    let global = |host: &Host| matches!(host, Host::Name(name) if name.split('.').any(|label| label.contains("global-cluster")));
    matches!(endpoints.as_slice(), [only] if global(&only.host))
}

/// The cluster that takes writes now.
pub(crate) struct Primary {
    endpoint: String,
    pub(crate) lease: Lease,
}

/// A global endpoint and the primary behind it.
pub(crate) struct GlobalCluster {
    core: Arc<Core>,
    keeping_up: AbortHandle,
}

/// What the handle and the task that looks the topology up share.
struct Core {
    config: ConnectionConfig,
    route: Arc<Route>,
    authorization: AuthorizationCache,
    primary: ArcSwap<Primary>,
    /// The highest version that was seen.
    version: AtomicI64,
    pace: Pace,
    asked: Notify,
    /// When the look-up began that has ended last, well or badly.
    looked_up: watch::Sender<Option<Instant>>,
    /// Locked while a primary is adopted, credentials are replaced, or the cluster is closed.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    closed: bool,
    /// The calls on former primaries, as far as any are left.
    former: Vec<Arc<Calls>>,
}

impl GlobalCluster {
    /// Looks up the topology and connects to the primary.
    pub(crate) async fn connect(config: ConnectionConfig) -> Result<Arc<Self>, ConnectError> {
        Self::connect_at(PACE, config).await
    }

    async fn connect_at(pace: Pace, config: ConnectionConfig) -> Result<Arc<Self>, ConnectError> {
        let route = routes(&config)?.into_iter().next();
        let address: Arc<str> = config.target.address().into();
        let route = Arc::new(route.ok_or_else(|| {
            ConnectError::new(
                ConnectFailure::InvalidConfiguration,
                Phase::Configuration,
                &address,
                "no endpoint",
            )
        })?);
        let authorization =
            AuthorizationCache::new(config.credentials.clone(), Credentials::bearer);
        let topology = look_up(&config, &route, &authorization).await?;
        let primary = lease(&config, &route, &topology)?;
        connected(
            &primary.lease,
            after(Instant::now(), config.options.connect_timeout),
        )
        .await?;
        let core = Arc::new(Core {
            config,
            route,
            authorization,
            primary: ArcSwap::from_pointee(primary),
            version: AtomicI64::new(topology.version),
            pace,
            asked: Notify::new(),
            looked_up: watch::Sender::new(None),
            state: Mutex::default(),
        });
        let keeping_up = tokio::spawn(keep_up(Arc::clone(&core))).abort_handle();
        Ok(Arc::new(Self { core, keeping_up }))
    }

    pub(crate) fn primary(&self) -> Arc<Primary> {
        self.core.primary.load_full()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.core.state().closed
    }

    /// True when an error may mean that the primary is another one by now.
    pub(crate) fn may_have_moved(error: &Error) -> bool {
        matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Transport)
            || error.answer().is_some_and(Self::is_not_primary)
    }

    /// True when the cluster that answered was not the primary: it has done nothing.
    pub(crate) fn is_not_primary(answer: &ServerAnswer) -> bool {
        answer.reason().contains(NOT_PRIMARY)
    }

    /// Asks for a look at the topology, without waiting for it.
    pub(crate) fn ask(&self) {
        self.core.asked.notify_one();
    }

    /// Ends once the primary is another than `known`, or a look at the topology has ended that is not older than
    /// `evidence`, or the cluster is closed.
    pub(crate) async fn looked_up_since(&self, known: &Arc<Primary>, evidence: Instant) {
        let mut looked_up = self.core.looked_up.subscribe();
        loop {
            let is_known = looked_up
                .borrow_and_update()
                .is_some_and(|began| began >= evidence);
            if is_known || !Arc::ptr_eq(&self.primary(), known) || self.is_closed() {
                return;
            }
            self.ask();
            // The sender is ours: it can't be gone.
            drop(looked_up.changed().await);
        }
    }

    /// Replaces the credentials: those of the global endpoint, of its primary, and of those that will be.
    pub(crate) fn replace_credentials(&self, source: CredentialSource) {
        let state = self.core.state();
        if !state.closed {
            self.core.authorization.replace(source.clone());
            self.primary().lease.replace_credentials(source);
        }
    }

    pub(crate) async fn close(&self, patience: Duration) {
        let former = {
            let mut state = self.core.state();
            state.closed = true;
            state.former.clone()
        };
        self.keeping_up.abort();
        // Who waits for a look at the topology looks no more.
        self.core.looked_up.send_modify(|_| ());
        self.primary().lease.close(patience).await;
        let notice = self.core.config.options.patience_with_silence();
        for calls in former {
            calls.drained(notice).await;
        }
    }
}

impl Drop for GlobalCluster {
    fn drop(&mut self) {
        self.keeping_up.abort();
    }
}

impl Core {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One look-up: adopts what is newer.
    async fn refresh(&self) {
        let began = Instant::now();
        // A look-up that fails keeps what is known, and the next one may do better.
        if let Ok(Some((next, source))) = self.next_primary().await {
            self.adopt(next, &source);
        }
        self.looked_up.send_replace(Some(began));
    }

    /// The primary when it is another one by now, connected; with the source of the credentials that it was connected with.
    async fn next_primary(&self) -> Result<Option<(Primary, Arc<CredentialSource>)>, ConnectError> {
        let topology = look_up(&self.config, &self.route, &self.authorization).await?;
        let highest = self.version.fetch_max(topology.version, Ordering::Relaxed);
        let known = self.primary.load_full();
        let is_other = |endpoint: &str| endpoint != known.endpoint;
        if topology.version < highest
            || !topology
                .primary()
                .is_some_and(|primary| is_other(&primary.endpoint))
        {
            return Ok(None);
        }
        let source = self.authorization.source();
        let mut config = self.config.clone();
        config.credentials = (*source).clone();
        let next = lease(&config, &self.route, &topology)?;
        connected(&next.lease, Instant::now() + config.options.connect_timeout).await?;
        Ok(Some((next, source)))
    }

    fn adopt(&self, next: Primary, source: &Arc<CredentialSource>) {
        let mut state = self.state();
        if state.closed {
            return;
        }
        let newest = self.authorization.source();
        if !Arc::ptr_eq(&newest, source) {
            next.lease.replace_credentials((*newest).clone());
        }
        let former = self.primary.swap(Arc::new(next));
        // Only now: who finds the lease given back finds the next primary.
        former.lease.retire();
        state.former.retain(|calls| !calls.are_over());
        state.former.push(Arc::clone(former.lease.calls()));
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.primary.load().lease.pool().events.subscribe()
    }
}

/// A lease on the pool of the cluster that takes writes.
fn lease(
    config: &ConnectionConfig,
    route: &Route,
    topology: &Topology,
) -> Result<Primary, ConnectError> {
    let odd = |detail: String| {
        ConnectError::new(
            ConnectFailure::NotMilvus,
            Phase::Handshake,
            &route.address,
            detail,
        )
    };
    let cluster = topology.primary().ok_or_else(|| {
        odd("the topology of the global cluster names no writable cluster".into())
    })?;
    let parsed = parse_uri(&cluster.endpoint).map_err(|error| {
        odd(format!(
            "the topology names an endpoint that is none: {error}"
        ))
    })?;
    let mut member = config.clone();
    member.target = parsed.target;
    // It names the global endpoint; a member has a certificate of its own.
    member.tls.server_name = None;
    let lease = Lease::take(&member, routes(&member)?);
    Ok(Primary {
        endpoint: cluster.endpoint.clone(),
        lease,
    })
}

async fn look_up(
    config: &ConnectionConfig,
    route: &Arc<Route>,
    authorization: &AuthorizationCache,
) -> Result<Topology, ConnectError> {
    let read = async || {
        let read = authorization.renewed().await;
        read.map_err(|error| ConnectError::unreadable_credentials(&route.address, error))
    };
    let get = async |sent: &Authorization| {
        let header = sent.header.clone();
        let timeout = config.options.dial_timeout;
        rest::get(route, "/global-cluster/topology", header, timeout).await
    };
    let sent = read().await?;
    let body = match get(&sent).await {
        Err(error)
            if error.failure.is_about_credentials() && authorization.changed_since(&sent).await =>
        {
            get(&*read().await?).await?
        }
        outcome => outcome?,
    };
    Topology::parse(&body).map_err(|detail| {
        ConnectError::new(
            ConnectFailure::HandshakeFailed,
            Phase::Handshake,
            &route.address,
            detail,
        )
    })
}

/// Looks the topology up from time to time, when asked, and when the primary can't be reached, for as long as the cluster is
/// used.
async fn keep_up(core: Arc<Core>) {
    let mut last = Instant::now();
    let mut followed = core.primary.load_full();
    let mut events = core.events();
    loop {
        let interval = core.pace.interval.mul_f64(0.9 + 0.2 * fastrand::f64());
        tokio::select! {
            () = tokio::time::sleep_until(last + interval) => {}
            () = core.asked.notified() => {}
            () = out_of_reach(&mut events) => {}
        }
        tokio::time::sleep_until(last + core.pace.floor).await;
        last = Instant::now();
        core.refresh().await;
        let primary = core.primary.load_full();
        if !Arc::ptr_eq(&primary, &followed) {
            followed = primary;
            events = core.events();
        }
    }
}

/// Ends when a pool can't reach its target.
async fn out_of_reach(events: &mut broadcast::Receiver<Event>) {
    loop {
        match events.recv().await {
            Ok(Event {
                kind: EventKind::DialFailed { .. } | EventKind::Unresponsive { .. },
                ..
            })
            | Err(RecvError::Lagged(_)) => return,
            Ok(_) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use milvus_testkit::fault::{FaultServer, FaultServerOptions, Rule, Then, When};

    use super::*;

    #[tokio::test]
    async fn the_topology_is_looked_at_again_while_all_is_well() {
        let server = async || {
            FaultServer::start(FaultServerOptions::default())
                .await
                .unwrap()
        };
        let (global, east, west) = (server().await, server().await, server().await);
        let answer = |version: u32, primary: &FaultServer| {
            let endpoint = format!("http://{}", primary.address());
            let topology = format!(
                r#"{{"code":0,"data":{{"version":{version},"clusters":[{{"endpoint":"{endpoint}","capability":3}}]}}}}"#
            );
            global.clear_rules();
            global.rule(Rule::new(
                When::rpc("topology"),
                Then::HttpStatus(200, topology),
            ));
        };
        answer(1, &east);
        let uri = format!(
            "http://my-global-cluster.localhost:{}",
            global.address().port()
        );
        let config = ConnectionConfig::new(parse_uri(&uri).unwrap().target);
        let pace = Pace {
            interval: Duration::from_millis(20),
            floor: Duration::from_millis(1),
        };
        let cluster = GlobalCluster::connect_at(pace, config).await.unwrap();
        let former = cluster.primary();
        // Nobody calls and nothing fails.
        answer(2, &west);
        let moved = async {
            while Arc::ptr_eq(&cluster.primary(), &former) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), moved)
            .await
            .unwrap();
        assert_eq!(
            cluster.primary().endpoint,
            format!("http://{}", west.address())
        );
        assert!(!former.lease.is_open(), "the former one is let go");
        cluster.close(Duration::from_secs(1)).await;
        assert!(cluster.is_closed());
    }

    #[test]
    fn a_global_endpoint_is_known_by_a_label_of_its_host() {
        let global = |uri: &str| is_global(&parse_uri(uri).unwrap().target);
        assert!(global("https://my-global-cluster-x1.gcp.cloud.zilliz.com"));
        assert!(global(
            "https://glo-1.global-cluster.vectordb.zilliz.com:443"
        ));
        assert!(!global("https://in01-abc.zillizcloud.com/global-cluster"));
        assert!(!global("http://localhost:19530"));
    }
}
