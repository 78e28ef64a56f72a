//! Granting privileges to roles and taking them back, in both forms that Milvus has.
//!
//! The first form (Milvus 2.2 and later) names the kind of object; the second (2.5 and later) takes it from
//! the privilege and allows groups of privileges.
//!
//! Invariant: the database of a grant is always said: the one that was named, or the client's own.

use milvus_protocol::milvus::{
    GrantEntity, GrantorEntity, ObjectEntity, OperatePrivilegeRequest, OperatePrivilegeType,
    OperatePrivilegeV2Request, PrivilegeEntity, RoleEntity, SelectGrantRequest,
    SelectGrantResponse,
};

use super::privilege::{ObjectType, Privilege};
use super::request::{done, given};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::feature::Feature;

const PRIVILEGES: Feature = Feature::call("privileges");
const PRIVILEGES_V2: Feature = Feature::since("the second form of grants", 2, 5);

impl Client {
    /// Grants a role a privilege on an object (`*` for all objects of the kind).
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// use milvus_client::admin::{ObjectType, Privilege};
    ///
    /// client
    ///     .grant_privilege("reader", Privilege::Search, ObjectType::Collection, "docs")
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when the role does not exist, or such objects do not have the privilege.
    pub fn grant_privilege(
        &self,
        role: impl Into<String>,
        privilege: Privilege,
        object_type: ObjectType,
        object: impl Into<String>,
    ) -> GrantPrivilege {
        GrantPrivilege::new(self, role.into(), privilege, object_type, object.into())
    }

    /// Takes from a role what [`grant_privilege`](Self::grant_privilege) gave.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// use milvus_client::admin::{ObjectType, Privilege};
    ///
    /// client
    ///     .revoke_privilege("reader", Privilege::Search, ObjectType::Collection, "docs")
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when the role does not exist.
    pub fn revoke_privilege(
        &self,
        role: impl Into<String>,
        privilege: Privilege,
        object_type: ObjectType,
        object: impl Into<String>,
    ) -> RevokePrivilege {
        RevokePrivilege::new(self, role.into(), privilege, object_type, object.into())
    }

    /// Grants a role a privilege, or a group of privileges, on a collection (`*` for all).
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// use milvus_client::admin::Privilege;
    ///
    /// client
    ///     .grant_privilege_v2("reader", Privilege::CollectionReadOnly, "*")
    ///     .database("books")
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::MissingFeature`] before Milvus 2.5.
    pub fn grant_privilege_v2(
        &self,
        role: impl Into<String>,
        privilege: Privilege,
        collection: impl Into<String>,
    ) -> GrantPrivilegeV2 {
        GrantPrivilegeV2::new(self, role.into(), privilege, collection.into())
    }

    /// Takes from a role what [`grant_privilege_v2`](Self::grant_privilege_v2) gave.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// use milvus_client::admin::Privilege;
    ///
    /// client
    ///     .revoke_privilege_v2("reader", Privilege::CollectionReadOnly, "*")
    ///     .database("books")
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::MissingFeature`] before Milvus 2.5.
    pub fn revoke_privilege_v2(
        &self,
        role: impl Into<String>,
        privilege: Privilege,
        collection: impl Into<String>,
    ) -> RevokePrivilegeV2 {
        RevokePrivilegeV2::new(self, role.into(), privilege, collection.into())
    }

    /// Lists what a role was granted in the client's database, or in another one.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// for grant in client.list_grants("reader").await? {
    ///     println!("{} on {} {}", grant.privilege, grant.object_type, grant.object);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when the role does not exist.
    pub fn list_grants(&self, role: impl Into<String>) -> ListGrants {
        ListGrants::new(self, role.into())
    }
}

/// The four parts of a grant of the first form, and where it holds.
struct FirstForm<'a> {
    request: &'static str,
    client: &'a Client,
    role: &'a str,
    privilege: &'a Privilege,
    object_type: &'a ObjectType,
    object: &'a str,
    database: Option<&'a str>,
    change: OperatePrivilegeType,
}

