//! The registry over a connector that answers as the test says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::*;
use crate::environment::Environment;
use crate::resolve::ProfileLookup;

/// Counts dials; lets each through when the test adds a permit.
struct Fake {
    dials: AtomicUsize,
    finished: AtomicUsize,
    dropped: Arc<AtomicUsize>,
    closed: Mutex<Vec<usize>>,
    gate: Semaphore,
}

#[derive(Clone, Debug, PartialEq)]
struct Handle {
    number: usize,
    user: Option<String>,
    database: String,
}

impl PartialEq<usize> for Handle {
    fn eq(&self, other: &usize) -> bool {
        self.number == *other
    }
}

/// Tells when a dial's future is dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Connector for Fake {
    type Handle = Handle;

    async fn connect(&self, alias: &str, config: ConnectionConfig) -> Result<Handle, Error> {
        let number = self.dials.fetch_add(1, Ordering::SeqCst) + 1;
        let _dropped = Dropped(Arc::clone(&self.dropped));
        self.gate.acquire().await.unwrap().forget();
        self.finished.fetch_add(1, Ordering::SeqCst);
        if config.credentials.user() == Some("nobody") {
            return Err(Error::NotConnected {
                alias: alias.into(),
                configured: true,
            });
        }
        Ok(Handle {
            number,
            user: config.credentials.user().map(str::to_owned),
            database: config.database,
        })
    }

    async fn close(&self, handle: Handle) {
        self.closed.lock().unwrap().push(handle.number);
    }

    fn is_closed(&self, handle: &Handle) -> bool {
        self.closed.lock().unwrap().contains(&handle.number)
    }
}

fn registry(permits: usize) -> Registry<Fake> {
    let fake = Fake {
        dials: AtomicUsize::new(0),
        finished: AtomicUsize::new(0),
        dropped: Arc::default(),
        closed: Mutex::default(),
        gate: Semaphore::new(permits),
    };
    let resolver = Resolver {
        environment: Environment::empty(),
        profile: ProfileLookup::Nowhere,
        default_alias: "default".into(),
    };
    Registry::new(fake, resolver)
}

impl Registry<Fake> {
    fn fake(&self) -> &Fake {
        &self.0.connector
    }

    fn dials(&self) -> usize {
        self.fake().dials.load(Ordering::SeqCst)
    }

    fn closed(&self) -> Vec<usize> {
        self.fake().closed.lock().unwrap().clone()
    }

    fn add_one(&self, alias: &str, params: ConnectionParams) -> Result<(), Error> {
        self.add(vec![(alias.to_owned(), params)])
    }

    fn last_error(&self, alias: &str) -> Option<Error> {
        self.snapshot()
            .get(alias)
            .and_then(|entry| entry.last_error.clone())
    }
}

fn nothing() -> ConnectionParams {
    ConnectionParams::new()
}

fn at(address: &str) -> ConnectionParams {
    ConnectionParams::address(address)
}

