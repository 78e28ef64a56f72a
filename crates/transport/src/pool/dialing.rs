//! How the pool's task comes to channels: a name is looked up, an address is chosen, a channel is made and admitted.
//!
//! Invariant: at most two dials at once, to different addresses where there are several. Every dial ends with a channel or an
//! error, which is told. An error from DNS never empties the set of addresses: what is known is dialed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::establish::{Dial, Established, Place, Route, establish};
use super::slots::Dialing;
use super::task::{Done, Task};
use super::{Command, Pool};
use crate::channel::{Channel, ChannelId, Peer};
use crate::dial::{resolve, set_up_tls};
use crate::error::ConnectError;
use crate::event::EventKind;
use crate::grpc::AnswerMemory;
use crate::http2::{Keepalive, News};
use crate::moment::part_of;
use crate::target::Endpoint;

/// Dials at once: enough to use two addresses, too few for a storm.
pub(super) const MAX_DIALS: usize = 2;
/// A look-up is not older than this when a dial uses it.
const LOOK_UP_HOLDS: Duration = Duration::from_secs(1);
/// A name server gets so long where addresses are known that can be dialed without it.
const PATIENCE_WITH_DNS: Duration = Duration::from_millis(500);

/// A look-up for the pool, by the resolver that it has. Where it fails, a configuration that can't be used is the error that
/// counts, as for a diagnosis.
pub(super) fn look_up(
    pool: &Arc<Pool>,
    route: &Arc<Route>,
    endpoint: &Endpoint,
    timeout: Duration,
) -> impl Future<Output = Result<Vec<SocketAddr>, ConnectError>> + Send + 'static {
    let (pool, route, endpoint) = (Arc::clone(pool), Arc::clone(route), endpoint.clone());
    async move {
        let found = resolve(&endpoint, &route.address, &pool.resolver, timeout).await;
        if found.is_err() {
            if let Err(error) = pool.authorization.current().await {
                return Err(ConnectError::unreadable_credentials(&pool.address, error));
            }
            if route.secure {
                set_up_tls(&route.host(), &route.tls, &route.address).await?;
            }
        }
        found
    }
}

impl Task {
    pub(super) fn dials(&self) -> usize {
        self.slots.iter().map(|slots| slots.dials.len()).sum()
    }

    pub(super) fn dial_where_wanted(&mut self) {
        if self.closing.is_some() {
            return;
        }
        let now = Instant::now();
        for endpoint in 0..self.slots.len() {
            while self.dials() < MAX_DIALS && self.wants_dial(endpoint, now) {
                self.dial(endpoint, now);
            }
        }
    }

    pub(super) fn wants_dial(&self, endpoint: usize, now: Instant) -> bool {
        self.slots.get(endpoint).is_some_and(|slots| {
            slots.not_before <= now
                && self.standing(endpoint).count() + slots.dials.len() < slots.wanted
        })
    }

    /// The channels of an endpoint that need no replacement.
    fn standing(&self, endpoint: usize) -> impl Iterator<Item = &Arc<Channel>> {
        self.ready
            .iter()
            .filter(move |channel| channel.endpoint == endpoint && !self.is_to_be_replaced(channel))
    }

    /// No step of a dial takes longer: one that outlasts the connect could not say how far it came.
    fn dial_timeout(&self) -> Duration {
        let options = &self.pool.options;
        options
            .dial_timeout
            .min(part_of(options.connect_timeout, 0.9))
    }

    fn dial(&mut self, endpoint: usize, now: Instant) {
        let timeout = self.dial_timeout();
        let (Some(slots), Some(route)) =
            (self.slots.get_mut(endpoint), self.pool.routes.get(endpoint))
        else {
            return;
        };
        let id = ChannelId::next();
        slots.dials.push(Dialing {
            id,
            began: now,
            to: None,
        });
        self.pool.emit(EventKind::Dialing {
            channel: id,
            address: Arc::clone(&route.address),
        });
        let fresh = slots
            .looked_up
            .is_some_and(|at| now.duration_since(at) < LOOK_UP_HOLDS);
        let place = match &route.place {
            Place::Tcp(place) if !fresh || slots.addresses.is_empty() => place,
            _ => return self.establish(endpoint, id),
        };
        let timeout = if slots.addresses.is_empty() {
            timeout
        } else {
            timeout.min(PATIENCE_WITH_DNS)
        };
        let look_up = look_up(&self.pool, route, place, timeout);
        self.work.push(Box::pin(async move {
            Done::LookedUp {
                endpoint,
                dial: Some(id),
                found: look_up.await,
            }
        }));
    }

