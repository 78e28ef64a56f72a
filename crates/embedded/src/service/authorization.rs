//! Whether a caller may make a call, decided by the grants of the catalog.
//!
//! Invariant: a call that came from outside of this process, and so with a [`Caller`], reaches its function only when the
//! caller may make it. Inside a process nothing is refused: who can open the files can read them.

use milvus_protocol::milvus::{GrantEntity, UserEntity};
use milvus_protocol::server::Caller;
use tonic::Status;

use super::Embedded;
use crate::catalog::{Catalog, Needed, ObjectKind};

/// What a call needs, as the table of routes says it.
#[derive(Debug)]
pub(super) enum Need<'a> {
    /// A privilege on a whole database.
    Database(&'static str, &'a str),
    /// A privilege on the server.
    Cluster(&'static str),
    /// A privilege on each of these collections of a database.
    Collection(&'static str, Vec<&'a str>, &'a str),
    /// A privilege on a user; everybody has all of them on themselves.
    User(&'static str, &'a str),
    /// A privilege on the server; everybody may ask about roles that they hold.
    Role(&'static str, &'a str),
}

/// A field of a request that names what the call works on.
pub(super) trait Names {
    fn names(&self) -> Vec<&str>;

    fn name(&self) -> &str {
        self.names().first().copied().unwrap_or_default()
    }
}

impl Names for String {
    fn names(&self) -> Vec<&str> {
        vec![self]
    }
}

impl Names for Vec<String> {
    fn names(&self) -> Vec<&str> {
        self.iter().map(String::as_str).collect()
    }
}

impl Names for Option<UserEntity> {
    fn names(&self) -> Vec<&str> {
        self.iter().map(|user| user.name.as_str()).collect()
    }
}

impl Names for Option<GrantEntity> {
    fn names(&self) -> Vec<&str> {
        let role = self.as_ref().and_then(|entity| entity.role.as_ref());
        role.iter().map(|role| role.name.as_str()).collect()
    }
}

impl Embedded {
    /// Refuses what the caller may not do, as a Milvus proxy refuses it.
    pub(super) fn authorize(
        &self,
        caller: Option<&Caller>,
        metadata_database: &str,
        need: Option<Need<'_>>,
    ) -> Result<(), Status> {
        let (Some(caller), Some(need)) = (caller, need) else {
            return Ok(());
        };
        let state = self.engine.state();
        check(&state.catalog, caller.user(), metadata_database, &need)
    }
}

fn check(
    catalog: &Catalog,
    user: &str,
    metadata_database: &str,
    need: &Need<'_>,
) -> Result<(), Status> {
    let access = &catalog.access;
    let database = |named: &str| -> String {
        let chosen = [named, metadata_database]
            .into_iter()
            .find(|name| !name.is_empty());
        chosen
            .unwrap_or(crate::catalog::DEFAULT_DATABASE)
            .to_owned()
    };
    let refuse = |privilege: &str, database: &str| {
        tracing::warn!(
            user,
            privilege,
            database,
            "a call was refused: the user lacks the privilege"
        );
        Err(Status::permission_denied(format!(
            "Privilege{privilege}: permission deny to {user} in the `{database}` database"
        )))
    };
    let permits = |privilege: &'static str, kind, object: &str, database: &str| {
        let needed = Needed {
            privilege,
            kind,
            object,
            database,
        };
        access.permits(user, needed)
    };
    match need {
        Need::Database(privilege, named) => {
            let database = database(named);
            if !permits(privilege, ObjectKind::Global, "", &database) {
                return refuse(privilege, &database);
            }
        }
        Need::Collection(privilege, names, named) => {
            let database = database(named);
            for name in names {
                // A grant is for a collection, by whichever of its names it is called.
                let real = catalog.collection(&database, name).ok();
                let may = permits(privilege, ObjectKind::Collection, name, &database)
                    || real.is_some_and(|record| {
                        permits(privilege, ObjectKind::Collection, &record.name, &database)
                    });
                if !may {
                    return refuse(privilege, &database);
                }
            }
        }
        Need::User(_, name) if *name == user => {}
        Need::Role(_, role) if access.holds_role(user, role) => {}
        Need::Cluster(privilege) | Need::Role(privilege, _) => {
            let database = database("");
            if !permits(privilege, ObjectKind::Global, "", &database) {
                return refuse(privilege, &database);
            }
        }
        Need::User(privilege, name) => {
            let database = database("");
            if !permits(privilege, ObjectKind::User, name, &database) {
                return refuse(privilege, &database);
            }
        }
    }
    Ok(())
}
