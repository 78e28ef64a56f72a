//! What `tracing` and the `metrics` facade get to see: names and fields as `docs/observability.md` promises.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use milvus_protocol::milvus::{DumpMessagesResponse, HasCollectionRequest, InsertRequest};
use milvus_protocol::rpc;
use milvus_testkit::fault::{FaultServer, FaultServerOptions, Rule, Then, When};
use milvus_transport::{CallOptions, Connection, ConnectionConfig, EventKind, parse_uri};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

type Fields = BTreeMap<String, String>;

#[derive(Clone, Debug, Default)]
struct Span {
    name: &'static str,
    level: String,
    parent: Option<u64>,
    fields: Fields,
}

/// Spans by their id in the order in which they were made, and events.
#[derive(Clone, Default)]
struct Captured {
    spans: Arc<Mutex<BTreeMap<u64, Span>>>,
    events: Arc<Mutex<Vec<Fields>>>,
    /// Ids of the registry are used again; ours are not.
    ids: Arc<Mutex<BTreeMap<u64, u64>>>,
}

struct Into<'a>(&'a mut Fields);

impl Visit for Into<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().into(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Captured {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut spans = self.spans.lock().unwrap();
        let mut ids = self.ids.lock().unwrap();
        let number = spans.len() as u64;
        let parent = context
            .span(id)
            .and_then(|span| span.parent())
            .and_then(|parent| ids.get(&parent.id().into_u64()).copied());
        ids.insert(id.into_u64(), number);
        let mut span = Span {
            name: attributes.metadata().name(),
            level: attributes.metadata().level().to_string(),
            parent,
            fields: Fields::new(),
        };
        attributes.record(&mut Into(&mut span.fields));
        spans.insert(number, span);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, _context: Context<'_, S>) {
        let number = self.ids.lock().unwrap()[&id.into_u64()];
        let mut spans = self.spans.lock().unwrap();
        record.record(&mut Into(&mut spans.get_mut(&number).unwrap().fields));
    }

    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        if event.metadata().target().starts_with("milvus_transport") {
            let mut fields = Fields::new();
            event.record(&mut Into(&mut fields));
            fields.insert("target".into(), event.metadata().target().into());
            fields.insert("level".into(), event.metadata().level().to_string());
            self.events.lock().unwrap().push(fields);
        }
    }
}

impl Captured {
    fn named(&self, name: &str, operation: &str) -> Vec<(u64, Span)> {
        let spans = self.spans.lock().unwrap();
        let is = |span: &Span| {
            span.name == name
                && span
                    .fields
                    .get("otel.name")
                    .is_some_and(|of| of.ends_with(operation))
        };
        spans
            .iter()
            .filter(|(_, span)| is(span))
            .map(|(id, span)| (*id, span.clone()))
            .collect()
    }

    fn messages(&self) -> Vec<(String, String)> {
        let events = self.events.lock().unwrap();
        events
            .iter()
            .map(|event| (event["level"].clone(), event["message"].clone()))
            .collect()
    }
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future);
}

async fn server_and_connection() -> (FaultServer, Connection) {
    let server = FaultServer::start(FaultServerOptions::default())
        .await
        .unwrap();
    let target = parse_uri(&format!("http://{}", server.address()))
        .unwrap()
        .target;
    let connection = Connection::connect("prod", ConnectionConfig::new(target))
        .await
        .unwrap();
    (server, connection)
}

fn has_fields(span: &Span, wanted: &[(&str, &str)]) {
    for (name, value) in wanted {
        assert_eq!(
            span.fields.get(*name).map(String::as_str),
            Some(*value),
            "{name} of {span:#?}"
        );
    }
}

#[test]
fn calls_and_attempts_are_spans_with_opentelemetrys_names() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::registry().with(captured.clone());
    let _default = tracing::subscriber::set_default(subscriber);
    block_on(async {
        let (server, connection) = server_and_connection().await;
        let connection = connection.with_database("shop").unwrap();
        server.rule(Rule::new(When::rpc("HasCollection"), Then::Abort).times(1));
        let mut options = CallOptions::default();
        options.request_id = Some("trace-me".into());
        let request = HasCollectionRequest::default();
        let call = connection.call_with(&rpc::HAS_COLLECTION, request, options);
        call.await.unwrap();
        let port = server.address().port().to_string();
        let calls = captured.named("milvus.call", "HasCollection");
        let [(call, span)] = calls.as_slice() else {
            panic!("{calls:#?}")
        };
        assert_eq!(span.level, "INFO");
        let wanted = [
            ("otel.kind", "client"),
            ("otel.name", "HasCollection"),
            ("db.system.name", "milvus"),
            ("db.namespace", "shop"),
            ("db.operation.name", "HasCollection"),
            ("server.address", "127.0.0.1"),
            ("server.port", &port),
            ("milvus.alias", "prod"),
            ("milvus.request_id", "trace-me"),
        ];
        has_fields(span, &wanted);
        assert!(!span.fields.contains_key("error.type"), "{span:#?}");
        attempts_are_there(&captured, *call, &port);
    });
}

