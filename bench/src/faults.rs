//! The client's part of `bench faults`: readers and inserters that go on whatever happens, and the account they give.
//!
//! Invariant: every insert has a key of its own, and every key is in exactly one of: acknowledged, failed and said to be
//! not applied, failed and not known.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::LocalSet;

use crate::client::{Peer, Target};

/// Between two calls of one caller: 64 callers are then some 3000 calls a second, which all peers can make.
pub const PAUSE: Duration = Duration::from_millis(20);
/// Beyond its own deadline a call is cut by the benchmark.
pub const GRACE: Duration = Duration::from_secs(2);

/// An insert that failed.
pub struct Failed {
    /// Whether the library says that the row has certainly not been inserted.
    pub not_applied: bool,
    /// What it said.
    pub said: String,
}

/// The account of a client.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Account {
    /// Reads that were answered.
    pub reads: u64,
    /// Reads that failed.
    pub reads_failed: u64,
    /// How many keys were used: 0 up to this number.
    pub inserts: i64,
    /// Keys of failed inserts of which the library says that they were certainly not applied.
    pub not_applied: Vec<i64>,
    /// Keys of all other failed inserts.
    pub unknown: Vec<i64>,
    /// The longest call, also of those that failed, in milliseconds.
    pub longest_ms: f64,
    /// Calls that succeeded, for each ten milliseconds.
    pub per_centisecond: Vec<u32>,
    /// When the first of these began, in milliseconds since 1970.
    pub began_ms: u64,
    /// What a failed read and a failed insert said first.
    pub said: Vec<String>,
}

#[derive(Default)]
struct Running {
    account: RefCell<Account>,
    next_key: Cell<i64>,
}

impl Running {
    fn ended(&self, origin: Instant, began: Instant, succeeded: bool) {
        let mut account = self.account.borrow_mut();
        account.longest_ms = account.longest_ms.max(began.elapsed().as_secs_f64() * 1e3);
        if succeeded {
            let index = usize::try_from(origin.elapsed().as_millis() / 10).unwrap_or(0);
            if account.per_centisecond.len() <= index {
                account.per_centisecond.resize(index + 1, 0);
            }
            account.per_centisecond[index] += 1;
        }
    }

    fn says(&self, said: String) {
        let mut account = self.account.borrow_mut();
        if account.said.len() < 4 && !account.said.contains(&said) {
            account.said.push(said);
        }
    }
}

/// Half of the callers read, half insert, for `seconds`.
pub(crate) async fn run<P: Peer>(
    target: &Target,
    callers: usize,
    seconds: f64,
) -> anyhow::Result<Value> {
    // The account is one for all callers, who are on one thread.
    let callers = calls_of_all::<P>(target, callers, seconds);
    LocalSet::new().run_until(callers).await
}

async fn calls_of_all<P: Peer>(
    target: &Target,
    callers: usize,
    seconds: f64,
) -> anyhow::Result<Value> {
    let peer = P::connect(target, 0).await?;
    // What is learnt about the collection is learnt before anything fails.
    let running = Rc::new(Running::default());
    let origin = Instant::now();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    running.account.borrow_mut().began_ms = u64::try_from(now.as_millis())?;
    let limit = Duration::from_secs_f64(target.deadline.unwrap_or(10.0)) + GRACE;
    let until = origin + Duration::from_secs_f64(seconds);
    let tasks: Vec<_> = (0..callers)
        .map(|number| {
            let (peer, running) = (peer.clone(), Rc::clone(&running));
            tokio::task::spawn_local(async move {
                while Instant::now() < until {
                    if number % 2 == 0 {
                        read(&peer, &running, origin, limit).await;
                    } else {
                        insert(&peer, &running, origin, limit).await;
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await?;
    }
    let mut account = running.account.take();
    account.inserts = running.next_key.get();
    Ok(json!(account))
}

async fn read<P: Peer>(peer: &P, running: &Running, origin: Instant, limit: Duration) {
    let began = Instant::now();
    let outcome = tokio::time::timeout(limit, peer.small_call()).await;
    let succeeded = matches!(outcome, Ok(Ok(())));
    running.ended(origin, began, succeeded);
    if succeeded {
        running.account.borrow_mut().reads += 1;
        return;
    }
    running.account.borrow_mut().reads_failed += 1;
    running.says(match outcome {
        Ok(Err(error)) => format!("read: {error:#}"),
        _ => "read: no end within its deadline".to_owned(),
    });
}

async fn insert<P: Peer>(peer: &P, running: &Running, origin: Instant, limit: Duration) {
    let key = running.next_key.get();
    running.next_key.set(key + 1);
    let began = Instant::now();
    let outcome = tokio::time::timeout(limit, peer.insert_row(key)).await;
    running.ended(origin, began, matches!(outcome, Ok(Ok(()))));
    let failed = match outcome {
        Ok(Ok(())) => return,
        Ok(Err(failed)) => failed,
        Err(_) => Failed {
            not_applied: false,
            said: "no end within its deadline".to_owned(),
        },
    };
    let mut account = running.account.borrow_mut();
    if failed.not_applied {
        account.not_applied.push(key);
    } else {
        account.unknown.push(key);
    }
    drop(account);
    running.says(format!("insert: {}", failed.said));
}