    /// Makes the channel, now that it is known to where.
    fn establish(&mut self, endpoint: usize, id: ChannelId) {
        let peers: Vec<Peer> = self
            .standing(endpoint)
            .map(|channel| channel.peer.clone())
            .collect();
        let timeout = self.dial_timeout();
        let (Some(slots), Some(route)) =
            (self.slots.get_mut(endpoint), self.pool.routes.get(endpoint))
        else {
            return;
        };
        let first = slots.least_used(&peers.iter().collect::<Vec<_>>());
        let to = slots.addresses.get(first).copied();
        if let Some(dial) = slots.dials.iter_mut().find(|dial| dial.id == id) {
            dial.to = to;
        }
        let known = slots.addresses.clone();
        let keepalive = Keepalive::of(&self.pool.options, self.keepalive_doublings);
        let (pool, route) = (Arc::clone(&self.pool), Arc::clone(route));
        let (news, ended) = (self.pool.commands.clone(), self.pool.commands.clone());
        self.work.push(Box::pin(async move {
            let on_news = move |what| {
                drop(news.send(match what {
                    News::GoingAway(reason) => Command::GoingAway(id, reason),
                    News::Unresponsive => Command::Unresponsive(id),
                    News::Responsive => Command::Responsive(id),
                }));
            };
            let on_end = move |end| drop(ended.send(Command::Ended(id, end)));
            let outcome = match pool.authorization.renewed().await {
                Ok(authorization) => {
                    let source = pool.authorization.source();
                    let dial = Dial {
                        released: Arc::clone(&pool.released),
                        route,
                        known,
                        first,
                        timeout,
                        keepalive,
                        authorization: authorization.header.clone(),
                        user: source.user().unwrap_or_default().to_owned(),
                    };
                    let outcome = establish(&dial, on_news, on_end).await;
                    let failure = outcome.as_ref().err();
                    pool.authorization.heed(&authorization, failure);
                    outcome
                }
                Err(error) => Err(ConnectError::unreadable_credentials(&pool.address, error)),
            };
            Done::Dialed {
                endpoint,
                outcome: outcome.map(Box::new),
                id,
            }
        }));
    }

    pub(super) fn finish(&mut self, done: Done) {
        match done {
            Done::Dialed {
                endpoint,
                outcome,
                id,
            } => match outcome {
                Ok(established) => self.admit(endpoint, id, *established),
                Err(error) => self.note_failure(endpoint, id, error),
            },
            Done::LookedUp {
                endpoint,
                dial,
                found,
            } => {
                let known = self
                    .slots
                    .get(endpoint)
                    .is_some_and(|slots| !slots.addresses.is_empty());
                let failed = match found {
                    Ok(addresses) => {
                        self.adopt_addresses(endpoint, addresses);
                        None
                    }
                    Err(error) => Some(error).filter(|_| !known),
                };
                match (dial, failed) {
                    (Some(id), None) => self.establish(endpoint, id),
                    (Some(id), Some(error)) => self.note_failure(endpoint, id, error),
                    (None, _) => {}
                }
            }
        }
    }

    fn admit(&mut self, endpoint: usize, id: ChannelId, established: Established) {
        let Established {
            peer,
            greeting,
            gauges,
            first_bytes,
            keepalive,
            sender,
            driver,
        } = established;
        let channel = Arc::new(Channel {
            id,
            endpoint,
            peer,
            identifier: greeting.identifier,
            gauges,
            first_bytes,
            keepalive,
            sender,
            driver,
            answers: AnswerMemory::default(),
        });
        if **self.pool.server.load() != greeting.server {
            self.pool.server.store(Arc::new(greeting.server));
        }
        let same_place = |channel: &&Arc<Channel>| channel.endpoint == endpoint;
        let old = self.ready.iter().filter(same_place);
        let old = old
            .clone()
            .find(|channel| channel.gauges.is_unresponsive())
            .or_else(|| old.clone().find(|channel| self.is_to_be_replaced(channel)))
            .map(|channel| channel.id);
        self.pool.emit(EventKind::Ready {
            channel: id,
            peer: channel.peer.to_string(),
        });
        self.ready.push(channel);
        self.down_since = None;
        self.changed = true;
        if let Some(slots) = self.slots.get_mut(endpoint) {
            slots.end_dial(id);
            slots.last_error = None;
        }
        if let Some(old) = old {
            self.drain(old, "replaced");
        }
        self.settle(endpoint);
    }

    fn note_failure(&mut self, endpoint: usize, id: ChannelId, mut error: ConnectError) {
        let calls_wait = self.pool.waiting() > 0;
        let Some(slots) = self.slots.get_mut(endpoint) else {
            return;
        };
        if let Some(dial) = slots.end_dial(id) {
            error.elapsed = dial.began.elapsed();
        }
        let error = Arc::new(error);
        let may_pass = error.failure.may_pass();
        let delay = slots
            .backoff
            .after_failure(may_pass, calls_wait, fastrand::f64());
        slots.not_before = Instant::now() + delay;
        slots.last_error = Some(Arc::clone(&error));
        self.pool.emit(EventKind::DialFailed {
            channel: id,
            error: Arc::clone(&error),
        });
        self.failures += 1;
        self.last_error = Some(error);
        self.changed = true;
    }

