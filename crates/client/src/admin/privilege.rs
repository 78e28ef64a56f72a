//! What a role may be allowed to do, and on what kind of object.
//!
//! Invariant: every privilege of the protocol's own list (`common.ObjectPrivilege`) has a variant here.

named! {
    /// The kind of object that a privilege is granted on.
    ObjectType {
        /// One collection, or all (`*`).
        Collection = "Collection",
        /// The server as a whole; the object's name is `*`.
        Global = "Global",
        /// One user, or all (`*`).
        User = "User",
    }
}

named! {
    /// What a role may do. Variants are named as Milvus names them; those on reading, writing and
    /// administering as a whole are groups that the server has built in.
    Privilege {
        /// Everything on the object (`*`).
        All = "*",
        /// Create collection.
        CreateCollection = "CreateCollection",
        /// Drop collection.
        DropCollection = "DropCollection",
        /// Describe collection.
        DescribeCollection = "DescribeCollection",
        /// Show collections.
        ShowCollections = "ShowCollections",
        /// Load.
        Load = "Load",
        /// Release.
        Release = "Release",
        /// Compaction.
        Compaction = "Compaction",
        /// Insert.
        Insert = "Insert",
        /// Delete.
        Delete = "Delete",
        /// Get statistics.
        GetStatistics = "GetStatistics",
        /// Create index.
        CreateIndex = "CreateIndex",
        /// Index detail.
        IndexDetail = "IndexDetail",
        /// Drop index.
        DropIndex = "DropIndex",
        /// Search.
        Search = "Search",
        /// Flush.
        Flush = "Flush",
        /// Query.
        Query = "Query",
        /// Load balance.
        LoadBalance = "LoadBalance",
        /// Import.
        Import = "Import",
        /// Create ownership.
        CreateOwnership = "CreateOwnership",
        /// Update user.
        UpdateUser = "UpdateUser",
        /// Drop ownership.
        DropOwnership = "DropOwnership",
        /// Select ownership.
        SelectOwnership = "SelectOwnership",
        /// Manage ownership.
        ManageOwnership = "ManageOwnership",
        /// Select user.
        SelectUser = "SelectUser",
        /// Upsert.
        Upsert = "Upsert",
        /// Create resource group.
        CreateResourceGroup = "CreateResourceGroup",
        /// Drop resource group.
        DropResourceGroup = "DropResourceGroup",
        /// Describe resource group.
        DescribeResourceGroup = "DescribeResourceGroup",
        /// List resource groups.
        ListResourceGroups = "ListResourceGroups",
        /// Transfer node.
        TransferNode = "TransferNode",
        /// Transfer replica.
        TransferReplica = "TransferReplica",
        /// Get loading progress.
        GetLoadingProgress = "GetLoadingProgress",
        /// Get load state.
        GetLoadState = "GetLoadState",
        /// Rename collection.
        RenameCollection = "RenameCollection",
        /// Create database.
        CreateDatabase = "CreateDatabase",
        /// Drop database.
        DropDatabase = "DropDatabase",
        /// List databases.
        ListDatabases = "ListDatabases",
        /// Flush all.
        FlushAll = "FlushAll",
        /// Create partition.
        CreatePartition = "CreatePartition",
        /// Drop partition.
        DropPartition = "DropPartition",
        /// Show partitions.
        ShowPartitions = "ShowPartitions",
        /// Has partition.
        HasPartition = "HasPartition",
        /// Get flush state.
        GetFlushState = "GetFlushState",
        /// Create alias.
        CreateAlias = "CreateAlias",
        /// Drop alias.
        DropAlias = "DropAlias",
        /// Describe alias.
        DescribeAlias = "DescribeAlias",
        /// List aliases.
        ListAliases = "ListAliases",
        /// Update resource groups.
        UpdateResourceGroups = "UpdateResourceGroups",
        /// Alter database.
        AlterDatabase = "AlterDatabase",
        /// Describe database.
        DescribeDatabase = "DescribeDatabase",
        /// BackupRBAC.
        BackupRbac = "BackupRBAC",
        /// RestoreRBAC.
        RestoreRbac = "RestoreRBAC",
        /// Create privilege group.
        CreatePrivilegeGroup = "CreatePrivilegeGroup",
        /// Drop privilege group.
        DropPrivilegeGroup = "DropPrivilegeGroup",
        /// List privilege groups.
        ListPrivilegeGroups = "ListPrivilegeGroups",
        /// Operate privilege group.
        OperatePrivilegeGroup = "OperatePrivilegeGroup",
        /// Get import progress.
        GetImportProgress = "GetImportProgress",
        /// List import.
        ListImport = "ListImport",
        /// Add collection field.
        AddCollectionField = "AddCollectionField",
        /// Add file resource.
        AddFileResource = "AddFileResource",
        /// Remove file resource.
        RemoveFileResource = "RemoveFileResource",
        /// List file resources.
        ListFileResources = "ListFileResources",
        /// Update replicate configuration.
        UpdateReplicateConfiguration = "UpdateReplicateConfiguration",
        /// Create snapshot.
        CreateSnapshot = "CreateSnapshot",
        /// Drop snapshot.
        DropSnapshot = "DropSnapshot",
        /// Describe snapshot.
        DescribeSnapshot = "DescribeSnapshot",
        /// List snapshots.
        ListSnapshots = "ListSnapshots",
        /// Restore snapshot.
        RestoreSnapshot = "RestoreSnapshot",
        /// Alter collection schema.
        AlterCollectionSchema = "AlterCollectionSchema",
        /// Get replicate configuration.
        GetReplicateConfiguration = "GetReplicateConfiguration",
        /// Refresh external collection.
        RefreshExternalCollection = "RefreshExternalCollection",
        /// Pin snapshot data.
        PinSnapshotData = "PinSnapshotData",
        /// Unpin snapshot data.
        UnpinSnapshotData = "UnpinSnapshotData",
        /// Restore external snapshot.
        RestoreExternalSnapshot = "RestoreExternalSnapshot",
        /// Export snapshot.
        ExportSnapshot = "ExportSnapshot",
        /// Reading what there is (a group of privileges).
        ReadOnly = "ReadOnly",
        /// Reading and writing what there is (a group of privileges).
        ReadWrite = "ReadWrite",
        /// Administering what there is (a group of privileges).
        Admin = "Admin",
        /// Reading the cluster (a group of privileges).
        ClusterReadOnly = "ClusterReadOnly",
        /// Reading and writing the cluster (a group of privileges).
        ClusterReadWrite = "ClusterReadWrite",
        /// Administering the cluster (a group of privileges).
        ClusterAdmin = "ClusterAdmin",
        /// Reading a database (a group of privileges).
        DatabaseReadOnly = "DatabaseReadOnly",
        /// Reading and writing a database (a group of privileges).
        DatabaseReadWrite = "DatabaseReadWrite",
        /// Administering a database (a group of privileges).
        DatabaseAdmin = "DatabaseAdmin",
        /// Reading a collection (a group of privileges).
        CollectionReadOnly = "CollectionReadOnly",
        /// Reading and writing a collection (a group of privileges).
        CollectionReadWrite = "CollectionReadWrite",
        /// Administering a collection (a group of privileges).
        CollectionAdmin = "CollectionAdmin",
    }
}

#[cfg(test)]
mod tests {
    use milvus_protocol::common::ObjectPrivilege;

    use super::Privilege;

    #[test]
    fn every_privilege_of_the_protocol_has_a_variant() {
        let known = (0..200).filter_map(|number| ObjectPrivilege::try_from(number).ok());
        let mut count = 0;
        for privilege in known {
            let name = privilege.as_str_name();
            let name = name
                .strip_prefix("Privilege")
                .expect("the list's own prefix");
            let name = match name.strip_prefix("Group") {
                Some(group) => group,
                None if name == "All" => "*",
                None => name,
            };
            let known = Privilege::from_name(name);
            assert!(!matches!(known, Privilege::Other(_)), "{name}");
            assert_eq!(known.name(), name);
            count += 1;
        }
        assert!(count > 80, "{count}");
    }
}
