//! What a grant allows: names of privileges, the groups that Milvus brings, and whether a user may do something.
//!
//! Invariant: what no grant allows is refused, but to `root` and to holders of the role `admin`.

use milvus_protocol::common::ObjectPrivilege;

use super::access::{Access, GrantRecord, ROOT};

/// Whoever holds it may do everything.
pub(crate) const ADMIN_ROLE: &str = "admin";
/// Everybody holds it.
pub(crate) const PUBLIC_ROLE: &str = "public";
/// Matches every name, database and privilege.
const ANY: &str = "*";

/// What a call works on, as far as privileges go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    /// The server, or a database.
    Global,
    /// A collection.
    Collection,
    /// A user.
    User,
}

impl ObjectKind {
    /// Milvus's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Global => "Global",
            Self::Collection => "Collection",
            Self::User => "User",
        }
    }

    /// The kind of this name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::Global, Self::Collection, Self::User]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// What a call needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needed<'a> {
    pub(crate) privilege: &'a str,
    pub(crate) kind: ObjectKind,
    /// The collection or user; any, where a call works on no single one.
    pub(crate) object: &'a str,
    pub(crate) database: &'a str,
}

/// The groups of Milvus; each holds the one before it in the same row as well.
const GROUPS: [[(&str, &[&str]); 3]; 3] = [
    [
        (
            "CollectionReadOnly",
            &[
                "Query",
                "Search",
                "IndexDetail",
                "GetFlushState",
                "GetLoadState",
                "GetLoadingProgress",
                "HasPartition",
                "ShowPartitions",
                "DescribeCollection",
                "DescribeAlias",
                "GetStatistics",
                "ListAliases",
            ],
        ),
        (
            "CollectionReadWrite",
            &[
                "Load",
                "Release",
                "Insert",
                "Delete",
                "Upsert",
                "Import",
                "Flush",
                "Compaction",
                "LoadBalance",
                "CreateIndex",
                "DropIndex",
                "CreatePartition",
                "DropPartition",
                "AddCollectionField",
            ],
        ),
        ("CollectionAdmin", &["CreateAlias", "DropAlias"]),
    ],
    [
        ("DatabaseReadOnly", &["ShowCollections", "DescribeDatabase"]),
        ("DatabaseReadWrite", &["AlterDatabase"]),
        ("DatabaseAdmin", &["CreateCollection", "DropCollection"]),
    ],
    [
        (
            "ClusterReadOnly",
            &[
                "ListDatabases",
                "SelectOwnership",
                "SelectUser",
                "DescribeResourceGroup",
                "ListResourceGroups",
                "ListPrivilegeGroups",
            ],
        ),
        (
            "ClusterReadWrite",
            &[
                "FlushAll",
                "TransferNode",
                "TransferReplica",
                "UpdateResourceGroups",
            ],
        ),
        (
            "ClusterAdmin",
            &[
                "BackupRBAC",
                "RestoreRBAC",
                "CreateDatabase",
                "DropDatabase",
                "CreateOwnership",
                "DropOwnership",
                "ManageOwnership",
                "CreateResourceGroup",
                "DropResourceGroup",
                "UpdateUser",
                "RenameCollection",
                "CreatePrivilegeGroup",
                "DropPrivilegeGroup",
                "OperatePrivilegeGroup",
            ],
        ),
    ],
];

/// Whether a group of Milvus holds a privilege; `None` when there is no such group.
fn built_in_group_holds(group: &str, privilege: &str) -> Option<bool> {
    GROUPS.iter().find_map(|row| {
        let level = row.iter().position(|(name, _)| *name == group)?;
        Some(
            row.iter()
                .take(level + 1)
                .any(|(_, members)| members.contains(&privilege)),
        )
    })
}

/// A privilege as it is kept and shown: `Search` for `PrivilegeSearch`, `*` for all.
pub(crate) fn canonical_privilege(name: &str) -> &str {
    match name.strip_prefix("Privilege").unwrap_or(name) {
        "All" => ANY,
        short => short,
    }
}

