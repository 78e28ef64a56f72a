//! What to use instead of a call that the embedded engine doesn't have.
//!
//! Invariant: every call of the protocol is either answered or has a text here; a test compares the three lists.

use tonic::Status;

const SCHEMA: &str = "create a collection with the schema that you want and insert the rows again; \
                      AddCollectionField adds a plain field to one that exists";
const IMPORT: &str =
    "read the file in your program and insert its rows (Insert takes up to 64 MiB at a time)";
const SNAPSHOT: &str =
    "stop the server and copy the database's folder: the copy is a database of its own";
const REPLICATION: &str = "copy the database's folder while nothing has it open, or write to both";
const CLUSTER: &str = "there is one node, and nothing to place or balance; leave the call out";
const NAMESPACE: &str = "use a partition key, a partition or a database to keep tenants apart";
const TASK: &str =
    "everything is done when its call has been answered; there are no tasks to ask about";
const TAGS: &str = "put users into roles (CreateRole, OperateUserRole) and ask for those";
const ROW_POLICY: &str =
    "keep what a role may see in a collection or database of its own, and grant that";
const RBAC_COPY: &str =
    "copy the database's folder, or make users, roles and grants again with their calls";
const FILES: &str = "give stop words and the like in the analyzer's parameters";
const EXTERNAL: &str = "insert the rows: a collection keeps its own data";

/// The calls that aren't answered, and what to use.
const ALTERNATIVES: &[(&str, &str)] = &[
    ("AddCollectionStructField", SCHEMA),
    ("AlterCollectionSchema", SCHEMA),
    ("AddCollectionFunction", SCHEMA),
    ("AlterCollectionFunction", SCHEMA),
    ("DropCollectionFunction", SCHEMA),
    (
        "Prewarm",
        "LoadCollection suffices: the operating system keeps in memory what is read",
    ),
    ("DescribePrewarmTask", TASK),
    ("CreateNamespace", NAMESPACE),
    ("DescribeNamespace", NAMESPACE),
    ("ListNamespaces", NAMESPACE),
    ("DropNamespace", NAMESPACE),
    ("HasNamespace", NAMESPACE),
    ("GetNamespaceStats", NAMESPACE),
    ("ListIndexedSegment", "use GetPersistentSegmentInfo"),
    ("DescribeSegmentIndexData", "use DescribeIndex"),
    ("Import", IMPORT),
    ("GetImportState", IMPORT),
    ("ListImportTasks", IMPORT),
    (
        "CalcDistance",
        "Milvus gave it up in 2.3: compute the distance in your program, or Search with a filter on the ids",
    ),
    (
        "RunAnalyzer",
        "a field with enable_match and a query with text_match show what an analyzer does",
    ),
    (
        "ComputePhraseMatchSlop",
        "use text_match, or a filter with `like`",
    ),
    ("LoadBalance", CLUSTER),
    ("AddUserTags", TAGS),
    ("DeleteUserTags", TAGS),
    ("GetUserTags", TAGS),
    ("ListUsersWithTag", TAGS),
    (
        "AlterRole",
        "drop the role and create it again with its new description",
    ),
    ("BackupRBAC", RBAC_COPY),
    ("RestoreRBAC", RBAC_COPY),
    ("CreateRowPolicy", ROW_POLICY),
    ("DropRowPolicy", ROW_POLICY),
    ("ListRowPolicies", ROW_POLICY),
    ("CreateResourceGroup", CLUSTER),
    ("DropResourceGroup", CLUSTER),
    ("UpdateResourceGroups", CLUSTER),
    ("TransferNode", CLUSTER),
    ("TransferReplica", CLUSTER),
    ("ListResourceGroups", CLUSTER),
    ("DescribeResourceGroup", CLUSTER),
    ("AddFileResource", FILES),
    ("RemoveFileResource", FILES),
    ("ListFileResources", FILES),
    ("CreateSnapshot", SNAPSHOT),
    ("DropSnapshot", SNAPSHOT),
    ("ListSnapshots", SNAPSHOT),
    ("DescribeSnapshot", SNAPSHOT),
    ("RestoreSnapshot", SNAPSHOT),
    ("RestoreExternalSnapshot", SNAPSHOT),
    ("ExportSnapshot", SNAPSHOT),
    ("GetExportSnapshotState", SNAPSHOT),
    ("GetRestoreSnapshotState", SNAPSHOT),
    ("ListRestoreSnapshotJobs", SNAPSHOT),
    ("PinSnapshotData", SNAPSHOT),
    ("UnpinSnapshotData", SNAPSHOT),
    ("BatchUpdateManifest", EXTERNAL),
    ("RefreshExternalCollection", EXTERNAL),
    ("GetRefreshExternalCollectionProgress", EXTERNAL),
    ("ListRefreshExternalCollectionJobs", EXTERNAL),
    ("ReplicateMessage", REPLICATION),
    ("UpdateReplicateConfiguration", REPLICATION),
    ("GetReplicateConfiguration", REPLICATION),
    ("GetReplicateInfo", REPLICATION),
    ("CreateReplicateStream", REPLICATION),
    ("DumpMessages", REPLICATION),
    (
        "GetComponentStates",
        "use CheckHealth, or GET /healthz of a served database",
    ),
    ("GetMetrics", "use GET /metrics of a served database"),
    ("RegisterLink", "use Connect"),
    ("Dummy", "use GetVersion to see whether somebody answers"),
];

/// The answer to a call without a function; `call` is `MilvusService/NAME`.
pub(super) fn not_offered(call: &str) -> Status {
    let name = call.rsplit('/').next().unwrap_or(call);
    let instead = ALTERNATIVES.iter().find(|(known, _)| *known == name);
    Status::unimplemented(match instead {
        Some((_, instead)) => format!("the embedded engine has no {name}: {instead}"),
        None => format!("the embedded engine has no {name}: a Milvus server has it"),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use milvus_protocol::rpc;
    use tonic::Code;

    use super::super::routes::ANSWERED;
    use super::*;

    #[test]
    fn every_call_of_the_protocol_is_answered_or_has_an_alternative() {
        const SERVICE: &str = "milvus.proto.milvus.MilvusService";
        let function = |name: &str| -> String {
            // The functions are named as the calls, in the other case.
            name.to_lowercase()
        };
        let answered: BTreeSet<String> = ANSWERED
            .iter()
            .map(|name| name.replace('_', "").to_lowercase())
            .collect();
        let calls: BTreeSet<&str> = rpc::ALL
            .iter()
            .filter(|row| row.service == SERVICE)
            .map(|row| row.name)
            .collect();
        assert!(calls.len() > 140);
        for name in &calls {
            let has_alternative = ALTERNATIVES.iter().any(|(known, _)| known == name);
            assert_ne!(
                answered.contains(&function(name)),
                has_alternative,
                "{name}"
            );
        }
        for (name, instead) in ALTERNATIVES {
            assert!(calls.contains(name), "no call of the protocol: {name}");
            let status = not_offered(&format!("MilvusService/{name}"));
            assert_eq!(status.code(), Code::Unimplemented);
            assert!(status.message().contains(instead) && instead.len() > 10);
        }
        assert_eq!(answered.len() + ALTERNATIVES.len(), calls.len());
    }
}