impl FirstForm<'_> {
    fn message(&self) -> Result<OperatePrivilegeRequest> {
        let entity = GrantEntity {
            role: Some(RoleEntity {
                name: given(self.request, "role", self.role)?,
                ..RoleEntity::default()
            }),
            object: Some(ObjectEntity {
                name: given(self.request, "object_type", self.object_type.name())?,
            }),
            object_name: given(self.request, "object", self.object)?,
            grantor: Some(grantor(self.request, self.privilege)?),
            db_name: database(self.client, self.database),
        };
        Ok(OperatePrivilegeRequest {
            entity: Some(entity),
            r#type: self.change.into(),
            ..OperatePrivilegeRequest::default()
        })
    }
}

fn grantor(request: &'static str, privilege: &Privilege) -> Result<GrantorEntity> {
    Ok(GrantorEntity {
        user: None,
        privilege: Some(PrivilegeEntity {
            name: given(request, "privilege", privilege.name())?,
        }),
    })
}

/// The database that was named, or the client's own. Servers take an empty one for the default database.
fn database(client: &Client, named: Option<&str>) -> String {
    named.unwrap_or(client.database()).to_owned()
}

request_type! {
    /// A request of [`Client::grant_privilege`].
    GrantPrivilege(role: String, privilege: Privilege, object_type: ObjectType, object: String) {
        database: Option<String>,
    } => ()
}

impl GrantPrivilege {
    /// Grants it in this database, or in all (`*`); without it, in the client's own.
    pub fn database(mut self, database: impl Into<String>) -> Self {
        self.database = Some(database.into());
        self
    }

    fn message(&self) -> Result<OperatePrivilegeRequest> {
        let form = FirstForm {
            request: "grant_privilege",
            client: &self.client,
            role: &self.role,
            privilege: &self.privilege,
            object_type: &self.object_type,
            object: &self.object,
            database: self.database.as_deref(),
            change: OperatePrivilegeType::Grant,
        };
        form.message()
    }
}

single_call! { GrantPrivilege: OPERATE_PRIVILEGE of PRIVILEGES, done => () }

request_type! {
    /// A request of [`Client::revoke_privilege`].
    RevokePrivilege(role: String, privilege: Privilege, object_type: ObjectType, object: String) {
        database: Option<String>,
    } => ()
}

impl RevokePrivilege {
    /// Takes it in this database, or in all (`*`); without it, in the client's own.
    pub fn database(mut self, database: impl Into<String>) -> Self {
        self.database = Some(database.into());
        self
    }

    fn message(&self) -> Result<OperatePrivilegeRequest> {
        let form = FirstForm {
            request: "revoke_privilege",
            client: &self.client,
            role: &self.role,
            privilege: &self.privilege,
            object_type: &self.object_type,
            object: &self.object,
            database: self.database.as_deref(),
            change: OperatePrivilegeType::Revoke,
        };
        form.message()
    }
}

single_call! { RevokePrivilege: OPERATE_PRIVILEGE of PRIVILEGES, done => () }

/// The message of the second form.
fn second_form(
    request: &'static str,
    role: &str,
    privilege: &Privilege,
    database: String,
    collection: &str,
    change: OperatePrivilegeType,
) -> Result<OperatePrivilegeV2Request> {
    Ok(OperatePrivilegeV2Request {
        role: Some(RoleEntity {
            name: given(request, "role", role)?,
            ..RoleEntity::default()
        }),
        grantor: Some(grantor(request, privilege)?),
        r#type: change.into(),
        db_name: database,
        collection_name: given(request, "collection", collection)?,
        ..OperatePrivilegeV2Request::default()
    })
}

request_type! {
    /// A request of [`Client::grant_privilege_v2`].
    GrantPrivilegeV2(role: String, privilege: Privilege, collection: String) {
        database: Option<String>,
    } => ()
}

