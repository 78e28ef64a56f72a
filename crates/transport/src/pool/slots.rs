//! What the pool's task knows of one endpoint: how many channels it shall have, and when it may be dialed again.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::backoff::Backoff;
use crate::channel::{ChannelId, Peer};
use crate::error::ConnectError;

/// One endpoint of the target.
pub(super) struct Slots {
    /// Channels that it shall have now.
    pub(super) wanted: usize,
    /// Channels that it shall have without load.
    pub(super) resting: usize,
    /// The dials that go on now.
    pub(super) dials: Vec<Dialing>,
    pub(super) backoff: Backoff,
    pub(super) not_before: Instant,
    /// The last dial's error; kept after a success too.
    pub(super) last_error: Option<Arc<ConnectError>>,
    /// The last good look-up.
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) looked_up: Option<Instant>,
}

/// A dial that goes on.
pub(super) struct Dialing {
    pub(super) id: ChannelId,
    pub(super) began: Instant,
    /// The address that is tried first; `None` while the name is being looked up.
    pub(super) to: Option<SocketAddr>,
}

impl Slots {
    pub(super) fn new(resting: usize) -> Self {
        Self {
            wanted: resting,
            resting,
            dials: Vec::new(),
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

    /// The index of the known address to which the fewest channels lead; `standing` are the ends of those that stay. A dial
    /// counts for where it goes, so that two at once go to two addresses.
    pub(super) fn least_used(&self, standing: &[&Peer]) -> usize {
        let used = |address: &SocketAddr| {
            let leads_there = |peer: &&&Peer| matches!(peer, Peer::Tcp(to) if to == address);
            standing.iter().filter(leads_there).count()
                + self
                    .dials
                    .iter()
                    .filter(|dial| dial.to == Some(*address))
                    .count()
        };
        let least = self
            .addresses
            .iter()
            .enumerate()
            .min_by_key(|(_, address)| used(address));
        least.map_or(0, |(index, _)| index)
    }

    /// Takes over a look-up; `true` when it has other addresses than the last one, whatever their order.
    pub(super) fn adopt(&mut self, addresses: Vec<SocketAddr>) -> bool {
        let known = |address: &SocketAddr| self.addresses.contains(address);
        let changed = !self.addresses.is_empty()
            && (addresses.len() != self.addresses.len() || !addresses.iter().all(known));
        self.addresses = addresses;
        self.looked_up = Some(Instant::now());
        changed
    }

    /// The dial of this channel has ended.
    pub(super) fn end_dial(&mut self, id: ChannelId) -> Option<Dialing> {
        let index = self.dials.iter().position(|dial| dial.id == id)?;
        Some(self.dials.swap_remove(index))
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
        assert_eq!(slots.least_used(&[]), 0);
        slots.addresses = addresses(&["10.0.0.1:1", "10.0.0.2:1"]);
        assert_eq!(slots.least_used(&[]), 0);
    }

    #[tokio::test]
    async fn dials_at_once_go_to_different_addresses() {
        let mut slots = Slots::new(1);
        slots.addresses = addresses(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"]);
        let first = Peer::Tcp(slots.addresses[0]);
        for expected in [1, 2, 0] {
            let index = slots.least_used(&[&first]);
            assert_eq!(index, expected);
            let to = slots.addresses.get(index).copied();
            slots.dials.push(Dialing {
                id: ChannelId::next(),
                began: Instant::now(),
                to,
            });
        }
    }

    #[tokio::test]
    async fn an_answer_in_another_order_is_the_same_answer() {
        let mut slots = Slots::new(1);
        assert!(!slots.adopt(addresses(&["10.0.0.1:1", "10.0.0.2:1"])));
        assert!(!slots.adopt(addresses(&["10.0.0.2:1", "10.0.0.1:1"])));
        assert!(slots.adopt(addresses(&["10.0.0.2:1", "10.0.0.3:1"])));
        assert!(slots.adopt(addresses(&["10.0.0.3:1"])));
    }
}
