//! Storage alone: images, records, commits, locks.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::faults::{Fault, SimulatedDisk};
use super::*;
use crate::column::{Column, ColumnBuilder, ColumnType, Value};

fn columns() -> Vec<(i64, Column)> {
    let mut texts = ColumnBuilder::new(ColumnType::Varchar);
    let mut sparse = ColumnBuilder::new(ColumnType::SparseFloatVector);
    let mut dense = ColumnBuilder::new(ColumnType::FloatVector { dim: 3 });
    for row in 0..70u32 {
        let text = "é".repeat(row as usize);
        texts
            .push(if row % 7 == 0 {
                Value::Null
            } else {
                Value::Varchar(&text)
            })
            .unwrap();
        sparse
            .push(Value::Sparse(&[row, row + 5], &[1.0, 2.0]))
            .unwrap();
        dense.push(Value::Dense(&[row as u8; 12])).unwrap();
    }
    vec![
        (100, Column::from_i64((0..70).collect())),
        (101, texts.finish()),
        (102, sparse.finish()),
        (103, dense.finish()),
    ]
}

fn image_bytes() -> Vec<u8> {
    encode_image(70, &columns()).pieces.concat()
}

fn equal(left: &Column, right: &Column) -> bool {
    left.column_type() == right.column_type() && left.blocks() == right.blocks()
}

#[test]
fn an_image_gives_back_the_columns_that_it_was_made_of() {
    let bytes = image_bytes();
    assert_eq!(bytes.len(), encode_image(70, &columns()).length);
    let image = ImageReader::open(aligned_copy(&bytes), Path::new("x.seg"), true).unwrap();
    for (field, column) in columns() {
        assert!(
            equal(&column, &image.column(field).unwrap().unwrap()),
            "field {field}"
        );
    }
    assert!(image.column(999).unwrap().is_none());
}

/// Every bit of the file matters but the padding between blocks, and no damage goes unseen or makes a panic.
#[test]
fn a_flipped_bit_anywhere_is_an_error_or_changes_nothing() {
    let bytes = image_bytes();
    let mut refused = 0;
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        let Ok(image) = ImageReader::open(aligned_copy(&damaged), Path::new("x.seg"), true) else {
            refused += 1;
            continue;
        };
        for (field, column) in columns() {
            match image.column(field) {
                Ok(Some(read)) => assert!(equal(&column, &read), "byte {at}, field {field}"),
                Ok(None) => panic!("byte {at}: field {field} is gone"),
                Err(error) => {
                    refused += 1;
                    assert!(
                        error.to_string().contains("x.seg")
                            && error.to_string().contains(&format!("field {field}")),
                        "{error}"
                    );
                }
            }
        }
    }
    assert!(refused > bytes.len() / 2);
}

#[test]
fn a_truncated_image_is_refused() {
    let bytes = image_bytes();
    for length in 0..bytes.len() {
        assert!(
            ImageReader::open(aligned_copy(&bytes[..length]), Path::new("x.seg"), true).is_err(),
            "{length} bytes"
        );
    }
}

#[test]
fn a_log_record_gives_back_its_parts_and_refuses_damage() {
    let parts = [
        LogPart::Deletion {
            partition: 0,
            keys: Column::from_i64(vec![3, 5]),
        },
        LogPart::Rows {
            partition: 7,
            rows: 70,
            columns: columns(),
        },
    ];
    let bytes = encode_record(&parts).concat();
    let read = decode_record(&aligned_copy(&bytes), Path::new("catalog.redb"), "record 1").unwrap();
    let [
        LogPart::Deletion { partition: 0, keys },
        LogPart::Rows {
            partition: 7,
            rows: 70,
            columns: rows,
        },
    ] = read.as_slice()
    else {
        panic!("{read:?}");
    };
    assert!(equal(keys, &Column::from_i64(vec![3, 5])));
    assert!(
        rows.iter()
            .zip(columns())
            .all(|(read, written)| read.0 == written.0 && equal(&read.1, &written.1))
    );
    for length in (0..bytes.len()).step_by(13) {
        assert!(
            decode_record(&aligned_copy(&bytes[..length]), Path::new("c"), "r").is_err(),
            "{length} bytes"
        );
    }
}

fn put(key: &str, value: &str) -> Write {
    Write::Put(
        Table::Databases,
        key.as_bytes().to_vec(),
        vec![Bytes::copy_from_slice(value.as_bytes())],
    )
}

