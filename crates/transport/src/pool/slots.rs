//! What the pool's task knows of one endpoint: how many channels it shall have, and when it may be dialed again.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::backoff::Backoff;
use crate::channel::{Channel, Peer};
use crate::error::ConnectError;

/// One endpoint of the target.
pub(super) struct Slots {
    /// Channels that it shall have now.
    pub(super) wanted: usize,
    /// Channels that it shall have without load.
    pub(super) resting: usize,
    pub(super) dialing: usize,
    pub(super) backoff: Backoff,
    pub(super) not_before: Instant,
    /// The last dial's error; kept after a success too.
    pub(super) last_error: Option<Arc<ConnectError>>,
    /// The last good look-up.
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) looked_up: Option<Instant>,
}

impl Slots {
    pub(super) fn new(resting: usize) -> Self {
        Self {
            wanted: resting,
            resting,
            dialing: 0,
            backoff: Backoff::default(),
            not_before: Instant::now(),
            last_error: None,
            addresses: Vec::new(),
            looked_up: None,
        }
    }

    /// One channel at rest for each address of the family in use: a name with several addresses stands for several
    /// proxies, while the two families of one address (`localhost`) stand for the same.
    pub(super) fn rest_on(
        &mut self,
        addresses: &[SocketAddr],
        ipv6: Option<bool>,
        least: usize,
        most: usize,
    ) {
        let same_family = addresses
            .iter()
            .filter(|address| ipv6.is_none_or(|ipv6| address.is_ipv6() == ipv6))
            .count();
        let grown = self.wanted.saturating_sub(self.resting);
        self.resting = same_family.clamp(least, most.max(least));
        self.wanted = (self.resting + grown).min(most.max(least));
    }

    /// The index of the known address to which the fewest channels lead.
    pub(super) fn least_used(&self, ready: &[Arc<Channel>], endpoint: usize) -> usize {
        let used = |address: &SocketAddr| {
            let leads_there = |channel: &&Arc<Channel>| {
                channel.endpoint == endpoint && channel.peer == Peer::Tcp(*address)
            };
            ready.iter().filter(leads_there).count() + usize::from(self.dialing > 1)
        };
        let least = self
            .addresses
            .iter()
            .enumerate()
            .min_by_key(|(_, address)| used(address));
        least.map_or(0, |(index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn each_address_of_a_name_gets_a_channel_within_the_limits() {
        let three = addresses(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]);
        let mut slots = Slots::new(1);
        slots.rest_on(&three, Some(false), 1, 4);
        assert_eq!((slots.resting, slots.wanted), (3, 3));
        slots.rest_on(&three, Some(false), 1, 2);
        assert_eq!((slots.resting, slots.wanted), (2, 2));
        slots.rest_on(&three[..1], Some(false), 2, 4);
        assert_eq!((slots.resting, slots.wanted), (2, 2));
    }

    #[tokio::test]
    async fn the_two_families_of_one_address_count_once() {
        let both = addresses(&["[::1]:1", "127.0.0.1:1"]);
        let mut slots = Slots::new(1);
        for ipv6 in [true, false] {
            slots.rest_on(&both, Some(ipv6), 1, 4);
            assert_eq!((slots.resting, slots.wanted), (1, 1));
        }
    }

    #[tokio::test]
    async fn growth_under_load_outlives_a_look_up() {
        let one = addresses(&["10.0.0.1:1"]);
        let mut slots = Slots::new(1);
        slots.wanted = 3;
        slots.rest_on(&one, Some(false), 1, 4);
        assert_eq!((slots.resting, slots.wanted), (1, 3));
        let three = addresses(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]);
        slots.rest_on(&three, Some(false), 1, 4);
        assert_eq!((slots.resting, slots.wanted), (3, 4));
    }

    #[tokio::test]
    async fn without_channels_the_first_known_address_is_dialed_first() {
        let mut slots = Slots::new(1);
        assert_eq!(slots.least_used(&[], 0), 0);
        slots.addresses = addresses(&["10.0.0.1:1", "10.0.0.2:1"]);
        assert_eq!(slots.least_used(&[], 0), 0);
    }
}
