//! Changes of a catalog: each alters the value and adds the writes that alter the file in the same way.

use std::sync::Arc;

use bytes::Bytes;

use super::access::{
    BUILT_IN_ROLES, GrantRecord, KeyRecord, PUBLIC_GRANTS, PrivilegeGroupRecord, ROOT, RoleRecord,
    UserRecord,
};
use super::privileges::PUBLIC_ROLE;
use super::{Catalog, CollectionRecord, DEFAULT_DATABASE, DatabaseRecord};
use crate::error::{MilvusError, MilvusErrorKind};
use crate::storage::{Table, Write};

fn put(table: Table, key: Vec<u8>, record: &impl serde::Serialize) -> Result<Write, MilvusError> {
    let json = serde_json::to_vec(record)
        .map_err(|error| MilvusError::new(MilvusErrorKind::Internal, error.to_string()))?;
    Ok(Write::Put(table, key, vec![Bytes::from(json)]))
}

impl Catalog {
    /// A number never given before.
    pub(crate) fn next_identifier(&mut self, writes: &mut Vec<Write>) -> u64 {
        self.last_identifier += 1;
        let bytes = Bytes::copy_from_slice(&self.last_identifier.to_le_bytes());
        writes.push(Write::Put(Table::Meta, b"identifier".to_vec(), vec![bytes]));
        self.last_identifier
    }

    /// What a new file holds: the default database, the user `root` and the built-in roles.
    pub(crate) fn bootstrap(
        &mut self,
        now: u64,
        format: u32,
        writes: &mut Vec<Write>,
    ) -> Result<(), MilvusError> {
        if self.database(DEFAULT_DATABASE).is_err() {
            let id = self.next_identifier(writes);
            let record = DatabaseRecord {
                id,
                name: DEFAULT_DATABASE.to_owned(),
                created: now,
                properties: Default::default(),
            };
            self.put_database(record, writes)?;
        }
        for name in BUILT_IN_ROLES {
            if !self.access.roles.contains_key(name) {
                let record = RoleRecord {
                    name: name.to_owned(),
                    grants: built_in_grants(name),
                    ..RoleRecord::default()
                };
                self.put_role(record, writes)?;
            }
        }
        if format < FORMAT_WITH_PUBLIC_GRANTS
            && let Some(public) = self.access.roles.get(PUBLIC_ROLE)
            && public.grants.is_empty()
        {
            let record = RoleRecord {
                grants: built_in_grants(PUBLIC_ROLE),
                ..public.clone()
            };
            self.put_role(record, writes)?;
        }
        if !self.access.users.contains_key(ROOT) {
            let roles = [BUILT_IN_ROLES[0].to_owned()].into();
            let record = UserRecord {
                name: ROOT.to_owned(),
                password_hash: String::new(),
                roles,
                created: now,
            };
            self.put_user(record, writes)?;
        }
        Ok(())
    }

    /// Adds or replaces a database.
    pub(crate) fn put_database(
        &mut self,
        record: DatabaseRecord,
        writes: &mut Vec<Write>,
    ) -> Result<(), MilvusError> {
        writes.push(put(
            Table::Databases,
            record.id.to_be_bytes().to_vec(),
            &record,
        )?);
        self.databases.insert(record.name.clone(), Arc::new(record));
        Ok(())
    }

    /// Removes a database; it must be empty.
    pub(crate) fn remove_database(
        &mut self,
        name: &str,
        writes: &mut Vec<Write>,
    ) -> Result<(), MilvusError> {
        let Some(record) = self.databases.get(name) else {
            return Ok(());
        };
        if name == DEFAULT_DATABASE {
            return Err(MilvusError::invalid("can not drop default database"));
        }
        if !self.collections_of(record.id).is_empty() {
            let message = format!(
                "database:{name} not empty, must drop all collections before drop database"
            );
            return Err(MilvusError::invalid(message));
        }
        writes.push(Write::Remove(
            Table::Databases,
            record.id.to_be_bytes().to_vec(),
        ));
        self.databases.remove(name);
        Ok(())
    }

    /// Adds or replaces a collection with its names.
    pub(crate) fn put_collection(
        &mut self,
        record: CollectionRecord,
        writes: &mut Vec<Write>,
    ) -> Result<Arc<CollectionRecord>, MilvusError> {
        writes.push(put(
            Table::Collections,
            record.id.to_be_bytes().to_vec(),
            &record,
        )?);
        self.take_collection(record.id);
        let record = Arc::new(record);
        self.insert_collection(Arc::clone(&record));
        Ok(record)
    }

    /// Removes a collection, its rows in the log and its segments.
    pub(crate) fn remove_collection(&mut self, id: u64, writes: &mut Vec<Write>) {
        if self.take_collection(id).is_some() {
            writes.push(Write::Remove(Table::Collections, id.to_be_bytes().to_vec()));
            remove_rows(id, writes);
        }
    }