async fn until(condition: impl Fn() -> bool) {
    tokio::time::timeout(Duration::from_secs(30), async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the condition comes true");
}

#[tokio::test]
async fn connecting_again_with_the_same_configuration_keeps_the_connection() {
    let registry = registry(10);
    assert_eq!(
        registry
            .connect("dev", &at("h:1").user("u").password("p"))
            .await
            .unwrap(),
        1
    );
    assert_eq!(registry.connect("dev", &nothing()).await.unwrap(), 1);
    assert_eq!(registry.connect("dev", &at("h:1")).await.unwrap(), 1);
    assert_eq!(
        registry
            .connect("dev", &nothing().user("u").password("p"))
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        registry
            .connect("dev", &nothing().db_name("default"))
            .await
            .unwrap(),
        1
    );
    assert_eq!(registry.dials(), 1);
}

#[tokio::test]
async fn another_address_needs_a_disconnect_first() {
    let registry = registry(10);
    registry.connect("dev", &at("h:1")).await.unwrap();
    let error = registry.connect("dev", &at("h:2")).await.unwrap_err();
    insta::assert_snapshot!(error, @r#"the alias "dev" is in use: it is connected to h:1, and h:2 was given. Disconnect it first, or use another alias. Alias of 'dev' already creating connections, but the configure is not the same as passed in."#);
    assert!(matches!(
        registry.add_one("dev", at("h:2")),
        Err(Error::AliasInUse(_))
    ));
    registry.disconnect("dev").await;
    assert_eq!(registry.connect("dev", &at("h:2")).await.unwrap(), 2);
    assert_eq!(registry.closed(), [1]);
}

#[tokio::test]
async fn other_credentials_take_the_place_of_the_connection_without_closing_it() {
    let registry = registry(10);
    let first = registry
        .connect("dev", &at("h:1").user("a").password("p"))
        .await
        .unwrap();
    let second = registry
        .connect("dev", &nothing().user("b").password("q"))
        .await
        .unwrap();
    assert_eq!((second.number, second.user.as_deref()), (2, Some("b")));
    assert_eq!(registry.get("dev").unwrap(), second);
    assert!(!registry.fake().is_closed(&first));
    let third = registry
        .connect("dev", &nothing().db_name("books"))
        .await
        .unwrap();
    assert_eq!(
        (third.number, third.user.as_deref(), third.database.as_str()),
        (3, Some("b"), "books")
    );
}

#[tokio::test]
async fn what_a_connect_was_given_is_remembered_after_a_disconnect() {
    let registry = registry(10);
    registry
        .connect("dev", &at("h:1").user("u").password("p").db_name("books"))
        .await
        .unwrap();
    registry.disconnect("dev").await;
    assert!(!registry.is_connected("dev"));
    let again = registry.connect("dev", &nothing()).await.unwrap();
    assert_eq!(
        (again.user.as_deref(), again.database.as_str()),
        (Some("u"), "books")
    );
    registry.remove("dev").await;
    assert!(matches!(
        registry.connect("dev", &nothing()).await,
        Err(Error::UnknownAlias { .. })
    ));
    assert_eq!(registry.closed(), [1, 2]);
}

#[tokio::test]
async fn a_failed_connect_keeps_the_entry_and_the_former_connection() {
    let registry = registry(10);
    registry
        .add_one("dev", at("h:1").user("nobody").password("p"))
        .unwrap();
    assert!(registry.connect("dev", &nothing()).await.is_err());
    assert!(registry.last_error("dev").is_some());
    assert_eq!(
        registry
            .resolve("dev", &nothing())
            .unwrap()
            .config
            .target
            .address(),
        "h:1"
    );
    let live = registry
        .connect("dev", &nothing().user("u").password("p"))
        .await
        .unwrap();
    assert!(registry.last_error("dev").is_none());
    assert!(
        registry
            .connect("dev", &nothing().user("nobody").password("p"))
            .await
            .is_err()
    );
    assert_eq!(registry.get("dev").unwrap(), live);
    assert_eq!(registry.connect("dev", &nothing()).await.unwrap(), live);
}

#[tokio::test]
async fn concurrent_connects_are_one_dial() {
    let registry = registry(0);
    registry.add_one("dev", at("h:1")).unwrap();
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let registry = registry.clone();
            tokio::spawn(async move { registry.connect("dev", &nothing()).await })
        })
        .collect();
    until(|| registry.dials() == 1).await;
    assert!(registry.is_connecting("dev"));
    registry.fake().gate.add_permits(50);
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), 1);
    }
    assert_eq!(registry.dials(), 1);
    assert!(!registry.is_connecting("dev"));
}

#[tokio::test]
async fn a_caller_that_goes_away_disturbs_nobody_and_the_last_one_ends_the_dial() {
    let registry = registry(0);
    registry.add_one("dev", at("h:1")).unwrap();
    let begin = || {
        let registry = registry.clone();
        tokio::spawn(async move { registry.connect("dev", &nothing()).await })
    };
    let (first, second) = (begin(), begin());
    until(|| registry.dials() == 1).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    registry.fake().gate.add_permits(1);
    assert_eq!(second.await.unwrap().unwrap(), 1);

    registry.disconnect("dev").await;
    let last = begin();
    until(|| registry.dials() == 2).await;
    last.abort();
    until(|| !registry.is_connecting("dev")).await;
    until(|| registry.fake().dropped.load(Ordering::SeqCst) == 2).await;
    assert_eq!(registry.fake().finished.load(Ordering::SeqCst), 1);
    registry.fake().gate.add_permits(1);
    assert_eq!(begin().await.unwrap().unwrap(), 3);
}

#[tokio::test]
async fn disconnect_wins_over_a_connect_under_way() {
    let registry = registry(0);
    registry.add_one("dev", at("h:1")).unwrap();
    let waiting = registry.clone();
    let waiting = tokio::spawn(async move { waiting.connect("dev", &nothing()).await });
    until(|| registry.dials() == 1).await;
    registry.disconnect("dev").await;
    assert!(matches!(
        waiting.await.unwrap(),
        Err(Error::Withdrawn { .. })
    ));
    registry.fake().gate.add_permits(1);
    assert!(!registry.is_connected("dev"));
    until(|| registry.fake().dropped.load(Ordering::SeqCst) == 1).await;
    assert_eq!(registry.fake().finished.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_connect_with_other_credentials_waits_for_the_one_under_way() {
    let registry = registry(0);
    let begin = |params: ConnectionParams| {
        let registry = registry.clone();
        tokio::spawn(async move { registry.connect("dev", &params).await })
    };
    let first = begin(at("h:1").user("a").password("p"));
    until(|| registry.dials() == 1).await;
    let error = begin(at("h:2")).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::AliasInUse(_)), "{error}");
    let second = begin(at("h:1").user("b").password("p"));
    registry.fake().gate.add_permits(2);
    assert_eq!(first.await.unwrap().unwrap().user.as_deref(), Some("a"));
    assert_eq!(second.await.unwrap().unwrap().user.as_deref(), Some("b"));
    assert_eq!(registry.get("dev").unwrap().user.as_deref(), Some("b"));
}

