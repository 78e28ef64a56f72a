//! What the background worker's work leaves: files without deleted rows, none that nobody needs, and no row lost on the way.

use super::*;

#[test]
fn deleted_rows_leave_the_files_by_compaction() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let engine = start(&disk).unwrap();
    create(&engine).unwrap();
    for request in [
        Request::Insert((0..1000).collect()),
        Request::Flush,
        Request::Delete((0..900).collect()),
        Request::Flush,
    ] {
        request.run(&engine).unwrap();
    }
    assert_eq!(read(&engine).unwrap().len(), 100);
    let [(_, length)] = disk.files(".seg").try_into().unwrap();
    assert!(length < 1000 * 40 / 2, "{length} bytes");
    drop(engine);
    assert_eq!(read(&start(&disk).unwrap()).unwrap().len(), 100);
}

/// A flush writes its files while requests go on: what they delete or replace meanwhile must not come back with the files.
#[test]
fn rows_deleted_while_files_are_written_stay_deleted() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let engine = start(&disk).unwrap();
    create(&engine).unwrap();
    let collection = engine.state().catalog.collection("", "docs").unwrap().id;
    let mut model = Model::new();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let flushes = scope.spawn(|| {
            let mut flushes = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                flush(&engine, collection).unwrap();
                flushes += 1;
            }
            flushes
        });
        let mut random = fastrand::Rng::with_seed(11);
        for round in 0..150 {
            let keys: std::collections::BTreeSet<i64> =
                (0..40).map(|_| random.i64(0..400)).collect();
            let request = match round % 3 {
                0 => Request::Delete(keys.into_iter().collect()),
                _ => Request::Upsert(keys.into_iter().collect(), round),
            };
            request.run(&engine).unwrap();
            request.apply(&mut model);
            assert_eq!(read(&engine).unwrap(), model, "round {round}");
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(flushes.join().unwrap() > 5);
    });
    drop(engine);
    assert_eq!(read(&start(&disk).unwrap()).unwrap(), model);
}

/// A flush that is under way when its collection is emptied, or its rows' partition is gone, leaves nothing behind.
#[test]
fn a_flush_of_rows_that_are_gone_leaves_no_file() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let engine = start(&disk).unwrap();
    create(&engine).unwrap();
    Request::Insert((0..100).collect()).run(&engine).unwrap();
    let id = engine.state().catalog.collection("", "docs").unwrap().id;
    let mut plan = run(&engine, move |draft| draft.begin_flush(id))
        .unwrap()
        .unwrap();
    let snapshot = Arc::clone(&engine.state().collections[&id]);
    let files = std::mem::take(&mut plan.rewrites)
        .into_iter()
        .map(|rewrite| rewrite.write(&snapshot, engine.store()).unwrap())
        .collect();
    run(&engine, move |draft| draft.remove_all_rows(id)).unwrap();
    Request::Insert(vec![7]).run(&engine).unwrap();
    run(&engine, move |draft| draft.finish_flush(&plan, files)).unwrap();
    assert!(disk.files(".seg").is_empty());
    assert_eq!(read(&engine).unwrap().len(), 1);
    drop(engine);
    assert_eq!(read(&start(&disk).unwrap()).unwrap().len(), 1);
}

#[test]
fn files_stay_small_however_often_rows_are_replaced() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let engine = start(&disk).unwrap();
    create(&engine).unwrap();
    let bytes = || {
        disk.files("")
            .iter()
            .map(|(_, length)| length)
            .sum::<usize>()
    };
    let mut after_first = 0;
    for round in 0..40 {
        for _ in 0..3 {
            Request::Upsert((0..1500).collect(), round)
                .run(&engine)
                .unwrap();
        }
        Request::Flush.run(&engine).unwrap();
        if round == 1 {
            after_first = bytes();
        }
    }
    assert!(bytes() < after_first * 2, "{} after {after_first}", bytes());
    assert_eq!(disk.files(".seg").len(), 1);
    assert_eq!(
        engine
            .state()
            .collections
            .values()
            .map(|snapshot| snapshot.log_bytes)
            .sum::<usize>(),
        0
    );
    assert_eq!(read(&engine).unwrap().len(), 1500);
}