    /// Says of all dials that they are given up, and gives them up.
    pub(super) fn give_up_dials(&mut self) {
        self.work.clear();
        for slots in &mut self.slots {
            for dial in slots.dials.drain(..) {
                let mut error = ConnectError::given_up(&self.pool.address);
                error.elapsed = dial.began.elapsed();
                self.pool.emit(EventKind::DialFailed {
                    channel: dial.id,
                    error: Arc::new(error),
                });
            }
        }
    }

    /// Takes over a look-up. Other addresses than before are worth a dial at once, however the old ones have failed.
    fn adopt_addresses(&mut self, endpoint: usize, addresses: Vec<SocketAddr>) {
        let Some(slots) = self.slots.get_mut(endpoint) else {
            return;
        };
        if slots.adopt(addresses) {
            slots.backoff.reset();
            slots.not_before = Instant::now();
        }
        self.settle(endpoint);
    }

    /// Fits the channels of an endpoint to its addresses: one at rest for each, so that all are used, and none to an address
    /// that is gone.
    fn settle(&mut self, endpoint: usize) {
        let Some(slots) = self.slots.get_mut(endpoint) else {
            return;
        };
        let in_use = self
            .ready
            .iter()
            .rev()
            .find(|channel| channel.endpoint == endpoint)
            .map(|channel| &channel.peer);
        // Before a channel has shown which family is in use, or where there is none, nothing is known about what they lead to.
        let Some(Peer::Tcp(in_use)) = in_use else {
            return;
        };
        slots.rest_on(
            &slots.addresses.clone(),
            Some(in_use.is_ipv6()),
            self.pool.options.resting_channels(),
            self.pool.options.most_channels(),
        );
        let gone = self
            .ready
            .iter()
            .filter(|channel| channel.endpoint == endpoint)
            .filter(|channel| match &channel.peer {
                Peer::Tcp(address) => !slots.addresses.contains(address),
                Peer::Unix(_) => false,
            });
        let gone: Vec<_> = gone
            .map(|channel| channel.id)
            .filter(|id| !self.retiring.contains(id))
            .collect();
        self.retiring.extend(gone);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashSet, VecDeque};
    use std::io;
    use std::sync::Mutex;

    use h2::Reason;
    use milvus_testkit::fault::{FaultServer, FaultServerOptions, Frame};
    use tokio::sync::broadcast;

    use super::*;
    use crate::config::ConnectionConfig;
    use crate::credentials::CredentialSource;
    use crate::dial::Resolver;
    use crate::error::Phase;
    use crate::event::Event;
    use crate::pool::{NoStream, routes};
    use crate::target::parse_uri;

    const LONG: Duration = Duration::from_secs(30);

    /// What a name server does.
    #[derive(Clone)]
    enum Dns {
        Answers(Vec<SocketAddr>),
        Fails,
        IsMute,
    }

    /// Does these one after the other, and then the last of them for ever.
    fn resolver(answers: impl IntoIterator<Item = Dns>) -> Resolver {
        let left = Mutex::new(answers.into_iter().collect::<VecDeque<_>>());
        Resolver::Scripted(Arc::new(move || {
            let mut left = left.lock().unwrap();
            let answer = match left.len() {
                1 => left[0].clone(),
                _ => left.pop_front().unwrap(),
            };
            Box::pin(async move {
                match answer {
                    Dns::Answers(addresses) => Ok(addresses),
                    Dns::Fails => Err(io::Error::other("temporary failure in name resolution")),
                    Dns::IsMute => std::future::pending().await,
                }
            })
        }))
    }

    fn pool(resolver: Resolver) -> (Arc<Pool>, broadcast::Receiver<Event>) {
        pool_of(&config("http"), resolver)
    }

    fn config(scheme: &str) -> ConnectionConfig {
        let uri = format!("{scheme}://milvus.example:19530");
        ConnectionConfig::new(parse_uri(&uri).unwrap().target)
    }

    fn pool_of(
        config: &ConnectionConfig,
        resolver: Resolver,
    ) -> (Arc<Pool>, broadcast::Receiver<Event>) {
        let pool = Pool::start_with(config, routes(config).unwrap(), resolver);
        let events = pool.events.subscribe();
        (pool, events)
    }

    async fn server() -> FaultServer {
        FaultServer::start(FaultServerOptions::default())
            .await
            .unwrap()
    }