/// The privileges on a collection; the others are on the server or a database, or on a user.
const ON_COLLECTIONS: [&str; 28] = [
    "AddCollectionField",
    "AlterCollectionSchema",
    "Compaction",
    "CreateIndex",
    "CreatePartition",
    "CreateSnapshot",
    "Delete",
    "DescribeSnapshot",
    "DropIndex",
    "DropPartition",
    "DropSnapshot",
    "Flush",
    "GetFlushState",
    "GetLoadState",
    "GetLoadingProgress",
    "GetStatistics",
    "HasPartition",
    "Import",
    "IndexDetail",
    "Insert",
    "ListSnapshots",
    "Load",
    "LoadBalance",
    "Query",
    "Release",
    "Search",
    "ShowPartitions",
    "Upsert",
];

/// What kind of object a grant without a kind is for.
pub(crate) fn kind_of_grant(privilege: &str, object_name: &str) -> ObjectKind {
    let is_other = is_privilege(privilege) || is_built_in_group(privilege);
    if ON_COLLECTIONS.contains(&privilege) || privilege.starts_with("Collection") {
        ObjectKind::Collection
    } else if ["SelectUser", "UpdateUser"].contains(&privilege) {
        ObjectKind::User
    } else if is_other || object_name == ANY {
        ObjectKind::Global
    } else {
        ObjectKind::Collection
    }
}

/// Whether the protocol knows the privilege.
pub(crate) fn is_privilege(name: &str) -> bool {
    let short = canonical_privilege(name);
    short == ANY || ObjectPrivilege::from_str_name(&format!("Privilege{short}")).is_some()
}

/// Whether Milvus brings a privilege group of this name.
pub(crate) fn is_built_in_group(name: &str) -> bool {
    built_in_group_holds(name, "").is_some()
}

fn fits(granted: &str, needed: &str) -> bool {
    granted == ANY || granted == needed
}

impl Access {
    /// Whether the user may do what is needed.
    pub(crate) fn permits(&self, user: &str, needed: Needed<'_>) -> bool {
        if self.is_administrator(user) {
            return true;
        }
        self.grants_of(user)
            .any(|grant| self.grant_permits(grant, needed))
    }

    /// Whether the user may do everything.
    pub(crate) fn is_administrator(&self, user: &str) -> bool {
        user == ROOT || self.roles_of(user).any(|role| role == ADMIN_ROLE)
    }

    /// Whether the user holds the role.
    pub(crate) fn holds_role(&self, user: &str, role: &str) -> bool {
        self.roles_of(user).any(|held| held == role)
    }

    /// Whether a list of collections shows this one to the user: something is granted on it, or all may be listed.
    pub(crate) fn sees_collection(&self, user: &str, database: &str, collection: &str) -> bool {
        let list = Needed {
            privilege: "ShowCollections",
            kind: ObjectKind::Global,
            object: "",
            database,
        };
        self.permits(user, list)
            || self.own_grants_of(user).any(|grant| {
                grant.object == ObjectKind::Collection.name()
                    && fits(&grant.database, database)
                    && fits(&grant.object_name, collection)
            })
    }

    /// What is granted to the user in particular: not to everybody.
    pub(crate) fn own_grants_of(&self, user: &str) -> impl Iterator<Item = &GrantRecord> {
        let record = self.users.get(user).into_iter();
        record
            .flat_map(|record| &record.roles)
            .filter(|role| *role != PUBLIC_ROLE)
            .filter_map(|role| self.roles.get(role))
            .flat_map(|role| &role.grants)
    }

    /// Everything that is granted to the user by way of roles.
    fn grants_of(&self, user: &str) -> impl Iterator<Item = &GrantRecord> {
        self.roles_of(user)
            .filter_map(|role| self.roles.get(role))
            .flat_map(|role| &role.grants)
    }

    fn roles_of(&self, user: &str) -> impl Iterator<Item = &str> {
        let own = self.users.get(user).into_iter();
        own.flat_map(|record| record.roles.iter().map(String::as_str))
            .chain([PUBLIC_ROLE])
    }

    fn grant_permits(&self, grant: &GrantRecord, needed: Needed<'_>) -> bool {
        let object = needed.kind == ObjectKind::Global || fits(&grant.object_name, needed.object);
        fits(&grant.database, needed.database) && object && self.privilege_covers(grant, needed)
    }

