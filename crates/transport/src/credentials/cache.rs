//! What was last read of a source of credentials, read again so that a rotated secret takes effect without a reconnect.
//!
//! Invariant: one task at a time reads a source, and nobody who waits for it can stop it: a call that gives up leaves the
//! reading to the next one. What was read of a source is kept with that source, so that a reading that comes late never
//! takes the place of what a newer source says. Asking is cheap when nothing has changed.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use http::HeaderValue;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{CredentialError, CredentialSource, Credentials};
use crate::error::ConnectError;

/// How long the answer of a credential command is used before the command is asked again.
const COMMAND_LIFETIME: Duration = Duration::from_secs(300);
/// How long a value is used before it is looked at again: that of a file or a variable, and any that a server has refused.
/// As long is remembered that a source could not be read.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// No command runs again sooner than this after its end, whoever asks.
const COMMAND_FLOOR: Duration = Duration::from_secs(1);
/// How long a call that has a value waits for a newer one of a file or a variable, which takes microseconds unless
/// something hangs. For a command it does not wait.
const PATIENCE: Duration = Duration::from_secs(1);

/// One reading of a source, ready to be put on a call.
pub(crate) struct Authorization {
    /// The header's value; `None` when anonymous.
    pub(crate) header: Option<HeaderValue>,
    read_at: Instant,
}

/// How a header's value is made of credentials.
type HeaderOf = fn(&Credentials) -> Option<HeaderValue>;

/// The latest reading of a source; shared by all calls of a pool.
pub(crate) struct AuthorizationCache {
    header_of: HeaderOf,
    origin: ArcSwap<Origin>,
}

impl AuthorizationCache {
    pub(crate) fn new(source: CredentialSource, header_of: HeaderOf) -> Self {
        Self {
            header_of,
            origin: ArcSwap::from_pointee(Origin::new(source, header_of)),
        }
    }

    pub(crate) fn source(&self) -> Arc<CredentialSource> {
        Arc::clone(&self.origin.load().source)
    }

    /// Replaces the source; the next attempt uses it.
    pub(crate) fn replace(&self, source: CredentialSource) {
        let next = Arc::new(Origin::new(source, self.header_of));
        self.origin.swap(next).give_up();
    }

    /// What the next attempt shall send, if it is known without asking.
    pub(crate) fn fresh(&self) -> Option<Arc<Authorization>> {
        self.origin.load().fresh()
    }

    /// What the next attempt shall send.
    pub(crate) async fn current(&self) -> Result<Arc<Authorization>, CredentialError> {
        self.read(false).await
    }

    /// The same for those who have time, such as a dial: a source that is to be asked again is waited for.
    pub(crate) async fn renewed(&self) -> Result<Arc<Authorization>, CredentialError> {
        self.read(true).await
    }

    async fn read(&self, at_leisure: bool) -> Result<Arc<Authorization>, CredentialError> {
        loop {
            let origin = self.origin.load_full();
            let outcome = origin.current(at_leisure).await;
            // Of a source that was replaced meanwhile nothing counts any more.
            if Arc::ptr_eq(&origin, &self.origin.load()) {
                return outcome;
            }
        }
    }

    /// The server has refused `refused` right now: whether the source says otherwise by now.
    pub(crate) async fn changed_since(&self, refused: &Authorization) -> bool {
        loop {
            let origin = self.origin.load_full();
            let changed = origin.changed_since(refused).await;
            if Arc::ptr_eq(&origin, &self.origin.load()) {
                return changed;
            }
        }
    }

    /// Notes how a dial with `sent` ended: what was refused is not dialed with for as long as what was not.
    pub(crate) fn heed(&self, sent: &Arc<Authorization>, failure: Option<&ConnectError>) {
        let origin = self.origin.load();
        match failure {
            None => origin.refused.store(None),
            Some(error) if error.failure.is_about_credentials() => {
                origin.refused.store(Some(Arc::clone(sent)));
            }
            Some(_) => {}
        }
    }

    /// True when the last dial that ended well or for its credentials had these and was refused.
    pub(crate) fn was_refused(&self, authorization: &Authorization) -> bool {
        self.origin.load().was_refused(authorization)
    }
}

impl Drop for AuthorizationCache {
    fn drop(&mut self) {
        self.origin.load().give_up();
    }
}

/// A source and all that is known of it.
struct Origin {
    source: Arc<CredentialSource>,
    header_of: HeaderOf,
    current: ArcSwapOption<Authorization>,
    /// What the server has refused a dial for.
    refused: ArcSwapOption<Authorization>,
    readings: watch::Sender<Readings>,
}