impl GrantPrivilegeV2 {
    /// Grants it in this database, or in all (`*`); without it, in the client's own.
    pub fn database(mut self, database: impl Into<String>) -> Self {
        self.database = Some(database.into());
        self
    }

    fn message(&self) -> Result<OperatePrivilegeV2Request> {
        second_form(
            "grant_privilege_v2",
            &self.role,
            &self.privilege,
            database(&self.client, self.database.as_deref()),
            &self.collection,
            OperatePrivilegeType::Grant,
        )
    }
}

single_call! { GrantPrivilegeV2: OPERATE_PRIVILEGE_V2 of PRIVILEGES_V2, done => () }

request_type! {
    /// A request of [`Client::revoke_privilege_v2`].
    RevokePrivilegeV2(role: String, privilege: Privilege, collection: String) {
        database: Option<String>,
    } => ()
}

impl RevokePrivilegeV2 {
    /// Takes it in this database, or in all (`*`); without it, in the client's own.
    pub fn database(mut self, database: impl Into<String>) -> Self {
        self.database = Some(database.into());
        self
    }

    fn message(&self) -> Result<OperatePrivilegeV2Request> {
        second_form(
            "revoke_privilege_v2",
            &self.role,
            &self.privilege,
            database(&self.client, self.database.as_deref()),
            &self.collection,
            OperatePrivilegeType::Revoke,
        )
    }
}

single_call! { RevokePrivilegeV2: OPERATE_PRIVILEGE_V2 of PRIVILEGES_V2, done => () }

request_type! {
    /// A request of [`Client::list_grants`].
    ListGrants(role: String) {
        object: Option<(ObjectType, String)>,
        database: Option<String>,
    } => Vec<Grant>
}

impl ListGrants {
    /// Only the grants on this object.
    pub fn object(mut self, object_type: ObjectType, object: impl Into<String>) -> Self {
        self.object = Some((object_type, object.into()));
        self
    }

    /// Lists the grants in this database; without it, in the client's own.
    pub fn database(mut self, database: impl Into<String>) -> Self {
        self.database = Some(database.into());
        self
    }

    fn message(&self) -> Result<SelectGrantRequest> {
        let mut entity = GrantEntity {
            role: Some(RoleEntity {
                name: given("list_grants", "role", &self.role)?,
                ..RoleEntity::default()
            }),
            db_name: database(&self.client, self.database.as_deref()),
            ..GrantEntity::default()
        };
        if let Some((object_type, object)) = &self.object {
            entity.object = Some(ObjectEntity {
                name: given("list_grants", "object type", object_type.name())?,
            });
            entity.object_name = given("list_grants", "object", object)?;
        }
        Ok(SelectGrantRequest {
            entity: Some(entity),
            ..SelectGrantRequest::default()
        })
    }
}

single_call! {
    ListGrants: SELECT_GRANT of PRIVILEGES,
    |answer: SelectGrantResponse| {
        answer.entities.into_iter().map(Grant::try_from).collect()
    } => Vec<Grant>
}

/// One privilege that a role has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// The role.
    pub role: String,
    /// What it may do.
    pub privilege: Privilege,
    /// The kind of object it may do it on.
    pub object_type: ObjectType,
    /// The object, or `*` for all of the kind.
    pub object: String,
    /// The database, or `*` for all; empty from servers that do not say.
    pub database: String,
    /// Who granted it; empty from servers that do not say.
    pub grantor: String,
}

impl TryFrom<GrantEntity> for Grant {
    type Error = Error;

    fn try_from(entity: GrantEntity) -> Result<Self> {
        let grantor = entity.grantor.unwrap_or_default();
        let Some(privilege) = grantor.privilege else {
            return Err(Error::answer("a grant", "it names no privilege"));
        };
        Ok(Self {
            role: entity.role.unwrap_or_default().name,
            privilege: Privilege::from_name(&privilege.name),
            object_type: ObjectType::from_name(&entity.object.unwrap_or_default().name),
            object: entity.object_name,
            database: entity.db_name,
            grantor: grantor.user.unwrap_or_default().name,
        })
    }
}