#[tokio::test]
async fn an_entry_replaced_while_it_connects_is_used_by_the_next_connect() {
    let registry = registry(0);
    registry
        .add_one("dev", at("h:1").user("a").password("p"))
        .unwrap();
    let waiting = registry.clone();
    let waiting = tokio::spawn(async move { waiting.connect("dev", &nothing()).await });
    until(|| registry.dials() == 1).await;
    registry
        .add_one("dev", at("h:1").user("b").password("p"))
        .unwrap();
    registry.fake().gate.add_permits(2);
    assert_eq!(waiting.await.unwrap().unwrap().user.as_deref(), Some("a"));
    assert_eq!(
        registry
            .connect("dev", &nothing())
            .await
            .unwrap()
            .user
            .as_deref(),
        Some("b")
    );
}

#[tokio::test]
async fn new_credentials_of_a_connected_alias_take_effect_at_the_next_connect() {
    let registry = registry(10);
    registry
        .connect("dev", &at("h:1").user("a").password("p"))
        .await
        .unwrap();
    registry
        .add_one("dev", at("h:1").user("b").password("p"))
        .unwrap();
    assert_eq!(registry.get("dev").unwrap().user.as_deref(), Some("a"));
    assert_eq!(
        registry
            .connect("dev", &nothing())
            .await
            .unwrap()
            .user
            .as_deref(),
        Some("b")
    );
}

#[test]
fn a_dial_that_died_with_its_runtime_is_made_again() {
    let registry = registry(0);
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let first = runtime();
    let connecting = registry.clone();
    first.spawn(async move { connecting.connect("dev", &at("h:1")).await });
    let dialing = registry.clone();
    first.block_on(async move { until(|| dialing.dials() == 1).await });
    drop(first);
    registry.fake().gate.add_permits(1);
    let handle = runtime()
        .block_on(registry.connect("dev", &at("h:1")))
        .unwrap();
    assert_eq!(handle, 2);
}

#[tokio::test]
async fn a_connection_closed_by_other_hands_is_made_anew() {
    let registry = registry(10);
    let first = registry.connect("dev", &at("h:1")).await.unwrap();
    registry.fake().close(first).await;
    assert!(!registry.is_connected("dev"));
    assert!(matches!(
        registry.get("dev"),
        Err(Error::NotConnected { .. })
    ));
    assert_eq!(registry.connect("dev", &nothing()).await.unwrap(), 2);
}

#[test]
fn a_batch_is_applied_as_a_whole_or_not_at_all() {
    let registry = registry(0);
    let batch = vec![
        ("a".to_owned(), at("h:1")),
        ("b".to_owned(), at("nonsense")),
    ];
    let error = registry.add(batch).unwrap_err();
    assert_eq!(error.alias(), Some("b"));
    assert!(registry.add(vec![(String::new(), at("h:1"))]).is_err());
    let aliases = |registry: &Registry<Fake>| {
        registry
            .snapshot()
            .iter()
            .map(|entry| entry.alias.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(aliases(&registry), ["default"]);
    registry
        .add(vec![
            ("b".to_owned(), at("h:1")),
            ("a".to_owned(), at("h:1")),
        ])
        .unwrap();
    registry.add_one("b", at("h:2")).unwrap();
    assert_eq!(aliases(&registry), ["default", "b", "a"]);
}

#[tokio::test]
async fn events_tell_each_change_in_order() {
    let registry = registry(10);
    let mut events = registry.announcer().events();
    registry.add_one("dev", at("h:1")).unwrap();
    registry
        .add_one("dev", at("h:1").user("nobody").password("canary"))
        .unwrap();
    let _ = registry.connect("dev", &nothing()).await;
    registry
        .connect("dev", &nothing().user("u").password("p"))
        .await
        .unwrap();
    registry
        .connect("dev", &nothing().db_name("x"))
        .await
        .unwrap();
    registry.disconnect("dev").await;
    registry.disconnect("dev").await;
    registry.remove("dev").await;
    registry.remove("dev").await;
    let mut told = Vec::new();
    for _ in 0..7 {
        told.push(serde_json::to_value(events.next().await.unwrap()).unwrap()["change"].clone());
    }
    let told = serde_json::to_string(&told).unwrap();
    insta::assert_snapshot!(told, @r#"["added","replaced","connect_failed","connected","connected","disconnected","removed"]"#);
    drop(registry);
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_slow_reader_is_told_what_it_missed() {
    let registry = registry(0);
    let mut events = registry.announcer().events();
    for _ in 0..300 {
        registry.add_one("dev", at("h:1")).unwrap();
    }
    assert_eq!(
        events.next().await.unwrap().change,
        RegistryChange::Missed { changes: 44 }
    );
}

#[test]
fn connecting_outside_a_runtime_is_an_error() {
    let registry = registry(1);
    let params = at("h:1");
    let result = futures_util::FutureExt::now_or_never(registry.connect("dev", &params));
    assert!(matches!(result, Some(Err(Error::NoRuntime))));
}