fn open(disk: &Arc<SimulatedDisk>) -> Result<Store, StorageError> {
    Store::open(
        Arc::clone(disk) as Arc<dyn FileSystem>,
        Path::new("test.db"),
        Durability::Full,
        false,
    )
}

#[test]
fn a_failed_fsync_makes_the_store_read_only_for_good() {
    let probe = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let store = open(&probe).unwrap();
    let before = probe.operations();
    store.commit(&[put("a", "1")]).unwrap();
    let last = probe.operations() - before;
    // One of the operations of a commit is its fsync; when that one fails, nothing may be written any more.
    let mut seen = 0;
    for at in 1..=last {
        let disk = Arc::new(SimulatedDisk::new(Fault::Once, before + at));
        let store = open(&disk).unwrap();
        if let Err(StorageError::Unknown { .. }) = store.commit(&[put("a", "1")]) {
            seen += 1;
            assert!(matches!(store.health(), Health::ReadOnly(_)));
            let error = store.commit(&[put("b", "2")]).unwrap_err();
            assert!(
                error.to_string().contains("read-only since an fsync"),
                "{error}"
            );
        }
    }
    assert!(seen > 0);
}

#[test]
fn a_full_disk_refuses_writes_until_space_returns() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let store = open(&disk).unwrap();
    store.commit(&[put("a", "1")]).unwrap();
    disk.set_full(true);
    let error = store.commit(&[put("b", &"2".repeat(100_000))]).unwrap_err();
    assert!(matches!(error, StorageError::NotApplied { .. }), "{error}");
    let error = store.commit(&[put("b", "2")]).unwrap_err();
    assert!(matches!(error, StorageError::NotApplied { .. }), "{error}");
    disk.set_full(false);
    store.commit(&[put("c", "3")]).unwrap();
    assert_eq!(
        store.get(Table::Databases, b"a").unwrap().as_deref(),
        Some(&b"1"[..])
    );
    assert_eq!(store.get(Table::Databases, b"b").unwrap(), None);
    assert_eq!(
        store.get(Table::Databases, b"c").unwrap().as_deref(),
        Some(&b"3"[..])
    );
}

#[test]
fn a_second_opener_is_told_who_has_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        Store::open(
            Arc::new(DiskFileSystem),
            folder.path(),
            Durability::Full,
            true,
        )
    };
    let first = open().unwrap();
    let error = open().unwrap_err();
    let StorageError::Locked { holder, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!(holder.pid, std::process::id());
    assert!(error.to_string().contains("milvusctl serve"), "{error}");
    drop(first);
    open().unwrap();
}

#[test]
fn a_later_format_is_refused_by_its_version() {
    let disk = Arc::new(SimulatedDisk::new(Fault::Once, 0));
    let store = open(&disk).unwrap();
    store
        .commit(&[Write::Put(
            Table::Meta,
            b"version".to_vec(),
            vec![Bytes::from_static(&[9, 0, 0, 0])],
        )])
        .unwrap();
    drop(store);
    assert!(matches!(
        open(&disk),
        Err(StorageError::TooNew {
            found: 9,
            supported: 3,
            ..
        })
    ));
}

/// What the catalog would have to write for a record: every value in a page of a power of two.
fn page_bytes(values: &[Vec<Bytes>]) -> usize {
    let length = |value: &Vec<Bytes>| value.iter().map(Bytes::len).sum::<usize>();
    let page = |value| (length(value) + 32).next_power_of_two();
    values.iter().map(page).sum()
}

#[test]
fn a_record_is_cut_into_values_that_fill_their_pages() {
    for length in [0, 1, 20_000, 40_000, 590_000, 1 << 20, 5_000_000] {
        let whole = Bytes::from((0..length).map(|at| (at % 251) as u8).collect::<Vec<_>>());
        // As records are: many pieces, some of them empty.
        let cuts = [0, 10, 10, length / 3, length].map(|cut| cut.min(length));
        let pieces: Vec<Bytes> = cuts
            .windows(2)
            .map(|pair| whole.slice(pair[0]..pair[1].max(pair[0])))
            .collect();
        let expected = pieces.concat();
        let values = cut_record(pieces);
        assert_eq!(values.concat().concat(), expected);
        let (written, needed) = (page_bytes(&values), expected.len());
        if needed > 100_000 {
            assert!(written < needed + needed / 8, "{written} for {needed}");
        }
    }
}
