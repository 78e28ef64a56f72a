//! What the pool's task does as time passes: it retires channels that have grown old, lets go of idle ones, cuts drains
//! that take too long, and looks names up again.
//!
//! Invariant: a channel that has grown old is replaced before it drains.

use std::time::Duration;

use tokio::time::Instant;

use super::Command;
use super::dialing::{MAX_DIALS, look_up};
use super::establish::Place;
use super::task::{Done, Task};
use crate::channel::ChannelId;
use crate::http2::End;
use crate::moment::{after, part_of};
use crate::target::Host;

/// How often names are looked up again while all is well; the system's resolver does not tell how long an answer holds.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(60);

impl Task {
    pub(super) fn next_deadline(&self) -> Instant {
        let now = Instant::now();
        let far = after(now, LOOK_UP_AGAIN);
        let redial = self.slots.iter().enumerate().filter(|(endpoint, slots)| {
            // At the limit of dials a dial's end is what to wait for.
            self.closing.is_none()
                && self.dials() < MAX_DIALS
                && self.wants_dial(*endpoint, slots.not_before)
        });
        let redial = redial.map(|(_, slots)| slots.not_before);
        let drains = self.draining.iter().map(|(_, until)| *until);
        let options = &self.pool.options;
        let ages = self
            .ready
            .iter()
            .filter(|channel| !self.retiring.contains(&channel.id))
            .map(|channel| {
                let lifetime = lifetime_of(channel.id, options.max_lifetime);
                after(now, lifetime.saturating_sub(channel.gauges.age()))
            });
        let grown = self.slots.iter().any(|slots| slots.wanted > slots.resting);
        let look = (options.idle_timeout / 4).max(Duration::from_millis(10));
        let idle = grown.then(|| after(now, look));
        redial
            .chain(drains)
            .chain(ages)
            .chain(idle)
            .fold(far, Instant::min)
    }

    pub(super) fn maintain(&mut self) {
        let now = Instant::now();
        for (channel, until) in &self.draining {
            if *until <= now {
                channel.cut();
                // The driver is gone without a report; its end is known here.
                self.pool.command(Command::Ended(channel.id, End::Drained));
            }
        }
        for index in 0..self.ready.len() {
            let Some(channel) = self.ready.get(index) else {
                continue;
            };
            if channel.gauges.age() >= lifetime_of(channel.id, self.pool.options.max_lifetime)
                && !self.retiring.contains(&channel.id)
            {
                self.retiring.push(channel.id);
            }
        }
        self.shrink();
        self.look_up_again(now);
    }

    /// Lets go of channels above the resting number that have been idle for long.
    fn shrink(&mut self) {
        for endpoint in 0..self.slots.len() {
            let Some(slots) = self.slots.get(endpoint) else {
                continue;
            };
            let standing: Vec<_> = self
                .ready
                .iter()
                .filter(|channel| channel.endpoint == endpoint)
                .collect();
            if standing.len() <= slots.resting || standing.len() < slots.wanted {
                continue;
            }
            let idle = standing.iter().max_by_key(|channel| channel.gauges.idle());
            let Some(id) = idle
                .filter(|channel| channel.gauges.idle() >= self.pool.options.idle_timeout)
                .map(|channel| channel.id)
            else {
                continue;
            };
            if let Some(slots) = self.slots.get_mut(endpoint) {
                slots.wanted = (slots.wanted - 1).max(slots.resting);
            }
            self.drain(id, "idle");
        }
    }

    fn look_up_again(&mut self, now: Instant) {
        for (index, slots) in self.slots.iter_mut().enumerate() {
            let due = slots
                .looked_up
                .is_some_and(|at| now.duration_since(at) >= LOOK_UP_AGAIN);
            let Some(route) = self.pool.routes.get(index).filter(|_| due) else {
                continue;
            };
            let Place::Tcp(endpoint) = &route.place else {
                continue;
            };
            if !matches!(endpoint.host, Host::Name(_)) {
                continue;
            }
            slots.looked_up = Some(now);
            let timeout = self.pool.options.dial_timeout;
            let look_up = look_up(&self.pool, route, endpoint, timeout);
            self.work.push(Box::pin(async move {
                Done::LookedUp {
                    endpoint: index,
                    dial: None,
                    found: look_up.await,
                }
            }));
        }
    }
}

/// The lifetime of this channel: the configured one ±20 %, by its id, so that channels don't end together.
fn lifetime_of(id: ChannelId, lifetime: Duration) -> Duration {
    let spread =
        (id.number().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / f64::from(1u32 << 24);
    part_of(lifetime, 0.8 + 0.4 * spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_spread_by_a_fifth_and_channels_in_a_row_end_far_apart() {
        let lifetime = Duration::from_secs(1800);
        let of: Vec<f64> = (0..1000)
            .map(|_| lifetime_of(ChannelId::next(), lifetime).as_secs_f64() / 1800.0)
            .collect();
        assert!(of.iter().all(|part| (0.8..=1.2).contains(part)));
        assert!(of.iter().any(|part| *part < 0.82) && of.iter().any(|part| *part > 1.18));
        assert!(of.windows(2).all(|pair| (pair[0] - pair[1]).abs() > 0.05));
        let mean = of.iter().sum::<f64>() / 1000.0;
        assert!((0.99..1.01).contains(&mean), "{mean}");
    }

    #[test]
    fn a_lifetime_without_end_is_one() {
        assert!(lifetime_of(ChannelId::next(), Duration::MAX) > Duration::from_secs(1 << 29));
    }
}
