//! Free ports for servers that must be told their ports in their configuration.
//!
//! Invariant: the ports lie below the range from which the system takes the local ports of outgoing connections, so that
//! no client of another test can take one between this check and the server's own bind.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::Failure;

/// Linux gives outgoing connections ports from 32768 up by default.
const RANGE: std::ops::Range<u32> = 12_000..32_000;

/// `N` different TCP ports that nobody listens on, on any interface.
///
/// # Errors
/// When the range is exhausted.
pub fn free_ports<const N: usize>() -> Result<[u16; N], Failure> {
    // Processes that ask at the same moment start at different places; one process never repeats itself.
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let clock = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .subsec_nanos();
    let seed = (std::process::id().wrapping_mul(2_654_435_761)).wrapping_add(clock / 1000);
    let width = RANGE.end - RANGE.start;
    let mut ports = [0_u16; N];
    // Listeners are kept until all ports are found, so that the ports differ.
    let mut listeners = Vec::with_capacity(N);
    for _ in 0..width {
        if listeners.len() == N {
            return Ok(ports);
        }
        let offset =
            seed.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(7)) % width;
        let Ok(port) = u16::try_from(RANGE.start + offset) else {
            continue;
        };
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)) {
            if let Some(place) = ports.get_mut(listeners.len()) {
                *place = port;
            }
            listeners.push(listener);
        }
    }
    Err(Failure::new(format!(
        "there are no {N} free ports from {} to {}",
        RANGE.start, RANGE.end
    )))
}

/// One free TCP port; see [`free_ports`].
///
/// # Errors
/// When the range is exhausted.
pub fn free_port() -> Result<u16, Failure> {
    free_ports::<1>().map(|[port]| port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ_and_can_be_bound() {
        let ports = free_ports::<9>().unwrap();
        let listeners: Vec<_> = ports
            .iter()
            .map(|port| TcpListener::bind(("127.0.0.1", *port)).unwrap())
            .collect();
        assert_eq!(listeners.len(), 9);
    }
}