/// Nobody asks for it: the worker sees that enough has grown, and that files are mostly deleted.
#[test]
fn the_worker_flushes_and_compacts_by_itself() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let store = Store::open(
        Arc::clone(&disk) as Arc<dyn FileSystem>,
        Path::new("test.db"),
        Durability::Full,
        false,
    );
    let engine = Engine::start(store.unwrap(), true).unwrap();
    create(&engine).unwrap();
    let wait = |what: &str, until: &dyn Fn() -> bool| {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !until() {
            assert!(std::time::Instant::now() < deadline, "{what}");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    };
    Request::Insert((0..70_000).collect()).run(&engine).unwrap();
    let rows_in_files = || -> Vec<usize> {
        let state = engine.state();
        let views = state
            .collections
            .values()
            .flat_map(|snapshot| snapshot.segments());
        let sealed = views.filter(|view| view.segment.is_sealed());
        sealed.map(|view| view.segment.rows()).collect()
    };
    wait("no flush", &|| rows_in_files() == [70_000]);
    Request::Delete((0..60_000).collect()).run(&engine).unwrap();
    wait("no compaction", &|| rows_in_files() == [10_000]);
    assert_eq!(read(&engine).unwrap().len(), 10_000);
    drop(engine);
    assert_eq!(read(&start(&disk).unwrap()).unwrap().len(), 10_000);
}

fn stored_rows(engine: &Engine) -> Vec<usize> {
    let state = engine.state();
    let snapshots = state.collections.values();
    let views = snapshots.flat_map(|snapshot| snapshot.segments());
    views.map(|view| view.segment.rows()).collect()
}

#[test]
fn rows_that_outlived_their_ttl_leave_the_files_by_compaction() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let engine = start(&disk).unwrap();
    create_with(&engine, &[HOUR]).unwrap();
    Request::Insert((0..700).collect()).run(&engine).unwrap();
    let_pass(&engine, 3000);
    Request::Insert((700..1000).collect()).run(&engine).unwrap();
    Request::Flush.run(&engine).unwrap();
    assert_eq!(stored_rows(&engine), [1000]);
    let [(_, length)] = disk.files(".seg").try_into().unwrap();
    let_pass(&engine, 1000);
    assert_eq!(read(&engine).unwrap().len(), 300);
    // A key that was written anew is as young as its last row.
    Request::Upsert(vec![1, 2], 5).run(&engine).unwrap();
    Request::Flush.run(&engine).unwrap();
    let expected = read(&engine).unwrap();
    assert_eq!(expected.len(), 302);
    assert_eq!(stored_rows(&engine).iter().sum::<usize>(), 302);
    let left: usize = disk.files(".seg").iter().map(|(_, length)| length).sum();
    assert!(left < length / 2, "{left} of {length} bytes");
    drop(engine);
    let engine = start(&disk).unwrap();
    assert_eq!(read(&engine).unwrap(), expected);
    let_pass(&engine, 4000);
    Request::Flush.run(&engine).unwrap();
    assert!(disk.files(".seg").is_empty());
    assert_eq!(read(&engine).unwrap().len(), 0);
}

#[test]
fn a_flush_leaves_rows_behind_that_outlived_their_ttl() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let engine = start(&disk).unwrap();
    create_with(&engine, &[HOUR]).unwrap();
    Request::Insert((0..100).collect()).run(&engine).unwrap();
    let_pass(&engine, 4000);
    Request::Insert((100..120).collect()).run(&engine).unwrap();
    Request::Flush.run(&engine).unwrap();
    assert_eq!(stored_rows(&engine), [20]);
    drop(engine);
    assert_eq!(read(&start(&disk).unwrap()).unwrap().len(), 20);
}

/// Nobody writes and nobody asks: time alone makes the worker look.
#[test]
fn the_worker_finds_rows_that_outlived_their_ttl() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let store = Store::open(
        Arc::clone(&disk) as Arc<dyn FileSystem>,
        Path::new("test.db"),
        Durability::Full,
        false,
    );
    let engine = Engine::start(store.unwrap(), true).unwrap();
    create_with(&engine, &[HOUR]).unwrap();
    Request::Insert((0..100).collect()).run(&engine).unwrap();
    Request::Flush.run(&engine).unwrap();
    Request::Insert((100..150).collect()).run(&engine).unwrap();
    assert_eq!(stored_rows(&engine).iter().sum::<usize>(), 150);
    let_pass(&engine, 4000);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !stored_rows(&engine).is_empty() || !disk.files(".seg").is_empty() {
        assert!(std::time::Instant::now() < deadline, "the rows stay");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let log: usize = engine
        .state()
        .collections
        .values()
        .map(|snapshot| snapshot.log_bytes)
        .sum();
    assert_eq!(log, 0);
}

