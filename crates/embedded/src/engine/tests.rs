//! The engine against a model, on a simulated disk that fails, tears, forgets and fills up.

mod maintenance;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::catalog::{CollectionRecord, DataType, FieldRecord, LoadState, PartitionRecord};
use crate::column::{Column, ColumnBuilder, ColumnType, Value, Values};
use crate::storage::faults::{Fault, SimulatedDisk};
use crate::storage::{Durability, FileSystem, Health, StorageError};

const DIM: u32 = 4;

fn field(id: i64, name: &str, data_type: DataType) -> FieldRecord {
    FieldRecord {
        id,
        name: name.to_owned(),
        description: String::new(),
        data_type,
        element_type: 0,
        primary: id == 100,
        auto_id: false,
        partition_key: false,
        clustering_key: false,
        nullable: false,
        dynamic: false,
        function_output: false,
        default: None,
        type_params: [("dim".to_owned(), DIM.to_string())].into(),
        index_params: Default::default(),
    }
}

fn start(disk: &Arc<SimulatedDisk>) -> Result<Engine, MilvusError> {
    let store = Store::open(
        Arc::clone(disk) as Arc<dyn FileSystem>,
        Path::new("test.db"),
        Durability::Full,
        false,
    )?;
    // Nothing happens in the background by itself, so that every run does the same operations.
    Engine::start(store, false)
}

/// Flushes and compacts.
fn flush(engine: &Engine, collection: u64) -> Result<(), MilvusError> {
    let done = engine.maintenance.flush(collection, true).blocking_recv();
    done.unwrap_or_else(|_| Err(MilvusError::closed()))
}

fn run<R: Send + 'static>(
    engine: &Engine,
    change: impl FnOnce(&mut Draft<'_>) -> Result<R, MilvusError> + Send + 'static,
) -> Result<R, MilvusError> {
    engine
        .writer
        .submit(change)
        .blocking_recv()
        .unwrap_or_else(|_| Err(MilvusError::closed()))
}

fn create(engine: &Engine) -> Result<(), MilvusError> {
    create_with(engine, &[])
}

fn create_with(engine: &Engine, properties: &[(&str, &str)]) -> Result<(), MilvusError> {
    let property = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let properties = properties.iter().map(property).collect();
    run(engine, |draft| {
        let created = draft.clock.next();
        let database = draft.catalog().database("")?.id;
        let (catalog, writes) = draft.catalog_mut();
        let (id, partition) = (
            catalog.next_identifier(writes),
            catalog.next_identifier(writes),
        );
        draft.put_collection(CollectionRecord {
            id,
            database,
            name: "docs".to_owned(),
            description: String::new(),
            created,
            updated: created,
            schema_version: 0,
            fields: vec![
                field(100, "id", DataType::Int64),
                field(101, "n", DataType::Int64),
                field(102, "v", DataType::FloatVector),
            ],
            functions: Vec::new(),
            enable_dynamic_field: false,
            consistency_level: 0,
            shards: 1,
            properties,
            partitions: vec![PartitionRecord {
                id: partition,
                name: "_default".to_owned(),
                created,
                loaded: false,
            }],
            indexes: Vec::new(),
            aliases: Vec::new(),
            load: LoadState::Loaded,
            replicas: 1,
            last_field: 102,
        })
    })
}

/// One request of a script.
#[derive(Clone, Debug)]
enum Request {
    Insert(Vec<i64>),
    Upsert(Vec<i64>, i64),
    Delete(Vec<i64>),
    Flush,
    /// For collections whose rows live for an hour.
    AnHourPasses,
}

/// Key and value of every row.
type Model = BTreeMap<i64, i64>;

impl Request {
    fn apply(&self, model: &mut Model) {
        match self {
            Self::Insert(keys) => model.extend(keys.iter().map(|key| (*key, key * 10))),
            Self::Upsert(keys, value) => model.extend(keys.iter().map(|key| (*key, *value))),
            Self::Delete(keys) => model.retain(|key, _| !keys.contains(key)),
            Self::Flush => {}
            Self::AnHourPasses => model.clear(),
        }
    }

    fn run(&self, engine: &Engine) -> Result<(), MilvusError> {
        let state = engine.state();
        let record = Arc::clone(state.catalog.collection("", "docs")?);
        match self.clone() {
            Self::Insert(keys) => {
                let rows = PreparedRows::new(
                    record,
                    keys.len(),
                    columns(&keys, None),
                    "",
                    engine.clock(),
                )?;
                run(engine, move |draft| draft.insert(rows).map(drop))
            }
            Self::Upsert(keys, value) => {
                let rows = PreparedRows::for_upsert(
                    record,
                    keys.len(),
                    columns(&keys, Some(value)),
                    "",
                    engine.clock(),
                )?;
                run(engine, move |draft| draft.upsert(rows).map(drop))
            }
            Self::Delete(keys) => {
                let keys = Column::from_i64(keys);
                run(engine, move |draft| {
                    draft
                        .delete(PreparedDelete {
                            record,
                            keys,
                            partition: 0,
                        })
                        .map(drop)
                })
            }
            Self::Flush => flush(engine, record.id),
            Self::AnHourPasses => {
                let_pass(engine, 3601);
                Ok(())
            }
        }
    }
}