/// How far the readings of a source are.
#[derive(Clone, Default)]
struct Readings {
    /// When the one that is under way began.
    under_way: Option<Instant>,
    last: Option<Ended>,
    /// Nobody asks this source any more.
    given_up: bool,
}

#[derive(Clone)]
struct Ended {
    began: Instant,
    ended: Instant,
    error: Option<CredentialError>,
}

impl Origin {
    fn new(source: CredentialSource, header_of: HeaderOf) -> Self {
        let known = match &source {
            CredentialSource::Fixed(credentials) => Some(Arc::new(Authorization {
                header: header_of(credentials),
                read_at: Instant::now(),
            })),
            _ => None,
        };
        Self {
            source: Arc::new(source),
            header_of,
            current: ArcSwapOption::new(known),
            refused: ArcSwapOption::empty(),
            readings: watch::Sender::default(),
        }
    }

    fn fresh(&self) -> Option<Arc<Authorization>> {
        let current = self.current.load_full()?;
        self.is_fresh(&current).then_some(current)
    }

    fn is_fresh(&self, current: &Authorization) -> bool {
        let lifetime = match &*self.source {
            CredentialSource::Fixed(_) => return true,
            CredentialSource::Command { .. } if !self.was_refused(current) => COMMAND_LIFETIME,
            _ => LOOK_INTERVAL,
        };
        current.read_at.elapsed() < lifetime
    }

    fn was_refused(&self, authorization: &Authorization) -> bool {
        let refused = self.refused.load();
        refused
            .as_ref()
            .is_some_and(|refused| refused.header == authorization.header)
    }

    async fn current(
        self: &Arc<Self>,
        at_leisure: bool,
    ) -> Result<Arc<Authorization>, CredentialError> {
        let mut changed = self.readings.subscribe();
        loop {
            // Looked at before the value, which is stored before its reading ends.
            let readings = changed.borrow_and_update().clone();
            let known = self.current.load_full();
            if let Some(known) = &known
                && (readings.given_up || self.is_fresh(known))
            {
                return Ok(Arc::clone(known));
            }
            let Some(began) = readings.under_way else {
                match readings.last {
                    // A file that is being replaced is away for a moment: what was read last still stands.
                    Some(Ended {
                        ended,
                        error: Some(error),
                        ..
                    }) if readings.given_up || ended.elapsed() < LOOK_INTERVAL => {
                        return known.ok_or(error);
                    }
                    _ if readings.given_up => return Err(interrupted()),
                    _ => self.ask(),
                }
                continue;
            };
            let waited = changed.changed();
            match known.filter(|known| !at_leisure && !self.was_refused(known)) {
                Some(known) => {
                    let until = began + self.patience();
                    if tokio::time::timeout_at(until, waited).await.is_err() {
                        return Ok(known);
                    }
                }
                // The sender is ours: it can't be gone.
                None => drop(waited.await),
            }
        }
    }

    fn patience(&self) -> Duration {
        match &*self.source {
            CredentialSource::Command { .. } => Duration::ZERO,
            _ => PATIENCE,
        }
    }

    async fn changed_since(self: &Arc<Self>, refused: &Authorization) -> bool {
        let refused_at = Instant::now();
        let mut changed = self.readings.subscribe();
        loop {
            let readings = changed.borrow_and_update().clone();
            let known = self.current.load_full();
            if known.is_some_and(|known| known.header != refused.header) {
                return true;
            }
            if readings.given_up || matches!(*self.source, CredentialSource::Fixed(_)) {
                return false;
            }
            match (readings.under_way, readings.last) {
                (_, Some(last)) if last.began >= refused_at => return false,
                (Some(_), _) => drop(changed.changed().await),
                (None, last) => {
                    if let (CredentialSource::Command { .. }, Some(last)) = (&*self.source, last) {
                        tokio::time::sleep_until(last.ended + COMMAND_FLOOR).await;
                    }
                    self.ask();
                }
            }
        }
    }

    /// Begins a reading, unless one is under way.
    fn ask(self: &Arc<Self>) {
        let began = Instant::now();
        let mut begins = false;
        self.readings.send_if_modified(|readings| {
            begins = readings.under_way.is_none() && !readings.given_up;
            if begins {
                readings.under_way = Some(began);
            }
            false
        });
        if begins {
            let reading = Reading {
                origin: Arc::clone(self),
                began,
                error: Some(interrupted()),
            };
            tokio::spawn(reading.run());
        }
    }

    /// Nobody asks any more: who waits is told, and a reading that is under way ends.
    fn give_up(&self) {
        self.readings
            .send_modify(|readings| readings.given_up = true);
    }
}

fn interrupted() -> CredentialError {
    CredentialError::new("reading the credentials was interrupted".into())
}

