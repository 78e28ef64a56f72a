//! How fresh the data that a read sees must be.
//!
//! A read carries a guarantee timestamp: the server waits until it has seen all writes up to it. Two
//! small numbers are not times but orders: 0 asks for everything up to now, 1 for whatever is there,
//! 2 for the server's own bounded delay.
//!
//! Invariant: reading one's own writes never depends on the level that was chosen when the collection
//! was created: without an explicit level, a client's last write to the collection is always covered.

use milvus_protocol::common;

/// How fresh the data that a read sees must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConsistencyLevel {
    /// Everything written by anybody before the read began.
    Strong,
    /// Everything written by this process to this collection.
    Session,
    /// Everything but the last few seconds, as the server is configured.
    Bounded,
    /// Whatever the server has at hand.
    Eventually,
    /// Everything up to this (hybrid) timestamp, such as one from
    /// [`WriteResult::timestamp`](crate::WriteResult::timestamp).
    Timestamp(u64),
}

const LATEST: u64 = 0;
const ANYTHING: u64 = 1;
const BOUNDED: u64 = 2;

/// The three fields of a read that say how fresh its data must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guarantee {
    pub(crate) level: i32,
    pub(crate) timestamp: u64,
    pub(crate) use_default: bool,
}

impl ConsistencyLevel {
    /// The number of this level in the protocol (`common.ConsistencyLevel`).
    pub const fn number(self) -> i32 {
        match self {
            Self::Strong => common::ConsistencyLevel::Strong as i32,
            Self::Session => common::ConsistencyLevel::Session as i32,
            Self::Bounded => common::ConsistencyLevel::Bounded as i32,
            Self::Eventually => common::ConsistencyLevel::Eventually as i32,
            Self::Timestamp(_) => common::ConsistencyLevel::Customized as i32,
        }
    }

    /// The level with this number; `None` for a number that only newer servers know.
    pub const fn from_number(number: i32) -> Option<Self> {
        match number {
            0 => Some(Self::Strong),
            1 => Some(Self::Session),
            2 => Some(Self::Bounded),
            3 => Some(Self::Eventually),
            4 => Some(Self::Timestamp(ANYTHING)),
            _ => None,
        }
    }
}

/// What to ask for, given the caller's choice and this process's last write to the collection.
pub(crate) fn guarantee(chosen: Option<ConsistencyLevel>, last_write: Option<u64>) -> Guarantee {
    let session = last_write.unwrap_or(ANYTHING);
    let Some(level) = chosen else {
        return Guarantee {
            level: 0,
            timestamp: session,
            use_default: true,
        };
    };
    let timestamp = match level {
        ConsistencyLevel::Strong => LATEST,
        ConsistencyLevel::Session => session,
        ConsistencyLevel::Bounded => BOUNDED,
        ConsistencyLevel::Eventually => ANYTHING,
        ConsistencyLevel::Timestamp(timestamp) => timestamp,
    };
    Guarantee {
        level: level.number(),
        timestamp,
        use_default: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_asks_for_what_it_promises() {
        let ask = |level| guarantee(Some(level), Some(77)).timestamp;
        assert_eq!(ask(ConsistencyLevel::Strong), 0);
        assert_eq!(ask(ConsistencyLevel::Session), 77);
        assert_eq!(ask(ConsistencyLevel::Bounded), 2);
        assert_eq!(ask(ConsistencyLevel::Eventually), 1);
        assert_eq!(ask(ConsistencyLevel::Timestamp(5)), 5);
        assert_eq!(guarantee(None, Some(77)).timestamp, 77);
        assert_eq!(guarantee(None, None).timestamp, 1);
        assert!(guarantee(None, None).use_default);
    }
}