const HOUR: (&str, &str) = ("collection.ttl.seconds", "3600");

/// Brings the engine's time forward, so that nobody has to wait for rows to grow old.
fn let_pass(engine: &Engine, seconds: u64) {
    engine.clock().reserve((seconds * 1000) << 18);
}

fn columns(keys: &[i64], value: Option<i64>) -> Vec<(String, Column)> {
    let mut vectors = ColumnBuilder::new(ColumnType::FloatVector { dim: DIM });
    for key in keys {
        vectors
            .push(Value::Dense(
                &[*key as f32; DIM as usize].map(f32::to_le_bytes).concat(),
            ))
            .unwrap();
    }
    let values = keys.iter().map(|key| value.unwrap_or(key * 10)).collect();
    vec![
        ("id".to_owned(), Column::from_i64(keys.to_vec())),
        ("n".to_owned(), Column::from_i64(values)),
        ("v".to_owned(), vectors.finish()),
    ]
}

fn read(engine: &Engine) -> Result<Model, MilvusError> {
    let state = engine.state();
    let record = state.catalog.collection("", "docs")?;
    let reader = Reader::new(
        Arc::clone(&state.collections[&record.id]),
        record.partition_ids(&[])?,
        engine.clock().now(),
    );
    let fields = record.fields.clone();
    let answer = reader.query(&QueryRequest {
        fields,
        ..QueryRequest::default()
    })?;
    let integers = |column: &Column| match column.values() {
        Values::Int64(values) => values.to_vec(),
        _ => Vec::new(),
    };
    let (keys, values) = (integers(&answer.columns[0]), integers(&answer.columns[1]));
    assert!(
        keys.windows(2).all(|pair| pair[0] < pair[1]),
        "keys come sorted and once: {keys:?}"
    );
    let Values::FloatVector(vectors) = answer.columns[2].values() else {
        panic!("vectors")
    };
    for (row, key) in keys.iter().enumerate() {
        assert_eq!(
            vectors.get(row),
            [*key as f32; DIM as usize],
            "a row's fields belong together"
        );
    }
    Ok(keys.into_iter().zip(values).collect())
}

fn script() -> Vec<Request> {
    vec![
        Request::Insert((0..20).collect()),
        Request::Insert((20..25).collect()),
        // Large enough to be cut into two values of the log.
        Request::Insert((100..1000).collect()),
        Request::Delete(vec![3, 21, 99]),
        Request::Flush,
        Request::Upsert(vec![5, 6, 30], 7),
        Request::Delete(vec![0, 1, 2, 4, 30]),
        Request::Flush,
        Request::Insert((40..50).collect()),
    ]
}

/// Whether `found` is what all acknowledged requests and some of the others leave.
fn explains(requests: &[(Request, bool)], found: &Model) -> bool {
    let doubtful: Vec<usize> = (0..requests.len()).filter(|at| !requests[*at].1).collect();
    (0..1u32 << doubtful.len()).any(|choice| {
        let mut model = Model::new();
        for (at, (request, acknowledged)) in requests.iter().enumerate() {
            let bit = doubtful.iter().position(|doubt| *doubt == at);
            if *acknowledged || bit.is_some_and(|bit| choice >> bit & 1 == 1) {
                request.apply(&mut model);
            }
        }
        model == *found
    })
}

fn crash_at(fault: Fault, at: u64, seed: u64) -> bool {
    crash_in(script(), &[], fault, at, seed)
}