/// A reading that is under way; tells how it ended, also when it is dropped.
struct Reading {
    origin: Arc<Origin>,
    began: Instant,
    error: Option<CredentialError>,
}

impl Reading {
    async fn run(mut self) {
        let mut changed = self.origin.readings.subscribe();
        let given_up = async { drop(changed.wait_for(|readings| readings.given_up).await) };
        tokio::select! {
            outcome = self.origin.source.read() => self.error = self.take(outcome),
            () = given_up => {}
        }
    }

    fn take(&self, outcome: Result<Credentials, CredentialError>) -> Option<CredentialError> {
        match outcome {
            Ok(credentials) => {
                self.origin.current.store(Some(Arc::new(Authorization {
                    header: (self.origin.header_of)(&credentials),
                    read_at: Instant::now(),
                })));
                None
            }
            Err(error) => Some(error),
        }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let (began, error) = (self.began, self.error.take());
        self.origin.readings.send_modify(|readings| {
            readings.under_way = None;
            readings.last = Some(Ended {
                began,
                ended: Instant::now(),
                error,
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use milvus_testkit::Scratch;

    use super::*;

    fn cache(source: CredentialSource) -> Arc<AuthorizationCache> {
        Arc::new(AuthorizationCache::new(source, Credentials::authorization))
    }

    fn header(token: &str) -> Option<HeaderValue> {
        Credentials::token(token).authorization()
    }

    async fn until_there(path: &std::path::Path) {
        let there = async {
            while !path.exists() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), there)
            .await
            .unwrap();
    }

    /// A command that says when it has begun, and prints `token` once it may.
    fn command(scratch: &Scratch, token: &str) -> CredentialSource {
        let place = scratch.path().display();
        let command = format!(
            "touch '{place}/begun'; while ! [ -e '{place}/go' ]; do sleep 0.02; done; echo {token}"
        );
        CredentialSource::Command {
            user: None,
            command,
        }
    }

    #[tokio::test]
    async fn a_reading_of_a_source_that_was_replaced_changes_nothing() {
        let scratch = Scratch::new("replaced-source").unwrap();
        let cache = cache(command(&scratch, "old"));
        let origin = cache.origin.load_full();
        let waiting = tokio::spawn({
            let cache = Arc::clone(&cache);
            async move { cache.current().await.unwrap().header.clone() }
        });
        until_there(&scratch.path().join("begun")).await;
        cache.replace(Credentials::token("new").into());
        drop(scratch.write("go", "").unwrap());
        assert_eq!(waiting.await.unwrap(), header("new"));
        let mut readings = origin.readings.subscribe();
        let ended = readings.wait_for(|readings| readings.under_way.is_none());
        drop(ended.await.unwrap());
        assert_eq!(cache.current().await.unwrap().header, header("new"));
        assert!(!cache.changed_since(&cache.fresh().unwrap()).await);
    }

    #[tokio::test]
    async fn who_gives_up_waiting_leaves_the_reading_to_the_next_one() {
        let scratch = Scratch::new("left-reading").unwrap();
        let cache = cache(command(&scratch, "secret"));
        let given_up = tokio::time::timeout(Duration::from_millis(1), cache.current());
        assert!(given_up.await.is_err());
        until_there(&scratch.path().join("begun")).await;
        let (readings, of_one) = (cache.origin.load(), Duration::from_millis(1));
        let began = readings.readings.borrow().under_way;
        assert!(tokio::time::timeout(of_one, cache.current()).await.is_err());
        drop(scratch.write("go", "").unwrap());
        assert_eq!(cache.current().await.unwrap().header, header("secret"));
        let last = readings.readings.borrow().last.clone().unwrap();
        assert_eq!(Some(last.began), began, "it was read once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_is_away_for_a_moment_is_not_missed() {
        let scratch = Scratch::new("away").unwrap();
        let path = scratch.write("token", "secret\n").unwrap();
        let cache = cache(CredentialSource::File {
            user: None,
            path: path.clone(),
        });
        assert_eq!(cache.current().await.unwrap().header, header("secret"));
        std::fs::remove_file(&path).unwrap();
        tokio::time::advance(2 * LOOK_INTERVAL).await;
        assert!(cache.fresh().is_none(), "it is to be looked at again");
        assert_eq!(cache.current().await.unwrap().header, header("secret"));
        drop(scratch.write("token", "other\n").unwrap());
        // Within the interval after it was missed, nobody looks.
        assert_eq!(cache.current().await.unwrap().header, header("secret"));
        tokio::time::advance(LOOK_INTERVAL).await;
        assert_eq!(cache.current().await.unwrap().header, header("other"));
    }
}