/// The worker meets a bug: whoever asked is told, whoever writes is told, and it goes on.
#[test]
fn a_panic_of_the_worker_keeps_nobody_waiting() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let engine = start(&disk).unwrap();
    create(&engine).unwrap();
    Request::Insert((0..10).collect()).run(&engine).unwrap();
    disk.set_panics(true);
    let error = Request::Flush.run(&engine).unwrap_err();
    assert!(error.message.contains("hit a fault"), "{error}");
    disk.set_panics(false);
    Request::Insert((10..20).collect()).run(&engine).unwrap();
    Request::Flush.run(&engine).unwrap();
    assert_eq!(read(&engine).unwrap().len(), 20);
    assert_eq!(disk.files(".seg").len(), 1);
    drop(engine);
    assert_eq!(read(&start(&disk).unwrap()).unwrap().len(), 20);
}

fn start_automatic(disk: &Arc<SimulatedDisk>) -> Engine {
    let store = Store::open(
        Arc::clone(disk) as Arc<dyn FileSystem>,
        Path::new("test.db"),
        Durability::Full,
        false,
    );
    Engine::start(store.unwrap(), true).unwrap()
}

fn wait_for_room(engine: &Engine, collection: u64) -> Result<(), MilvusError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(engine.wait_for_room(collection))
}

/// More rows than may be growing before writes wait.
fn crowd(engine: &Engine) -> u64 {
    create(engine).unwrap();
    for first in [0, 100_000, 200_000] {
        let rows = Request::Insert((first..first + 100_000).collect());
        rows.run(engine).unwrap();
    }
    engine.state().catalog.collection("", "docs").unwrap().id
}

#[test]
fn writes_wait_until_what_grows_is_in_files() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let engine = start_automatic(&disk);
    let collection = crowd(&engine);
    wait_for_room(&engine, collection).unwrap();
    assert!(!flush::is_crowded(&engine.state().collections[&collection]));
}

#[test]
fn writes_are_refused_while_nothing_can_be_flushed() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let engine = start_automatic(&disk);
    disk.set_panics(true);
    let collection = crowd(&engine);
    let error = wait_for_room(&engine, collection).unwrap_err();
    assert!(error.retriable, "{error}");
    assert!(error.message.contains("nothing was written"), "{error}");
    assert!(error.message.contains("hit a fault"), "{error}");
    disk.set_panics(false);
    flush(&engine, collection).unwrap();
    wait_for_room(&engine, collection).unwrap();
    // Without a worker that flushes by itself nobody waits for it.
    drop(engine);
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let engine = start(&disk).unwrap();
    wait_for_room(&engine, crowd(&engine)).unwrap();
}

#[test]
fn a_compaction_of_a_collection_that_was_dropped_leaves_no_file() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let engine = start(&disk).unwrap();
    create(&engine).unwrap();
    let id = engine.state().catalog.collection("", "docs").unwrap().id;
    Request::Insert((0..100).collect()).run(&engine).unwrap();
    Request::Flush.run(&engine).unwrap();
    Request::Delete((0..90).collect()).run(&engine).unwrap();
    let rewrite = run(&engine, move |draft| draft.begin_compaction(id));
    let snapshot = Arc::clone(&engine.state().collections[&id]);
    let file = rewrite.unwrap().unwrap();
    let file = file.write(&snapshot, engine.store()).unwrap();
    assert_eq!(disk.files(".seg").len(), 2);
    run(&engine, move |draft| {
        draft.remove_collection(id);
        Ok(())
    })
    .unwrap();
    run(&engine, move |draft| draft.finish_compaction(id, file)).unwrap();
    assert!(disk.files(".seg").is_empty());
    let nothing = run(&engine, move |draft| draft.begin_compaction(id)).unwrap();
    assert!(nothing.is_none());
}

