//! One fault at each operation of a script, and what is found after the restart. Everything that changes a collection is in a script.

use super::*;

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

/// What else a collection goes through: another schema, rows changed in part, and emptied with and without files.
fn other_script() -> Vec<Request> {
    vec![
        Request::Insert((0..20).collect()),
        Request::PartialUpsert(vec![3, 4], 8),
        Request::Flush,
        Request::AddField,
        Request::PartialUpsert(vec![4, 5], 9),
        Request::Truncate,
        Request::Insert((40..45).collect()),
        Request::PartialUpsert(vec![41], 3),
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

/// With normal durability a crash may take the last requests, but not one without all after it, and none from before an
/// acknowledged flush.
fn explains_without_the_last(requests: &[(Request, bool)], found: &Model) -> bool {
    let is_synced = |(request, acknowledged): &(Request, bool)| {
        *acknowledged && matches!(request, Request::Flush)
    };
    let synced = requests.iter().rposition(is_synced).map_or(0, |at| at + 1);
    (synced..=requests.len()).any(|end| explains(&requests[..end], found))
}

/// Runs a script with a fault at one operation, and finds all acknowledged requests after a restart.
struct Crash<'a> {
    script: &'a dyn Fn() -> Vec<Request>,
    properties: &'a [(&'a str, &'a str)],
    durability: Durability,
    fault: Fault,
}

impl Crash<'_> {
    /// Whether the script was long enough for the fault.
    fn at(&self, at: u64, seed: u64) -> bool {
        let fault = self.fault;
        let disk = Arc::new(SimulatedDisk::new(fault, at));
        let mut done = Vec::new();
        let (mut created, mut latest) = (false, 0);
        if let Ok(engine) = start_with(&disk, self.durability) {
            created = create_with(&engine, self.properties).is_ok();
            if created {
                for request in (self.script)() {
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
        let explains = match self.durability {
            Durability::Full => explains,
            _ => explains_without_the_last,
        };
        let found = read(&engine);
        match &found {
            Ok(found) => assert!(
                explains(&done, found),
                "{fault:?} at {at}, seed {seed}: {found:?} after {done:?}"
            ),
            // Creating it is a request like the others.
            Err(error) => assert!(
                !created || self.durability != Durability::Full,
                "{fault:?} at {at}: {error}"
            ),
        }
        // And it goes on from there.
        if found.is_ok() {
            Request::Insert(vec![1000]).run(&engine).unwrap();
            assert_eq!(read(&engine).unwrap().get(&1000), Some(&10_000));
        }
        disk.operations() >= at
    }

    fn at_each_operation(&self) {
        let mut at = 1;
        while self.at(at, at) {
            at += 1;
        }
        assert!(at > 30, "the script has {at} operations");
    }
}

fn crash(script: &dyn Fn() -> Vec<Request>, fault: Fault) {
    Crash {
        script,
        properties: &[],
        durability: Durability::Full,
        fault,
    }
    .at_each_operation();
}

#[test]
fn any_single_operation_may_fail_and_no_request_is_lost_or_halved() {
    crash(&script, Fault::Once);
}

#[test]
fn the_power_may_go_at_any_operation() {
    crash(&script, Fault::PowerLoss);
}

#[test]
fn any_write_may_be_torn_by_a_power_loss() {
    crash(&script, Fault::TornWrite);
}

#[test]
fn any_single_operation_of_other_changes_may_fail() {
    crash(&other_script, Fault::Once);
}

#[test]
fn the_power_may_go_at_any_operation_of_other_changes() {
    crash(&other_script, Fault::PowerLoss);
}

#[test]
fn with_normal_durability_a_power_loss_takes_only_the_last_requests() {
    Crash {
        script: &other_script,
        properties: &[],
        durability: Durability::Normal,
        fault: Fault::PowerLoss,
    }
    .at_each_operation();
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
    Crash {
        script: &script,
        properties: &[HOUR],
        durability: Durability::Full,
        fault,
    }
    .at_each_operation();
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

/// A collection is dropped with its rows in a file and in the log, or is there with all of them; and no file stays that nobody needs.
fn drop_at(fault: Fault, at: u64) -> bool {
    let disk = Arc::new(SimulatedDisk::new(fault, at));
    let requests = [
        Request::Insert((0..20).collect()),
        Request::Flush,
        Request::Insert((20..25).collect()),
    ];
    let mut done = Vec::new();
    let mut dropped = None;
    if let Ok(engine) = start(&disk)
        && create(&engine).is_ok()
    {
        for request in requests {
            let acknowledged = request.run(&engine).is_ok();
            done.push((request, acknowledged));
        }
        let id = engine.state().catalog.collection("", "docs").unwrap().id;
        let outcome = run(&engine, move |draft| {
            draft.remove_collection(id);
            Ok(())
        });
        dropped = Some(outcome.is_ok());
    }
    let mut random = fastrand::Rng::with_seed(at);
    let after = Arc::new(match fault {
        Fault::Once => disk.healed(),
        _ => disk.after_power_loss(|| random.bool()),
    });
    let engine = start(&after).unwrap_or_else(|error| panic!("{fault:?} at {at}: {error}"));
    match read(&engine) {
        Ok(found) => {
            assert_ne!(dropped, Some(true), "{fault:?} at {at}: it came back");
            assert!(explains(&done, &found), "{fault:?} at {at}: {found:?}");
        }
        Err(_) => {
            assert_eq!(after.files(".seg"), [], "{fault:?} at {at}");
            create(&engine).unwrap();
            assert_eq!(read(&engine).unwrap(), Model::new());
        }
    }
    disk.operations() >= at
}

#[test]
fn a_collection_is_dropped_whole_or_not_at_all() {
    for fault in [Fault::Once, Fault::PowerLoss] {
        let mut at = 1;
        while drop_at(fault, at) {
            at += 1;
        }
        assert!(at > 20, "the script has {at} operations");
    }
}

/// What a full disk refuses is refused for certain, whenever it fills up, and nothing else is.
#[test]
fn the_disk_may_fill_up_at_any_operation() {
    let mut at = 1;
    while fill_up_at(at) {
        at += 1;
    }
    assert!(at > 30, "the script has {at} operations");
}

fn fill_up_at(at: u64) -> bool {
    let disk = Arc::new(SimulatedDisk::new(Fault::Full, at));
    let Some(engine) = start(&disk).ok().filter(|engine| create(engine).is_ok()) else {
        // Too early: there is no collection to write to.
        return true;
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
        return false;
    }
    disk.set_full(false);
    for request in [Request::Insert(vec![2000]), Request::Flush] {
        request.run(&engine).unwrap();
        request.apply(&mut model);
    }
    assert_eq!(engine.store().health(), Health::Good, "full at {at}");
    drop(engine);
    assert_eq!(read(&start(&disk).unwrap()).unwrap(), model, "full at {at}");
    true
}