/// Runs `script` with a fault at one operation, and finds all acknowledged requests after a restart.
fn crash_in(
    script: Vec<Request>,
    properties: &[(&str, &str)],
    fault: Fault,
    at: u64,
    seed: u64,
) -> bool {
    let disk = Arc::new(SimulatedDisk::new(fault, at));
    let mut done = Vec::new();
    let (mut created, mut latest) = (false, 0);
    if let Ok(engine) = start(&disk) {
        created = create_with(&engine, properties).is_ok();
        if created {
            for request in script {
                let acknowledged = request.run(&engine).is_ok();
                done.push((request, acknowledged));
            }
            // Reads go on whatever the disk does, and never show what was refused with certainty of being refused.
            read(&engine).unwrap();
        }
        latest = engine.clock().latest();
    }
    let mut random = fastrand::Rng::with_seed(seed);
    let after = match fault {
        Fault::Once => disk.healed(),
        _ => disk.after_power_loss(|| random.bool()),
    };
    let engine =
        start(&Arc::new(after)).unwrap_or_else(|error| panic!("{fault:?} at {at}: {error}"));
    // Time doesn't go back at a crash.
    let behind = latest.saturating_sub(engine.clock().latest());
    engine.clock().reserve(behind);
    match read(&engine) {
        Ok(found) => assert!(
            explains(&done, &found),
            "{fault:?} at {at}, seed {seed}: {found:?} after {done:?}"
        ),
        Err(error) => assert!(!created, "{fault:?} at {at}: {error}"),
    }
    // And it goes on from there.
    if created {
        Request::Insert(vec![1000]).run(&engine).unwrap();
        assert_eq!(read(&engine).unwrap().get(&1000), Some(&10_000));
    }
    disk.operations() >= at
}

#[test]
fn any_single_operation_may_fail_and_no_request_is_lost_or_halved() {
    let mut at = 1;
    while crash_at(Fault::Once, at, 0) {
        at += 1;
    }
    assert!(at > 30, "the script has {at} operations");
}

#[test]
fn the_power_may_go_at_any_operation() {
    let mut at = 1;
    while crash_at(Fault::PowerLoss, at, at) {
        at += 1;
    }
    assert!(at > 30, "the script has {at} operations");
}

#[test]
fn any_write_may_be_torn_by_a_power_loss() {
    let mut at = 1;
    while crash_at(Fault::TornWrite, at, 7) {
        at += 1;
    }
    assert!(at > 30, "the script has {at} operations");
}

/// As above, with rows that a flush and a compaction leave behind because they outlived their TTL.
fn outlive(fault: Fault) {
    let script = || {
        vec![
            Request::Insert((0..20).collect()),
            Request::Flush,
            Request::Insert((20..25).collect()),
            Request::AnHourPasses,
            Request::Upsert(vec![1, 31], 7),
            Request::Flush,
        ]
    };
    let mut at = 1;
    while crash_in(script(), &[HOUR], fault, at, at) {
        at += 1;
    }
    assert!(at > 30, "the script has {at} operations");
}

#[test]
fn rows_that_outlive_their_ttl_go_whole_when_any_operation_fails() {
    outlive(Fault::Once);
}

#[test]
fn rows_that_outlive_their_ttl_go_whole_when_the_power_goes() {
    outlive(Fault::PowerLoss);
}

#[test]
fn rows_that_outlive_their_ttl_go_whole_when_a_write_is_torn() {
    outlive(Fault::TornWrite);
}

#[test]
fn a_full_disk_refuses_writes_and_reads_go_on() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let engine = start(&disk).unwrap();
    create(&engine).unwrap();
    Request::Insert((0..10).collect()).run(&engine).unwrap();
    disk.set_full(true);
    let error = Request::Insert((10..20_000).collect())
        .run(&engine)
        .unwrap_err();
    assert!(
        error.retriable && error.message.contains("was not applied"),
        "{error}"
    );
    let error = Request::Flush.run(&engine).unwrap_err();
    assert!(error.retriable, "{error}");
    assert_eq!(read(&engine).unwrap().len(), 10);
    disk.set_full(false);
    Request::Insert((10..20).collect()).run(&engine).unwrap();
    Request::Flush.run(&engine).unwrap();
    assert_eq!(read(&engine).unwrap().len(), 20);
    assert_eq!(engine.store().health(), Health::Good);
    drop(engine);
    assert_eq!(read(&start(&disk).unwrap()).unwrap().len(), 20);
}

/// What a full disk refuses is refused for certain, whenever it fills up, and nothing else is.
#[test]
fn the_disk_may_fill_up_at_any_operation() {
    for at in 1.. {
        let disk = Arc::new(SimulatedDisk::new(Fault::Full, at));
        let Some(engine) = start(&disk).ok().filter(|engine| create(engine).is_ok()) else {
            // Too early: there is no collection to write to.
            continue;
        };
        let mut model = Model::new();
        for request in script() {
            match request.run(&engine) {
                Ok(()) => request.apply(&mut model),
                Err(error) => assert!(error.retriable, "full at {at}: {error}"),
            }
            assert_eq!(read(&engine).unwrap(), model, "full at {at}");
        }
        if disk.operations() < at {
            // It did not fill up before the end.
            break;
        }
        disk.set_full(false);
        for request in [Request::Insert(vec![2000]), Request::Flush] {
            request.run(&engine).unwrap();
            request.apply(&mut model);
        }
        assert_eq!(engine.store().health(), Health::Good, "full at {at}");
        drop(engine);
        assert_eq!(read(&start(&disk).unwrap()).unwrap(), model, "full at {at}");
    }
}