    /// Refuses a name that a collection or alias of the database has.
    pub(crate) fn check_free(
        &self,
        database: &DatabaseRecord,
        name: &str,
    ) -> Result<(), MilvusError> {
        let Ok(existing) = self.collection(&database.name, name) else {
            return Ok(());
        };
        if existing.name == name {
            let message = format!(
                "collection {name} already exists in database {}: invalid parameter",
                database.name
            );
            return Err(MilvusError::new(MilvusErrorKind::Unexpected, message));
        }
        let message = format!(
            "alias and collection name conflict[database={}][alias={name}]: cannot use it, an existing alias refers to collection {}",
            database.name, existing.name
        );
        Err(MilvusError::new(
            MilvusErrorKind::AliasCollectionNameConflict,
            message,
        ))
    }

    /// Adds or replaces a user.
    pub(crate) fn put_user(
        &mut self,
        record: UserRecord,
        writes: &mut Vec<Write>,
    ) -> Result<(), MilvusError> {
        writes.push(put(
            Table::Access,
            format!("user/{}", record.name).into_bytes(),
            &record,
        )?);
        Arc::make_mut(&mut self.access)
            .users
            .insert(record.name.clone(), record);
        Ok(())
    }

    /// Adds an API key.
    pub(crate) fn put_key(
        &mut self,
        record: KeyRecord,
        writes: &mut Vec<Write>,
    ) -> Result<(), MilvusError> {
        let key = format!("key/{}", record.name).into_bytes();
        writes.push(put(Table::Access, key, &record)?);
        Arc::make_mut(&mut self.access)
            .keys
            .insert(record.digest.clone(), record);
        Ok(())
    }

    /// Removes the API keys that are chosen.
    pub(crate) fn remove_keys(
        &mut self,
        is_chosen: impl Fn(&KeyRecord) -> bool,
        writes: &mut Vec<Write>,
    ) {
        Arc::make_mut(&mut self.access).keys.retain(|_, record| {
            let stays = !is_chosen(record);
            if !stays {
                let key = format!("key/{}", record.name).into_bytes();
                writes.push(Write::Remove(Table::Access, key));
            }
            stays
        });
    }

    /// Removes a user and the user's API keys.
    pub(crate) fn remove_user(&mut self, name: &str, writes: &mut Vec<Write>) {
        self.remove_keys(|key| key.user == name, writes);
        writes.push(Write::Remove(
            Table::Access,
            format!("user/{name}").into_bytes(),
        ));
        Arc::make_mut(&mut self.access).users.remove(name);
    }

    /// Adds or replaces a role.
    pub(crate) fn put_role(
        &mut self,
        record: RoleRecord,
        writes: &mut Vec<Write>,
    ) -> Result<(), MilvusError> {
        writes.push(put(
            Table::Access,
            format!("role/{}", record.name).into_bytes(),
            &record,
        )?);
        Arc::make_mut(&mut self.access)
            .roles
            .insert(record.name.clone(), record);
        Ok(())
    }

    /// Removes a role.
    pub(crate) fn remove_role(&mut self, name: &str, writes: &mut Vec<Write>) {
        writes.push(Write::Remove(
            Table::Access,
            format!("role/{name}").into_bytes(),
        ));
        Arc::make_mut(&mut self.access).roles.remove(name);
    }

    /// Adds or replaces a privilege group.
    pub(crate) fn put_group(
        &mut self,
        record: PrivilegeGroupRecord,
        writes: &mut Vec<Write>,
    ) -> Result<(), MilvusError> {
        writes.push(put(
            Table::Access,
            format!("group/{}", record.name).into_bytes(),
            &record,
        )?);
        Arc::make_mut(&mut self.access)
            .groups
            .insert(record.name.clone(), record);
        Ok(())
    }

    /// Removes a privilege group.
    pub(crate) fn remove_group(&mut self, name: &str, writes: &mut Vec<Write>) {
        writes.push(Write::Remove(
            Table::Access,
            format!("group/{name}").into_bytes(),
        ));
        Arc::make_mut(&mut self.access).groups.remove(name);
    }
}

/// Databases of older formats may have been made when the role `public` had no grants yet. Later, none are there because they were revoked.
const FORMAT_WITH_PUBLIC_GRANTS: u32 = 2;

fn built_in_grants(role: &str) -> std::collections::BTreeSet<GrantRecord> {
    let public = PUBLIC_GRANTS.iter().filter(|_| role == PUBLIC_ROLE);
    public
        .map(|(object, privilege)| GrantRecord {
            object: (*object).to_owned(),
            object_name: "*".to_owned(),
            database: "*".to_owned(),
            privilege: (*privilege).to_owned(),
            grantor: ROOT.to_owned(),
        })
        .collect()
}

/// Removes everything that is stored under a collection's number but its record.
pub(crate) fn remove_rows(collection: u64, writes: &mut Vec<Write>) {
    for table in [Table::Log, Table::Segments, Table::Deletions] {
        let key = |second: u64| [collection.to_be_bytes(), second.to_be_bytes()].concat();
        writes.push(Write::RemoveRange(table, key(0), key(u64::MAX)));
    }
}
