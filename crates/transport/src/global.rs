//! Global clusters of Zilliz Cloud: several clusters behind one endpoint, of which one takes writes.
//!
//! Invariant: the version of the topology in use never goes back. A failed look-up keeps the primary that is known. Calls
//! in flight on a former primary end there; new ones go to the new primary once it is ready.
//!
//! Facts: a host with a label that contains `global-cluster` is a global endpoint; `GET
//! {endpoint}/global-cluster/topology` with a bearer token tells the clusters; bit 1 of `capability` marks the writable one.

use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

mod rest;
mod topology;

use topology::Topology;

use crate::backend::connected;
use crate::config::ConnectionConfig;
use crate::error::{ConnectError, ConnectFailure, Error, ErrorKind, Phase};
use crate::moment::after;
use crate::pool::establish::Route;
use crate::pool::{Lease, routes};
use crate::target::{Host, Target, parse_uri};

/// How often the topology is looked up while all is well.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5 * 60);
/// Two look-ups are at least this far apart, however many calls ask.
const REFRESH_FLOOR: Duration = Duration::from_millis(500);
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
    version: i64,
    endpoint: String,
    pub(crate) lease: Lease,
}

/// A global endpoint and the primary behind it.
pub(crate) struct GlobalCluster {
    config: ConnectionConfig,
    route: Arc<Route>,
    primary: ArcSwap<Primary>,
    asked: Arc<Notify>,
    /// Look-ups that have ended, well or badly.
    looked_up: watch::Sender<u64>,
}

impl GlobalCluster {
    /// Looks up the topology and connects to the primary.
    pub(crate) async fn connect(config: ConnectionConfig) -> Result<Arc<Self>, ConnectError> {
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
        let topology = look_up(&config, &route).await?;
        let primary = Self::lease(&config, &route, &topology)?;
        connected(
            &primary.lease,
            after(Instant::now(), config.options.connect_timeout),
        )
        .await?;
        let cluster = Arc::new(Self {
            config,
            route,
            primary: ArcSwap::from_pointee(primary),
            asked: Arc::default(),
            looked_up: watch::Sender::new(0),
        });
        tokio::spawn(keep_up(
            Arc::downgrade(&cluster),
            Arc::clone(&cluster.asked),
        ));
        Ok(cluster)
    }

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
            version: topology.version,
            endpoint: cluster.endpoint.clone(),
            lease,
        })
    }

    pub(crate) fn primary(&self) -> Arc<Primary> {
        self.primary.load_full()
    }

    /// True when an error may mean that the primary is another one by now.
    pub(crate) fn may_have_moved(error: &Error) -> bool {
        error.kind() == ErrorKind::Unavailable || Self::is_not_primary(error)
    }

    /// True when the cluster that answered was not the primary: it has done nothing.
    pub(crate) fn is_not_primary(error: &Error) -> bool {
        error
            .answer()
            .is_some_and(|answer| answer.reason().contains(NOT_PRIMARY))
    }

    /// Looks the topology up again; the new primary when it is another than `known`.
    pub(crate) async fn moved_from(&self, known: &Arc<Primary>) -> Option<Arc<Primary>> {
        let mut looked_up = self.looked_up.subscribe();
        looked_up.borrow_and_update();
        let current = self.primary();
        if current.endpoint != known.endpoint {
            return Some(current);
        }
        self.asked.notify_one();
        looked_up.changed().await.ok()?;
        let current = self.primary();
        (current.endpoint != known.endpoint).then_some(current)
    }

    /// One look-up: adopts what is newer.
    async fn refresh(&self) {
        let known = self.primary();
        if let Ok(topology) = look_up(&self.config, &self.route).await
            && topology.version >= known.version
            && topology
                .primary()
                .is_some_and(|primary| primary.endpoint != known.endpoint)
            && let Ok(primary) = Self::lease(&self.config, &self.route, &topology)
            && connected(
                &primary.lease,
                after(Instant::now(), self.config.options.connect_timeout),
            )
            .await
            .is_ok()
        {
            // The former lease goes with its last call; its pool drains then.
            self.primary.store(Arc::new(primary));
        }
        self.looked_up.send_modify(|count| *count += 1);
    }

    pub(crate) async fn close(&self, patience: Duration) {
        self.primary().lease.close(patience).await;
    }
}

async fn look_up(config: &ConnectionConfig, route: &Arc<Route>) -> Result<Topology, ConnectError> {
    let credentials = config
        .credentials
        .read()
        .await
        .map_err(|error| ConnectError::unreadable_credentials(&route.address, error))?;
    let body = rest::get(
        route,
        "/global-cluster/topology",
        credentials.bearer(),
        config.options.dial_timeout,
    )
    .await?;
    Topology::parse(&body).map_err(|detail| {
        ConnectError::new(
            ConnectFailure::HandshakeFailed,
            Phase::Handshake,
            &route.address,
            detail,
        )
    })
}

impl Drop for GlobalCluster {
    fn drop(&mut self) {
        // Its task wakes, finds nobody, and ends.
        self.asked.notify_one();
    }
}

/// Looks the topology up from time to time and when asked, for as long as somebody uses the cluster.
async fn keep_up(cluster: Weak<GlobalCluster>, asked: Arc<Notify>) {
    let mut last = Instant::now();
    loop {
        let interval = REFRESH_INTERVAL.mul_f64(0.9 + 0.2 * fastrand::f64());
        if tokio::time::timeout(interval, asked.notified())
            .await
            .is_ok()
            && cluster.strong_count() > 0
        {
            tokio::time::sleep_until(last + REFRESH_FLOOR).await;
        }
        match cluster.upgrade() {
            Some(cluster) if cluster.primary().lease.is_open() => {
                last = Instant::now();
                cluster.refresh().await;
            }
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