/// The first attempt broke, the second succeeded.
fn attempts_are_there(captured: &Captured, call: u64, port: &str) {
    let attempts = captured.named("milvus.attempt", "HasCollection");
    let [(_, first), (_, second)] = attempts.as_slice() else {
        panic!("{attempts:#?}")
    };
    assert_eq!((first.parent, second.parent), (Some(call), Some(call)));
    assert_eq!(first.level, "DEBUG");
    let method = "milvus.proto.milvus.MilvusService/HasCollection";
    let peer = format!("127.0.0.1:{port}");
    let wanted = [
        ("rpc.system.name", "grpc"),
        ("rpc.method", method),
        ("server.port", port),
        ("network.peer.address", &peer),
        ("milvus.attempt", "1"),
        ("error.type", "maybe_sent"),
        ("otel.status_code", "ERROR"),
    ];
    has_fields(first, &wanted);
    let wanted = [("milvus.attempt", "2"), ("rpc.response.status_code", "OK")];
    has_fields(second, &wanted);
    assert!(!second.fields.contains_key("error.type"), "{second:#?}");
}

#[test]
fn the_span_of_a_failed_call_says_why_and_whether_it_was_applied() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::registry().with(captured.clone());
    let _default = tracing::subscriber::set_default(subscriber);
    block_on(async {
        let (server, connection) = server_and_connection().await;
        let refused = Then::in_band(1100, "no such field");
        server.rule(Rule::new(When::rpc("Insert"), refused));
        let call = connection.call(&rpc::INSERT, InsertRequest::default());
        call.await.unwrap_err();
        let calls = captured.named("milvus.call", "Insert");
        let wanted = [
            ("error.type", "answered"),
            ("db.response.status_code", "1100"),
            ("otel.status_code", "ERROR"),
            ("milvus.attempts", "1"),
            ("milvus.applied", "No"),
        ];
        has_fields(&calls[0].1, &wanted);
    });
}

#[test]
fn what_happens_to_the_pool_is_said_in_the_documented_order() {
    let captured = Captured::default();
    let subscriber = tracing_subscriber::registry().with(captured.clone());
    let _default = tracing::subscriber::set_default(subscriber);
    block_on(async {
        let (server, connection) = server_and_connection().await;
        let mut events = connection.events();
        let address = server.stop().await;
        let mut failures = 0;
        while failures < 3 {
            let event = events.next().await.unwrap();
            failures += u32::from(matches!(event.kind, EventKind::DialFailed { .. }));
        }
        let _server = FaultServer::start(FaultServerOptions {
            address: Some(address),
            ..FaultServerOptions::default()
        })
        .await
        .unwrap();
        while !matches!(events.next().await.unwrap().kind, EventKind::Ready { .. }) {}
        connection.close().await;
        while events.next().await.is_some() {}
        let mut messages = captured.messages();
        messages.dedup_by(|later, earlier| later == earlier);
        let level = |message: &str| {
            let found = messages.iter().filter(|(_, said)| said == message);
            found.map(|(level, _)| level.as_str()).collect::<Vec<_>>()
        };
        // Of an outage, the first failure is a warning; all others are for those who look closer.
        assert_eq!(level("channel failed; dialing goes on"), ["WARN"]);
        assert!(level("channel failed again").len() >= 2, "{messages:#?}");
        let key = [
            "channel ready",
            "channel closed",
            "channel failed; dialing goes on",
            "channel ready",
            "channel draining",
            "channel closed",
            "pool closed",
        ];
        let said: Vec<_> = messages
            .iter()
            .map(|(_, message)| message.as_str())
            .filter(|message| !["channel dialing", "channel failed again"].contains(message))
            .collect();
        assert_eq!(said, key);
    });
}

/// A recorder that keeps everything under a readable key.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<BTreeMap<String, Arc<AtomicU64>>>>);

struct Count(Arc<AtomicU64>);

impl HistogramFn for Count {
    fn record(&self, _value: f64) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Kept {
    fn cell(&self, key: &Key) -> Arc<AtomicU64> {
        let mut labels: Vec<_> = key
            .labels()
            .filter(|label| label.key() != "server.address")
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        labels.sort();
        assert!(
            key.labels().any(|label| label.key() == "server.address"),
            "{key}"
        );
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        Arc::clone(self.0.lock().unwrap().entry(name).or_default())
    }

    fn value(&self, key: &str) -> u64 {
        let cells = self.0.lock().unwrap();
        match cells.get(key) {
            Some(cell) => cell.load(Ordering::Relaxed),
            None => panic!("no {key} in {:#?}", cells.keys()),
        }
    }

    fn gauge(&self, key: &str) -> f64 {
        f64::from_bits(self.value(key))
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Count(self.cell(key))))
    }
}

