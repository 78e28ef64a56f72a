//! The engine against a model, on a simulated disk that fails, tears, forgets and fills up.

mod faults;
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
    start_with(disk, Durability::Full)
}

fn start_with(disk: &Arc<SimulatedDisk>, durability: Durability) -> Result<Engine, MilvusError> {
    let store = Store::open(
        Arc::clone(disk) as Arc<dyn FileSystem>,
        Path::new("test.db"),
        durability,
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
            structs: Vec::new(),
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
    /// Changes the numbers of rows that are there, and leaves their vectors.
    PartialUpsert(Vec<i64>, i64),
    /// Adds a field that may be null.
    AddField,
    /// Removes all rows.
    Truncate,
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
            Self::PartialUpsert(keys, value) => {
                for key in keys {
                    model.entry(*key).and_modify(|known| *known = *value);
                }
            }
            Self::AddField | Self::Flush => {}
            Self::Truncate | Self::AnHourPasses => model.clear(),
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
            Self::PartialUpsert(keys, value) => run(engine, move |draft| {
                let given = columns(&keys, Some(value)).into_iter();
                let given = given.filter(|(name, _)| name != "v").collect();
                let snapshot = draft.snapshot(record.id)?;
                let changes = Default::default();
                let reader = Reader::of_all_rows(snapshot, record.partition_ids(&[])?);
                let columns = PartialRows { given, changes }.complete(&reader)?;
                let rows = PreparedRows::for_upsert(record, keys.len(), columns, "", draft.clock)?;
                draft.upsert(rows).map(drop)
            }),
            Self::AddField => run(engine, |draft| {
                let mut record = draft.record_to_change("", "docs")?;
                record.fields.push(FieldRecord {
                    nullable: true,
                    ..field(103, "extra", DataType::Int64)
                });
                record.last_field = 103;
                draft.put_collection(record)
            }),
            Self::Truncate => run(engine, move |draft| draft.remove_all_rows(record.id)),
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
