//! Roles: sets of privileges that users can be given.
//!
//! Invariant: giving and taking a role names both the user and the role; nothing is given to everybody.

use milvus_protocol::milvus::{
    AlterRoleRequest, CreateRoleRequest, DropRoleRequest, OperateUserRoleRequest,
    OperateUserRoleType, RoleEntity, RoleResult, SelectRoleRequest, SelectRoleResponse,
};
use milvus_protocol::rpc;

use super::request::{done, given};
use crate::client::Client;
use crate::error::Result;
use crate::feature::Feature;

const ROLES: Feature = Feature::call("roles");
const DESCRIPTIONS: Feature = Feature::since("descriptions of roles", 3, 0).in_embedded();
const FORCED: Feature = Feature::since("the forced drop of a role", 2, 4);

impl Client {
    /// Creates a role without privileges.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.create_role("reader").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection) when it exists.
    pub fn create_role(&self, role: impl Into<String>) -> CreateRole {
        CreateRole::new(self, role.into())
    }

    /// Changes a role's description.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.alter_role("reader", "may search, not write").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::MissingFeature`](crate::Error::MissingFeature) before Milvus 3.0.
    pub fn alter_role(&self, role: impl Into<String>, description: impl Into<String>) -> AlterRole {
        AlterRole::new(self, role.into(), description.into())
    }

    /// Drops a role. Without [`force`](DropRole::force) it must have no privileges.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.drop_role("reader").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection) when it has privileges, or does not exist.
    pub fn drop_role(&self, role: impl Into<String>) -> DropRole {
        DropRole::new(self, role.into())
    }

    /// Lists the names of all roles.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// assert!(client.list_roles().await?.contains(&"admin".to_owned()));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection).
    pub fn list_roles(&self) -> ListRoles {
        ListRoles::new(self)
    }

    /// Describes a role and who has it; `None` when there is no such role. Its privileges are told by
    /// [`list_grants`](Self::list_grants).
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// if let Some(reader) = client.describe_role("reader").await? {
    ///     println!("{:?}", reader.users);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection). Some servers answer with an error when there is
    /// no such role.
    pub fn describe_role(&self, role: impl Into<String>) -> DescribeRole {
        DescribeRole::new(self, role.into())
    }

    /// Gives a role to a user.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.grant_role("anna", "reader").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection) when the user or the role does not exist.
    pub fn grant_role(&self, user: impl Into<String>, role: impl Into<String>) -> GrantRole {
        GrantRole::new(self, user.into(), role.into())
    }

    /// Takes a role from a user.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.revoke_role("anna", "reader").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`](crate::Error::Connection) when the user or the role does not exist.
    pub fn revoke_role(&self, user: impl Into<String>, role: impl Into<String>) -> RevokeRole {
        RevokeRole::new(self, user.into(), role.into())
    }
}

request_type! {
    /// A request of [`Client::create_role`].
    CreateRole(role: String) { description: String } => ()
}

impl CreateRole {
    /// Says what the role is for.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    fn message(&self) -> Result<CreateRoleRequest> {
        if !self.description.is_empty() {
            self.client.require(DESCRIPTIONS)?;
        }
        Ok(CreateRoleRequest {
            entity: Some(RoleEntity {
                name: given("create_role", "role", &self.role)?,
                description: self.description.clone(),
            }),
            ..CreateRoleRequest::default()
        })
    }
}

single_call! { CreateRole: CREATE_ROLE of ROLES, done => () }

request_type! {
    /// A request of [`Client::alter_role`].
    AlterRole(role: String, description: String) => ()
}

impl AlterRole {
    fn message(&self) -> Result<AlterRoleRequest> {
        Ok(AlterRoleRequest {
            role_name: given("alter_role", "role", &self.role)?,
            description: self.description.clone(),
            ..AlterRoleRequest::default()
        })
    }
}

single_call! { AlterRole: ALTER_ROLE of DESCRIPTIONS, done => () }

request_type! {
    /// A request of [`Client::drop_role`].
    DropRole(role: String) { force: bool } => ()
}

impl DropRole {
    /// Drops it with its privileges.
    pub fn force(mut self) -> Self {
        self.force = true;
        self
    }

    fn message(&self) -> Result<DropRoleRequest> {
        if self.force {
            self.client.require(FORCED)?;
        }
        Ok(DropRoleRequest {
            role_name: given("drop_role", "role", &self.role)?,
            force_drop: self.force,
            ..DropRoleRequest::default()
        })
    }
}

single_call! { DropRole: DROP_ROLE of ROLES, done => () }

request_type! {
    /// A request of [`Client::list_roles`].
    ListRoles() => Vec<String>
}

impl ListRoles {
    fn message(&self) -> Result<SelectRoleRequest> {
        Ok(SelectRoleRequest::default())
    }
}

single_call! {
    ListRoles: SELECT_ROLE of ROLES,
    |answer: SelectRoleResponse| {
        let roles = answer.results.into_iter().map(RoleDescription::from);
        Ok(roles.map(|role| role.name).collect())
    } => Vec<String>
}

request_type! {
    /// A request of [`Client::describe_role`].
    DescribeRole(role: String) => Option<RoleDescription>
}

impl DescribeRole {
    fn message(&self) -> Result<SelectRoleRequest> {
        Ok(SelectRoleRequest {
            role: Some(RoleEntity {
                name: given("describe_role", "role", &self.role)?,
                ..RoleEntity::default()
            }),
            include_user_info: true,
            ..SelectRoleRequest::default()
        })
    }

    async fn send(self) -> Result<Option<RoleDescription>> {
        let message = self.message()?;
        let clock = self.settings.start();
        let call = self.client.call(ROLES, &rpc::SELECT_ROLE, message, &clock);
        let mut roles = call.await?.results.into_iter().map(RoleDescription::from);
        Ok(roles.find(|role| role.name == self.role))
    }
}

/// What a role is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoleDescription {
    /// Its name.
    pub name: String,
    /// What it is for, in words; empty from servers that do not keep it.
    pub description: String,
    /// The users who have it.
    pub users: Vec<String>,
}

impl From<RoleResult> for RoleDescription {
    fn from(result: RoleResult) -> Self {
        let role = result.role.unwrap_or_default();
        Self {
            name: role.name,
            description: role.description,
            users: result.users.into_iter().map(|user| user.name).collect(),
        }
    }
}

/// The message of giving and of taking.
fn membership(
    request: &'static str,
    user: &str,
    role: &str,
    change: OperateUserRoleType,
) -> Result<OperateUserRoleRequest> {
    Ok(OperateUserRoleRequest {
        username: given(request, "user", user)?,
        role_name: given(request, "role", role)?,
        r#type: change.into(),
        ..OperateUserRoleRequest::default()
    })
}

request_type! {
    /// A request of [`Client::grant_role`].
    GrantRole(user: String, role: String) => ()
}

impl GrantRole {
    fn message(&self) -> Result<OperateUserRoleRequest> {
        let change = OperateUserRoleType::AddUserToRole;
        membership("grant_role", &self.user, &self.role, change)
    }
}

single_call! { GrantRole: OPERATE_USER_ROLE of ROLES, done => () }

request_type! {
    /// A request of [`Client::revoke_role`].
    RevokeRole(user: String, role: String) => ()
}

impl RevokeRole {
    fn message(&self) -> Result<OperateUserRoleRequest> {
        let change = OperateUserRoleType::RemoveUserFromRole;
        membership("revoke_role", &self.user, &self.role, change)
    }
}

single_call! { RevokeRole: OPERATE_USER_ROLE of ROLES, done => () }