#[test]
fn metrics_have_their_documented_names_and_add_up() {
    let kept = Kept::default();
    let _recorder = metrics::set_default_local_recorder(&kept);
    block_on(async {
        let (server, connection) = server_and_connection().await;
        let mut events = connection.events();
        for _ in 0..3 {
            connection
                .call(&rpc::HAS_COLLECTION, HasCollectionRequest::default())
                .await
                .unwrap();
        }
        server.rule(Rule::new(When::rpc("Insert"), Then::rate_limited()).times(1));
        connection
            .call(&rpc::INSERT, InsertRequest::default())
            .await
            .unwrap();
        server.rule(Rule::new(When::rpc("Insert"), Then::in_band(1100, "no such field")).times(1));
        connection
            .call(&rpc::INSERT, InsertRequest::default())
            .await
            .unwrap_err();
        server.rule(Rule::new(When::rpc("Insert"), Then::Hang));
        let hanging = tokio::spawn({
            let connection = connection.clone();
            async move {
                let options = CallOptions::timeout(Duration::from_secs(60));
                connection
                    .call_with(&rpc::INSERT, InsertRequest::default(), options)
                    .await
            }
        });
        while server.arrived("Insert") < 4 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(kept.gauge("milvus.client.calls{state=in_flight}"), 1.0);
        assert_eq!(kept.gauge("milvus.client.channels{state=ready}"), 1.0);
        // A dropped call is no longer in flight, and neither succeeded nor failed.
        hanging.abort();
        hanging.await.unwrap_err();
        connection.close().await;
        while events.next().await.is_some() {}
    });
    let duration = |labels: &str| {
        kept.value(&format!(
            "db.client.operation.duration{{db.operation.name={labels}}}"
        ))
    };
    assert_eq!(duration("HasCollection,db.system.name=milvus"), 3);
    assert_eq!(duration("Insert,db.system.name=milvus"), 1);
    assert_eq!(
        duration("Insert,db.system.name=milvus,error.type=answered"),
        1
    );
    assert_eq!(kept.value("milvus.client.retries{}"), 1);
    assert_eq!(kept.value("milvus.client.throttled{}"), 1);
    assert_eq!(kept.value("milvus.client.dials{outcome=ready}"), 1);
    assert_eq!(kept.value("milvus.client.dials{outcome=failed}"), 0);
    assert_eq!(kept.value("milvus.client.channels.closed{}"), 1);
    assert_eq!(kept.gauge("milvus.client.calls{state=in_flight}"), 0.0);
    assert_eq!(kept.gauge("milvus.client.calls{state=waiting}"), 0.0);
    assert_eq!(kept.gauge("milvus.client.channels{state=ready}"), 0.0);
    assert_eq!(kept.gauge("milvus.client.channels{state=draining}"), 0.0);
}

#[test]
fn a_stream_of_messages_is_a_span_and_counts() {
    let (captured, kept) = (Captured::default(), Kept::default());
    let subscriber = tracing_subscriber::registry().with(captured.clone());
    let _default = tracing::subscriber::set_default(subscriber);
    let _recorder = metrics::set_default_local_recorder(&kept);
    block_on(async {
        let (server, connection) = server_and_connection().await;
        let rule = |then| Rule::new(When::rpc("DumpMessages"), then).times(1);
        server.rule(rule(Then::message(&DumpMessagesResponse::default())));
        server.rule(rule(Then::GrpcStatus(12, "unknown method".into())));
        for well in [true, false] {
            let (sender, mut receiver) = connection.open_stream(&rpc::DUMP_MESSAGES).await.unwrap();
            assert_eq!(kept.gauge("milvus.client.streams{}"), 1.0);
            sender.finish().unwrap();
            while let Some(message) = receiver.next().await {
                assert_eq!(message.is_ok(), well);
            }
        }
        assert_eq!(connection.status().calls.streams, 2);
    });
    assert_eq!(kept.gauge("milvus.client.streams{}"), 0.0);
    for labels in ["", ",error.type=unimplemented"] {
        let name = "db.client.operation.duration";
        let labels = format!("db.operation.name=DumpMessages,db.system.name=milvus{labels}");
        assert_eq!(kept.value(&format!("{name}{{{labels}}}")), 1);
    }
    let spans = captured.named("milvus.stream", "DumpMessages");
    let [(_, well), (_, failed)] = spans.as_slice() else {
        panic!("{spans:#?}")
    };
    has_fields(well, &[("otel.kind", "client"), ("milvus.alias", "prod")]);
    assert!(well.fields.contains_key("milvus.channel.id"));
    assert!(!well.fields.contains_key("error.type"));
    has_fields(
        failed,
        &[
            ("error.type", "unimplemented"),
            ("otel.status_code", "ERROR"),
        ],
    );
}
