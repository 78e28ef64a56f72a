//! Privilege groups: sets of privileges that can be granted as one (Milvus 2.5 and later).
//!
//! Invariant: a change of a group names at least one privilege.

use milvus_protocol::milvus::{
    CreatePrivilegeGroupRequest, DropPrivilegeGroupRequest, ListPrivilegeGroupsRequest,
    ListPrivilegeGroupsResponse, OperatePrivilegeGroupRequest, OperatePrivilegeGroupType,
    PrivilegeEntity, PrivilegeGroupInfo,
};

use super::privilege::Privilege;
use super::request::{done, given};
use crate::client::Client;
use crate::error::{Error, Result};
use crate::feature::Feature;

const GROUPS: Feature = Feature::since("privilege groups", 2, 5);

impl Client {
    /// Creates an empty privilege group.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.create_privilege_group("search_only").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when it exists; [`Error::MissingFeature`] before Milvus 2.5.
    pub fn create_privilege_group(&self, group: impl Into<String>) -> CreatePrivilegeGroup {
        CreatePrivilegeGroup::new(self, group.into())
    }

    /// Drops a privilege group. No role may have it.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.drop_privilege_group("search_only").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when a role has it; [`Error::MissingFeature`] before Milvus 2.5.
    pub fn drop_privilege_group(&self, group: impl Into<String>) -> DropPrivilegeGroup {
        DropPrivilegeGroup::new(self, group.into())
    }

    /// Lists all privilege groups and what is in them.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// for group in client.list_privilege_groups().await? {
    ///     println!("{}: {:?}", group.name, group.privileges);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::MissingFeature`] before Milvus 2.5.
    pub fn list_privilege_groups(&self) -> ListPrivilegeGroups {
        ListPrivilegeGroups::new(self)
    }

    /// Adds privileges to a group.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// use milvus_client::admin::Privilege;
    ///
    /// client
    ///     .add_privileges_to_group("search_only", [Privilege::Search, Privilege::Query])
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when there is no such group; [`Error::MissingFeature`] before Milvus 2.5.
    pub fn add_privileges_to_group(
        &self,
        group: impl Into<String>,
        privileges: impl IntoIterator<Item = Privilege>,
    ) -> AddPrivilegesToGroup {
        AddPrivilegesToGroup::new(self, group.into(), privileges.into_iter().collect())
    }

    /// Removes privileges from a group.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// use milvus_client::admin::Privilege;
    ///
    /// client
    ///     .remove_privileges_from_group("search_only", [Privilege::Query])
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when there is no such group; [`Error::MissingFeature`] before Milvus 2.5.
    pub fn remove_privileges_from_group(
        &self,
        group: impl Into<String>,
        privileges: impl IntoIterator<Item = Privilege>,
    ) -> RemovePrivilegesFromGroup {
        RemovePrivilegesFromGroup::new(self, group.into(), privileges.into_iter().collect())
    }
}

request_type! {
    /// A request of [`Client::create_privilege_group`].
    CreatePrivilegeGroup(group: String) => ()
}

impl CreatePrivilegeGroup {
    fn message(&self) -> Result<CreatePrivilegeGroupRequest> {
        Ok(CreatePrivilegeGroupRequest {
            group_name: given("create_privilege_group", "group", &self.group)?,
            ..CreatePrivilegeGroupRequest::default()
        })
    }
}

single_call! { CreatePrivilegeGroup: CREATE_PRIVILEGE_GROUP of GROUPS, done => () }

request_type! {
    /// A request of [`Client::drop_privilege_group`].
    DropPrivilegeGroup(group: String) => ()
}

impl DropPrivilegeGroup {
    fn message(&self) -> Result<DropPrivilegeGroupRequest> {
        Ok(DropPrivilegeGroupRequest {
            group_name: given("drop_privilege_group", "group", &self.group)?,
            ..DropPrivilegeGroupRequest::default()
        })
    }
}

single_call! { DropPrivilegeGroup: DROP_PRIVILEGE_GROUP of GROUPS, done => () }

request_type! {
    /// A request of [`Client::list_privilege_groups`].
    ListPrivilegeGroups() => Vec<PrivilegeGroup>
}

impl ListPrivilegeGroups {
    fn message(&self) -> Result<ListPrivilegeGroupsRequest> {
        Ok(ListPrivilegeGroupsRequest::default())
    }
}

single_call! {
    ListPrivilegeGroups: LIST_PRIVILEGE_GROUPS of GROUPS,
    |answer: ListPrivilegeGroupsResponse| {
        let groups = answer.privilege_groups.into_iter();
        Ok(groups.map(PrivilegeGroup::from).collect())
    } => Vec<PrivilegeGroup>
}

/// A set of privileges that can be granted as one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrivilegeGroup {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub privileges: Vec<Privilege>,
}

impl From<PrivilegeGroupInfo> for PrivilegeGroup {
    fn from(info: PrivilegeGroupInfo) -> Self {
        let privileges = info.privileges.iter();
        Self {
            name: info.group_name,
            privileges: privileges
                .map(|privilege| Privilege::from_name(&privilege.name))
                .collect(),
        }
    }
}

fn change(
    request: &'static str,
    group: &str,
    privileges: &[Privilege],
    change: OperatePrivilegeGroupType,
) -> Result<OperatePrivilegeGroupRequest> {
    if privileges.is_empty() {
        return Err(Error::request(request, "privileges", "has no element"));
    }
    let entity = |privilege: &Privilege| PrivilegeEntity {
        name: privilege.name().to_owned(),
    };
    Ok(OperatePrivilegeGroupRequest {
        group_name: given(request, "group", group)?,
        privileges: privileges.iter().map(entity).collect(),
        r#type: change.into(),
        ..OperatePrivilegeGroupRequest::default()
    })
}

request_type! {
    /// A request of [`Client::add_privileges_to_group`].
    AddPrivilegesToGroup(group: String, privileges: Vec<Privilege>) => ()
}

impl AddPrivilegesToGroup {
    fn message(&self) -> Result<OperatePrivilegeGroupRequest> {
        const REQUEST: &str = "add_privileges_to_group";
        let add = OperatePrivilegeGroupType::AddPrivilegesToGroup;
        change(REQUEST, &self.group, &self.privileges, add)
    }
}

single_call! { AddPrivilegesToGroup: OPERATE_PRIVILEGE_GROUP of GROUPS, done => () }

request_type! {
    /// A request of [`Client::remove_privileges_from_group`].
    RemovePrivilegesFromGroup(group: String, privileges: Vec<Privilege>) => ()
}

impl RemovePrivilegesFromGroup {
    fn message(&self) -> Result<OperatePrivilegeGroupRequest> {
        const REQUEST: &str = "remove_privileges_from_group";
        let remove = OperatePrivilegeGroupType::RemovePrivilegesFromGroup;
        change(REQUEST, &self.group, &self.privileges, remove)
    }
}

single_call! { RemovePrivilegesFromGroup: OPERATE_PRIVILEGE_GROUP of GROUPS, done => () }