    fn privilege_covers(&self, grant: &GrantRecord, needed: Needed<'_>) -> bool {
        match canonical_privilege(&grant.privilege) {
            // "All" is all that there is for one kind of object.
            ANY => grant.object == needed.kind.name(),
            name => {
                let group = self.groups.get(name);
                name == needed.privilege
                    || built_in_group_holds(name, needed.privilege).unwrap_or(false)
                    || group.is_some_and(|group| {
                        group
                            .privileges
                            .iter()
                            .any(|member| canonical_privilege(member) == needed.privilege)
                    })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{PrivilegeGroupRecord, RoleRecord, UserRecord};

    fn grant(kind: &str, object: &str, database: &str, privilege: &str) -> GrantRecord {
        GrantRecord {
            object: kind.to_owned(),
            object_name: object.to_owned(),
            database: database.to_owned(),
            privilege: privilege.to_owned(),
            grantor: ROOT.to_owned(),
        }
    }

    fn access(grants: impl IntoIterator<Item = GrantRecord>) -> Access {
        let mut access = Access::default();
        let role = RoleRecord {
            name: "reader".to_owned(),
            grants: grants.into_iter().collect(),
            ..RoleRecord::default()
        };
        access.roles.insert(role.name.clone(), role);
        let user = UserRecord {
            name: "alice".to_owned(),
            password_hash: String::new(),
            roles: ["reader".to_owned()].into(),
            created: 0,
        };
        access.users.insert(user.name.clone(), user);
        access
    }

    fn needs<'a>(
        privilege: &'a str,
        kind: ObjectKind,
        object: &'a str,
        database: &'a str,
    ) -> Needed<'a> {
        Needed {
            privilege,
            kind,
            object,
            database,
        }
    }

    #[test]
    fn a_grant_is_for_its_object_database_and_privilege() {
        let access = access([grant("Collection", "docs", "default", "Search")]);
        let permits = |privilege, object, database| {
            access.permits(
                "alice",
                needs(privilege, ObjectKind::Collection, object, database),
            )
        };
        assert!(permits("Search", "docs", "default"));
        assert!(!permits("Insert", "docs", "default"));
        assert!(!permits("Search", "other", "default"));
        assert!(!permits("Search", "docs", "other"));
        let needed = needs("Search", ObjectKind::Collection, "docs", "default");
        assert!(!access.permits("bob", needed) && access.permits(ROOT, needed));
    }

    #[test]
    fn groups_and_all_hold_what_milvus_says() {
        let mut access = access([
            grant("Global", "*", "*", "CollectionReadWrite"),
            grant("Global", "*", "sales", "All"),
            grant("Collection", "*", "*", "mine"),
        ]);
        let permits = |access: &Access, privilege, kind, database| {
            access.permits("alice", needs(privilege, kind, "docs", database))
        };
        let collection = ObjectKind::Collection;
        assert!(permits(&access, "Insert", collection, "default"));
        assert!(permits(&access, "Query", collection, "default"));
        assert!(!permits(
            &access,
            "CreateAlias",
            ObjectKind::Global,
            "default"
        ));
        assert!(permits(
            &access,
            "DropCollection",
            ObjectKind::Global,
            "sales"
        ));
        assert!(!permits(
            &access,
            "DropCollection",
            ObjectKind::Global,
            "default"
        ));
        assert!(!permits(&access, "CreateSnapshot", collection, "default"));
        let group = PrivilegeGroupRecord {
            name: "mine".to_owned(),
            privileges: ["PrivilegeCreateSnapshot".to_owned()].into(),
        };
        access.groups.insert(group.name.clone(), group);
        assert!(permits(&access, "CreateSnapshot", collection, "default"));
    }

    #[test]
    fn every_member_of_a_group_is_a_privilege_of_the_protocol() {
        for (group, members) in GROUPS.iter().flatten() {
            assert!(is_built_in_group(group) && !is_privilege(group));
            for member in *members {
                assert!(is_privilege(member), "{group}: {member}");
            }
        }
        assert!(is_privilege("PrivilegeSearch") && is_privilege("*") && is_privilege("All"));
        assert!(!is_privilege("Serach"));
    }
}