/// Damage in any block of a segment file: an error that names the file, or the right rows, and never a panic. (Every bit of an image is tried below, in the tests of storage.)
#[test]
fn a_flipped_bit_in_a_segment_file_is_an_error_or_changes_nothing() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let engine = start(&disk).unwrap();
    create(&engine).unwrap();
    let mut model = Model::new();
    for request in [Request::Insert((0..5).collect()), Request::Flush] {
        request.run(&engine).unwrap();
        request.apply(&mut model);
    }
    drop(engine);
    let [(path, length)] = disk.files(".seg").try_into().unwrap();
    for at in (0..length).step_by(7) {
        match start(&Arc::new(disk.with_flip(&path, at))).and_then(|engine| read(&engine)) {
            Ok(found) => assert_eq!(found, model, "byte {at}"),
            Err(error) => assert!(error.message.contains(".seg"), "byte {at}: {error}"),
        }
    }
}

#[test]
fn orphans_are_removed_at_open_and_other_files_are_left_alone() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let engine = start(&disk).unwrap();
    create(&engine).unwrap();
    Request::Insert((0..5).collect()).run(&engine).unwrap();
    Request::Flush.run(&engine).unwrap();
    drop(engine);
    let kept = disk.files(".seg");
    disk.create(Path::new("test.db/segments/00000000000000ff.seg"))
        .unwrap();
    disk.create(Path::new("test.db/segments/notes.seg"))
        .unwrap();
    drop(start(&disk).unwrap());
    let names: Vec<_> = disk
        .files(".seg")
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert_eq!(names.len(), kept.len() + 1);
    assert!(names.contains(&Path::new("test.db/segments/notes.seg").to_owned()));
}

#[test]
fn concurrent_writers_of_one_collection_lose_nothing() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let engine = Arc::new(start(&disk).unwrap());
    create(&engine).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4i64 {
            let engine = Arc::clone(&engine);
            scope.spawn(move || {
                for request in 0..25 {
                    let first = writer * 10_000 + request * 10;
                    Request::Insert((first..first + 10).collect())
                        .run(&engine)
                        .unwrap();
                    // A reader never sees half of a request.
                    assert_eq!(read(&engine).unwrap().len() % 10, 0);
                }
            });
        }
    });
    assert_eq!(read(&engine).unwrap().len(), 1000);
}

fn request() -> impl Strategy<Value = Request> {
    let keys = || {
        prop::collection::btree_set(0i64..40, 1..12)
            .prop_map(|keys| keys.into_iter().collect::<Vec<_>>())
    };
    prop_oneof![
        4 => (keys(), 0i64..5).prop_map(|(keys, value)| Request::Upsert(keys, value)),
        2 => keys().prop_map(Request::Delete),
        1 => Just(Request::Flush),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Random requests leave what the model says, now and after a reopen.
    #[test]
    fn the_engine_is_its_model(requests in prop::collection::vec(request(), 1..25)) {
        let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
        let mut engine = start(&disk).unwrap();
        create(&engine).unwrap();
        let mut model = Model::new();
        for (at, request) in requests.iter().enumerate() {
            request.run(&engine).unwrap();
            request.apply(&mut model);
            if at % 7 == 6 {
                drop(engine);
                engine = start(&disk).unwrap();
            }
            prop_assert_eq!(&read(&engine).unwrap(), &model);
        }
    }
}

#[test]
fn storage_errors_keep_their_words() {
    let error = StorageError::NotApplied {
        path: "demo.db".into(),
        detail: "no space left on device".to_owned(),
    };
    let error = MilvusError::from(error);
    assert_eq!(error.kind.code(), 2);
    assert_eq!(
        error.message,
        "demo.db: the write was not applied: no space left on device. Reads go on; try the write again when the cause is gone"
    );
}

/// The catalog too: damage is an error or has no effect, at open or later, and never a panic.
#[test]
fn a_flipped_bit_in_the_catalog_is_an_error_or_changes_nothing() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let engine = start(&disk).unwrap();
    create(&engine).unwrap();
    Request::Insert((0..1000).collect()).run(&engine).unwrap();
    let expected = read(&engine).unwrap();
    drop(engine);
    let [(path, length)] = disk.files("catalog.redb").try_into().unwrap();
    let mut refused = 0;
    // In each page of the file, and in each of them at another place.
    for page in 0..length / 4096 {
        let at = page * 4096 + page * 97 % 4096;
        match start(&Arc::new(disk.with_flip(&path, at))).and_then(|engine| read(&engine)) {
            Ok(found) => assert_eq!(found, expected, "byte {at}"),
            Err(error) => {
                assert!(error.message.contains("catalog.redb"), "byte {at}: {error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
}
