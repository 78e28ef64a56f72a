//! What the pool's task does as time passes: it retires channels that have grown old, lets go of idle ones, cuts drains
//! that take too long, and looks names up again.
//!
//! Invariant: a channel that has grown old is replaced before it drains.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Command;
use super::establish::Place;
use super::task::{Done, MAX_DIALS, Task};
use crate::channel::Channel;
use crate::dial::resolve;
use crate::http2::End;
use crate::target::Host;

/// How often names are looked up again while all is well; the system's resolver does not tell how long an answer holds.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(60);

impl Task {
    pub(super) fn next_deadline(&self) -> Instant {
        let far = Instant::now() + LOOK_UP_AGAIN;
        let redial = self.slots.iter().enumerate().filter(|(endpoint, slots)| {
            // At the limit of dials a dial's end is what to wait for.
            self.closing.is_none()
                && self.dials < MAX_DIALS
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
                Instant::now()
                    + lifetime_of(channel, options.max_lifetime)
                        .saturating_sub(channel.gauges.age())
            });
        let grown = self.slots.iter().any(|slots| slots.wanted > slots.resting);
        let idle = grown
            .then(|| Instant::now() + (options.idle_timeout / 4).max(Duration::from_millis(10)));
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
            if channel.gauges.age() >= lifetime_of(channel, self.pool.options.max_lifetime)
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
            let (endpoint, address) = (endpoint.clone(), Arc::clone(&route.address));
            self.work.push(Box::pin(async move {
                // An error keeps what is known.
                let addresses = resolve(&endpoint, &address).await.unwrap_or_default();
                Done::LookedUp {
                    endpoint: index,
                    addresses,
                }
            }));
        }
    }
}

/// The lifetime of this channel: the configured one ±20 %, by its id, so that channels don't end together.
fn lifetime_of(channel: &Channel, lifetime: Duration) -> Duration {
    let spread = (channel.id.number().wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64
        / f64::from(1u32 << 24);
    lifetime.mul_f64(0.8 + 0.4 * spread)
}
