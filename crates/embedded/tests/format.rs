//! Databases that earlier versions wrote open and give their rows back. The files in `tests/data` are never changed; a new version adds its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};

use milvus_embedded::{Durability, Options, open};
use milvus_protocol::milvus::{
    DeleteRequest, GrantEntity, GrantorEntity, MutationResult, ObjectEntity,
    OperatePrivilegeRequest, OperatePrivilegeType, PrivilegeEntity, RoleEntity, SelectGrantRequest,
    SelectGrantResponse,
};

mod support;
use support::{call, collection, flush, insert, keys, runtime, succeeded};

/// Names the folder to write the current format to; without it nothing is written.
const WRITE: &str = "MILVUS_EMBEDDED_WRITE_FORMAT";

async fn delete(database: &milvus_embedded::Embedded, filter: &str) {
    let request = DeleteRequest {
        collection_name: "docs".to_owned(),
        expr: filter.to_owned(),
        ..Default::default()
    };
    let answer: MutationResult = call(database, "Delete", request).await;
    assert!(answer.delete_cnt > 0, "{:?}", answer.status);
}

/// A segment, saved deletions, and a log with rows and a deletion.
#[test]
fn write_the_current_format() {
    let Ok(folder) = std::env::var(WRITE) else {
        return;
    };
    runtime().block_on(async {
        let database = open(Path::new(&folder), Options::default()).unwrap();
        collection(&database).await;
        insert(&database, 0..30).await;
        flush(&database).await;
        delete(&database, "id < 3").await;
        flush(&database).await;
        delete(&database, "id == 10").await;
        insert(&database, 40..45).await;
        // A record of the log that is cut into several values.
        insert(&database, 1000..2000).await;
    });
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Opens a copy of a database that an earlier program wrote, which holds `expected`, and writes to it.
fn opens_and_can_be_written(name: &str, mut expected: Vec<i64>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    copy(
        &PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data")
            .join(name),
        &path,
    );
    runtime().block_on(async {
        let database = open(path.clone(), Options::default()).unwrap();
        assert_eq!(keys(&database).await, expected);
        assert_eq!(grants_of_everybody(&database).await, PUBLIC);
        insert(&database, 3000..4000).await;
        drop(database);
        expected.extend(3000..4000);
        let database = open(path.clone(), Options::default()).unwrap();
        assert_eq!(keys(&database).await, expected);
        flush(&database).await;
        drop(database);
        assert_eq!(
            keys(&open(path, Options::default()).unwrap()).await,
            expected
        );
    });
}

/// What Milvus grants to the role that everybody has.
const PUBLIC: [&str; 3] = ["DescribeCollection", "IndexDetail", "ListAliases"];

async fn grants_of_everybody(database: &milvus_embedded::Embedded) -> Vec<String> {
    let role = RoleEntity {
        name: "public".to_owned(),
        ..Default::default()
    };
    let request = SelectGrantRequest {
        entity: Some(GrantEntity {
            role: Some(role),
            ..Default::default()
        }),
        ..Default::default()
    };
    let answer: SelectGrantResponse = call(database, "SelectGrant", request).await;
    let grants = answer.entities.into_iter().map(|entity| {
        let grantor = entity.grantor.unwrap();
        grantor.privilege.unwrap().name
    });
    let mut grants: Vec<String> = grants.collect();
    grants.sort();
    grants
}

#[test]
fn version_1_opens_and_can_be_written() {
    let expected = (3..30).filter(|id| *id != 10).chain(40..45);
    opens_and_can_be_written("format-1.db", expected.collect());
}

#[test]
fn version_2_opens_and_can_be_written() {
    let expected = (3..30).filter(|id| *id != 10).chain(40..45);
    opens_and_can_be_written("format-2.db", expected.chain(1000..2000).collect());
}

/// Grants that were taken from everybody don't come back with the next open.
#[test]
fn revoked_grants_of_everybody_stay_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("revoked.db");
    runtime().block_on(async {
        let database = open(path.clone(), Options::default()).unwrap();
        for privilege in PUBLIC {
            let object = match privilege {
                "IndexDetail" => "Collection",
                _ => "Global",
            };
            let entity = GrantEntity {
                role: Some(RoleEntity {
                    name: "public".to_owned(),
                    ..Default::default()
                }),
                object: Some(ObjectEntity {
                    name: object.to_owned(),
                }),
                object_name: "*".to_owned(),
                grantor: Some(GrantorEntity {
                    privilege: Some(PrivilegeEntity {
                        name: privilege.to_owned(),
                    }),
                    ..Default::default()
                }),
                db_name: "*".to_owned(),
            };
            let request = OperatePrivilegeRequest {
                entity: Some(entity),
                r#type: OperatePrivilegeType::Revoke as i32,
                ..Default::default()
            };
            succeeded(call(&database, "OperatePrivilege", request).await);
        }
        assert!(grants_of_everybody(&database).await.is_empty());
        drop(database);
        let database = open(path, Options::default()).unwrap();
        assert!(grants_of_everybody(&database).await.is_empty());
    });
}

#[test]
fn what_was_not_yet_synced_is_synced_at_close() {
    for durability in [Durability::Normal, Durability::Off] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lazy.db");
        runtime().block_on(async {
            let database =
                open(path.clone(), Options::default().with_durability(durability)).unwrap();
            collection(&database).await;
            insert(&database, 0..10).await;
            drop(database);
            assert_eq!(
                keys(&open(path, Options::default()).unwrap()).await.len(),
                10,
                "{durability:?}"
            );
        });
    }
}