#[test]
fn a_failed_fsync_of_a_segment_says_that_nothing_more_is_written() {
    let mut found = 0;
    for at in 1.. {
        let disk = Arc::new(SimulatedDisk::new(Fault::Once, at));
        let Some(engine) = start(&disk).ok().filter(|engine| create(engine).is_ok()) else {
            continue;
        };
        let inserted = Request::Insert((0..10).collect()).run(&engine).is_ok();
        let flushed = Request::Flush.run(&engine);
        if disk.operations() < at {
            break;
        }
        let Some(error) = flushed.err().filter(|error| error.message.contains(".seg")) else {
            continue;
        };
        if !error.message.contains("fsync") {
            continue;
        }
        found += 1;
        assert!(inserted && !error.retriable, "{error}");
        for part in ["read-only", "open it again"] {
            assert!(error.message.contains(part), "{error}");
        }
        let refused = Request::Insert(vec![20]).run(&engine).unwrap_err();
        assert_eq!(refused.message, error.message);
        assert!(matches!(engine.store().health(), Health::ReadOnly(_)));
        assert_eq!(read(&engine).unwrap().len(), 10);
    }
    // The file, and its folder.
    assert_eq!(found, 2);
}

#[test]
fn health_can_be_asked_for_while_a_commit_holds_the_store() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let engine = start(&disk).unwrap();
    let store = engine.store();
    let health = store.while_committing(|| store.health());
    assert_eq!(health, Health::Good);
}

/// Each segment reckons the statistics of its terms once; deleted rows are taken out, whichever segment they are in.
#[test]
fn term_statistics_are_those_of_the_rows_that_are_left_and_are_kept_by_segment() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let engine = start(&disk).unwrap();
    create(&engine).unwrap();
    let state = engine.state();
    let record = state.catalog.collection("", "docs").unwrap();
    let words = field(110, "words", DataType::SparseFloatVector);
    let row = |row: u32| ([row % 3, 10 + row % 5], [1.0, (1 + row % 4) as f32]);
    let segment = |rows: std::ops::Range<u32>| {
        let mut builder = ColumnBuilder::new(ColumnType::SparseFloatVector);
        for (terms, counts) in rows.clone().map(row) {
            builder.push(Value::Sparse(&terms, &counts)).unwrap();
        }
        SegmentView::new(Segment::in_memory(
            rows.len(),
            vec![(110, builder.finish())],
        ))
    };
    let partition = record.partitions[0].id;
    let mut snapshot = Snapshot::empty(Arc::clone(record));
    let slot = Arc::make_mut(snapshot.partitions.get_mut(&partition).unwrap());
    slot.segments = vec![segment(0..20), segment(20..50)];
    let expected = |rows: &mut dyn Iterator<Item = u32>| {
        let mut all = crate::text::bm25::Statistics::default();
        rows.map(row)
            .for_each(|(terms, counts)| all.add(&terms, &counts));
        all
    };
    assert_eq!(
        *snapshot.statistics(&words, 0).unwrap(),
        expected(&mut (0..50))
    );
    let of_first = |snapshot: &Snapshot| {
        let view = snapshot.segments().next().unwrap().clone();
        view.segment.statistics(&words).unwrap()
    };
    let before = of_first(&snapshot);
    // What a write does: a copy with rows deleted and a segment added.
    let mut changed = Snapshot::clone(&snapshot);
    let slot = Arc::make_mut(changed.partitions.get_mut(&partition).unwrap());
    slot.segments.push(segment(50..55));
    let deleted = crate::column::Bitmap::from_fn(30, |row| row % 2 == 0);
    slot.segments[1].deleted = Some(Arc::new(deleted));
    let mut left = (0..55).filter(|row| !(20..50).contains(row) || row % 2 == 1);
    assert_eq!(*changed.statistics(&words, 0).unwrap(), expected(&mut left));
    assert!(Arc::ptr_eq(&before, &of_first(&changed)));
}

#[test]
fn a_reader_that_nobody_waits_for_gives_up() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let engine = start(&disk).unwrap();
    create(&engine).unwrap();
    Request::Insert((0..10).collect()).run(&engine).unwrap();
    let state = engine.state();
    let record = state.catalog.collection("", "docs").unwrap();
    let cancellation = Cancellation::default();
    let snapshot = Arc::clone(&state.collections[&record.id]);
    let partitions = record.partition_ids(&[]).unwrap();
    let reader = Reader::new(snapshot, partitions, engine.clock().now());
    let reader = reader.until(cancellation.clone());
    assert_eq!(reader.count(None).unwrap(), 10);
    cancellation.cancel();
    assert!(reader.count(None).is_err());
    assert!(reader.query(&QueryRequest::default()).is_err());
}