    async fn next(events: &mut broadcast::Receiver<Event>) -> EventKind {
        let event = tokio::time::timeout(LONG, events.recv()).await;
        event.unwrap().unwrap().kind
    }

    async fn connected(pool: &Pool) {
        let connected = tokio::time::timeout(LONG, pool.connected()).await.unwrap();
        assert!(connected.is_ok());
    }

    /// Later than any look-up holds.
    async fn let_the_look_up_grow_old() {
        tokio::time::pause();
        tokio::time::advance(2 * LOOK_UP_HOLDS).await;
        tokio::time::resume();
    }

    #[tokio::test]
    async fn while_dns_is_away_the_known_addresses_are_dialed() {
        for outage in [Dns::Fails, Dns::IsMute] {
            let server = server().await;
            let known = Dns::Answers(vec![server.address()]);
            let (pool, mut events) = pool(resolver([known, outage]));
            connected(&pool).await;
            let_the_look_up_grow_old().await;
            let farewell = Frame::go_away(u32::MAX >> 1, Reason::NO_ERROR, "");
            server.link().inject_to_client(&farewell);
            let mut ready = 0;
            while ready < 2 {
                let event = next(&mut events).await;
                assert!(!matches!(event, EventKind::DialFailed { .. }), "{event}");
                ready += usize::from(matches!(event, EventKind::Ready { .. }));
            }
            pool.close(Duration::ZERO).await;
        }
    }

    async fn failed_phase(config: &ConnectionConfig) -> Phase {
        let (pool, _) = pool_of(config, resolver([Dns::Fails]));
        let outcome = tokio::time::timeout(LONG, pool.connected()).await.unwrap();
        let Err(NoStream::Down(error)) = outcome else {
            panic!("connected to nothing");
        };
        error.phase
    }

    #[tokio::test]
    async fn a_name_that_was_never_found_is_an_error_of_dns_unless_the_configuration_is_one() {
        assert_eq!(failed_phase(&config("http")).await, Phase::Dns);
        let mut secure = config("https");
        secure.tls.ca_pem_path = Some("/nowhere/ca.pem".into());
        assert_eq!(failed_phase(&secure).await, Phase::Configuration);
        let unreadable = CredentialSource::File {
            path: "/nowhere/token".into(),
            user: None,
        };
        let locked_out = config("http").credentials(unreadable);
        assert_eq!(failed_phase(&locked_out).await, Phase::Configuration);
    }

    #[tokio::test]
    async fn every_address_of_a_name_gets_a_channel() {
        let servers = [server().await, server().await, server().await];
        let addresses: Vec<_> = servers.iter().map(FaultServer::address).collect();
        let (pool, mut events) = pool(resolver([Dns::Answers(addresses.clone())]));
        let mut peers = Vec::new();
        while peers.len() < 3 {
            if let EventKind::Ready { peer, .. } = next(&mut events).await {
                peers.push(peer);
            }
        }
        let wanted: HashSet<_> = addresses.iter().map(SocketAddr::to_string).collect();
        assert_eq!(peers.into_iter().collect::<HashSet<_>>(), wanted);
        pool.close(Duration::ZERO).await;
    }

    #[tokio::test]
    async fn other_addresses_wake_the_backoff_and_another_order_does_not() {
        let (pool, _events) = pool(resolver([Dns::IsMute]));
        let mut task = Task::new(pool);
        let addresses = |last: [u8; 2]| last.map(|last| SocketAddr::from(([10, 0, 0, last], 1)));
        let mut look_up = |found: [SocketAddr; 2]| {
            task.finish(Done::LookedUp {
                endpoint: 0,
                dial: None,
                found: Ok(found.to_vec()),
            });
            let far = Instant::now() + LONG;
            let wants_dial = task.wants_dial(0, Instant::now());
            let slots = &mut task.slots[0];
            slots.backoff.count();
            slots.not_before = far;
            (wants_dial, slots.backoff.failures())
        };
        look_up(addresses([1, 2]));
        assert_eq!(look_up(addresses([2, 1])), (false, 2));
        assert_eq!(look_up(addresses([2, 3])), (true, 1));
    }

    #[tokio::test]
    async fn a_dial_that_closing_overtakes_is_told_to_have_ended() {
        let (pool, mut events) = pool(resolver([Dns::IsMute]));
        let EventKind::Dialing {
            channel: dialed, ..
        } = next(&mut events).await
        else {
            panic!("no dial");
        };
        pool.close(Duration::ZERO).await;
        let EventKind::DialFailed { channel, error } = next(&mut events).await else {
            panic!("the dial has no end");
        };
        assert_eq!(channel, dialed);
        assert!(error.is_given_up(), "{error}");
        assert!(matches!(next(&mut events).await, EventKind::PoolClosed));
    }
}
