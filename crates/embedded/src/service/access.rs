//! Roles, grants and privilege groups: what `create_role`, `grant` and the lists answer.

use milvus_protocol::common::Status;
use milvus_protocol::milvus::*;
use milvus_protocol::server::Caller;

use super::Embedded;
use super::answer::Call;
use super::users::{refuse, user};
use crate::catalog::{
    GrantRecord, ObjectKind, PrivilegeGroupRecord, ROOT, RoleRecord, UserRecord,
    canonical_privilege, check_name, is_built_in_group, is_privilege, kind_of_grant,
};
use crate::engine::Draft;
use crate::error::MilvusError;

fn role<'a>(draft: &'a Draft<'_>, name: &str) -> Result<&'a RoleRecord, MilvusError> {
    draft.catalog().access.roles.get(name).ok_or_else(|| {
        refuse(format!(
            "not found the role, maybe the role isn't existed or internal system error: {name}"
        ))
    })
}

/// Who grants.
fn grantor(caller: Option<&Caller>) -> String {
    caller.map_or(ROOT, Caller::user).to_owned()
}

impl Embedded {
    pub(super) async fn on_create_role(
        &self,
        call: Call<CreateRoleRequest>,
    ) -> Result<Status, MilvusError> {
        let entity = call.message.entity.unwrap_or_default();
        check_name("role", &entity.name)?;
        let change = move |draft: &mut Draft<'_>| {
            if draft.catalog().access.roles.contains_key(&entity.name) {
                return Err(refuse(format!(
                    "role [name:\"{}\"] already exists",
                    entity.name
                )));
            }
            let (catalog, writes) = draft.catalog_mut();
            catalog.put_role(
                RoleRecord {
                    name: entity.name,
                    description: entity.description,
                    grants: Default::default(),
                },
                writes,
            )
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_drop_role(
        &self,
        call: Call<DropRoleRequest>,
    ) -> Result<Status, MilvusError> {
        let DropRoleRequest {
            role_name,
            force_drop,
            ..
        } = call.message;
        let change = move |draft: &mut Draft<'_>| {
            if role_name == "admin" || role_name == "public" {
                return Err(refuse(format!(
                    "the role[{role_name}] is a default role, which can't be dropped"
                )));
            }
            let record = role(draft, &role_name)?;
            if !force_drop && !record.grants.is_empty() {
                return Err(refuse("fail to drop the role that it has privileges. Use REVOKE API to revoke privileges".to_owned()));
            }
            let holders: Vec<UserRecord> = draft
                .catalog()
                .access
                .users
                .values()
                .filter(|user| user.roles.contains(&role_name))
                .cloned()
                .collect();
            let (catalog, writes) = draft.catalog_mut();
            for mut holder in holders {
                holder.roles.remove(&role_name);
                catalog.put_user(holder, writes)?;
            }
            catalog.remove_role(&role_name, writes);
            Ok(())
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_operate_user_role(
        &self,
        call: Call<OperateUserRoleRequest>,
    ) -> Result<Status, MilvusError> {
        let request = call.message;
        let change = move |draft: &mut Draft<'_>| {
            role(draft, &request.role_name)?;
            let mut record = user(draft, &request.username)?.clone();
            if request.r#type == OperateUserRoleType::AddUserToRole as i32 {
                record.roles.insert(request.role_name);
            } else {
                record.roles.remove(&request.role_name);
            }
            let (catalog, writes) = draft.catalog_mut();
            catalog.put_user(record, writes)
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_select_role(
        &self,
        call: Call<SelectRoleRequest>,
    ) -> Result<SelectRoleResponse, MilvusError> {
        let state = self.engine.state();
        let access = &state.catalog.access;
        let wanted = call
            .message
            .role
            .map(|role| role.name)
            .filter(|name| !name.is_empty());
        let mut answer = SelectRoleResponse::default();
        for record in access
            .roles
            .values()
            .filter(|record| wanted.as_ref().is_none_or(|name| *name == record.name))
        {
            let holders = access
                .users
                .values()
                .filter(|user| call.message.include_user_info && user.roles.contains(&record.name));
            answer.results.push(RoleResult {
                role: Some(RoleEntity {
                    name: record.name.clone(),
                    description: record.description.clone(),
                }),
                users: holders
                    .map(|user| UserEntity {
                        name: user.name.clone(),
                    })
                    .collect(),
            });
        }
        Ok(answer)
    }

    pub(super) async fn on_select_user(
        &self,
        call: Call<SelectUserRequest>,
    ) -> Result<SelectUserResponse, MilvusError> {
        let state = self.engine.state();
        let wanted = call
            .message
            .user
            .map(|user| user.name)
            .filter(|name| !name.is_empty());
        let mut answer = SelectUserResponse::default();
        for record in state
            .catalog
            .access
            .users
            .values()
            .filter(|record| wanted.as_ref().is_none_or(|name| *name == record.name))
        {
            let roles = record
                .roles
                .iter()
                .filter(|_| call.message.include_role_info);
            answer.results.push(UserResult {
                user: Some(UserEntity {
                    name: record.name.clone(),
                }),
                roles: roles
                    .map(|name| RoleEntity {
                        name: name.clone(),
                        ..RoleEntity::default()
                    })
                    .collect(),
                ..UserResult::default()
            });
        }
        Ok(answer)
    }

    /// A privilege or group as it is kept. A misspelled one would be a grant that never allows anything.
    fn known_privilege(&self, name: &str) -> Result<String, MilvusError> {
        let state = self.engine.state();
        let is_known = is_privilege(name)
            || is_built_in_group(name)
            || state.catalog.access.groups.contains_key(name);
        if is_known {
            Ok(canonical_privilege(name).to_owned())
        } else {
            Err(MilvusError::invalid(format!(
                "not found the privilege name[{name}]"
            )))
        }
    }

    async fn change_grant(
        &self,
        role_name: String,
        grant: GrantRecord,
        add: bool,
    ) -> Result<Status, MilvusError> {
        let change = move |draft: &mut Draft<'_>| {
            let mut record = role(draft, &role_name)?.clone();
            // Who granted it is no part of what was granted.
            record.grants.retain(|known| {
                GrantRecord {
                    grantor: grant.grantor.clone(),
                    ..known.clone()
                } != grant
            });
            if add {
                record.grants.insert(grant);
            }
            let (catalog, writes) = draft.catalog_mut();
            catalog.put_role(record, writes)
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_operate_privilege(
        &self,
        call: Call<OperatePrivilegeRequest>,
    ) -> Result<Status, MilvusError> {
        let add = call.message.r#type == OperatePrivilegeType::Grant as i32;
        let database = call.database(
            call.message
                .entity
                .as_ref()
                .map_or("", |entity| entity.db_name.as_str()),
        );
        let grantor = grantor(call.caller.as_ref());
        let entity = call.message.entity.unwrap_or_default();
        let privilege = entity
            .grantor
            .unwrap_or_default()
            .privilege
            .unwrap_or_default()
            .name;
        let object = entity.object.unwrap_or_default().name;
        if ObjectKind::parse(&object).is_none() {
            return Err(MilvusError::invalid(format!(
                "not found the object type[name: {object}], supported object types: [Global Collection User]"
            )));
        }
        let grant = GrantRecord {
            object,
            object_name: entity.object_name,
            database,
            privilege: self.known_privilege(&privilege)?,
            grantor,
        };
        self.change_grant(entity.role.unwrap_or_default().name, grant, add)
            .await
    }

    pub(super) async fn on_operate_privilege_v2(
        &self,
        call: Call<OperatePrivilegeV2Request>,
    ) -> Result<Status, MilvusError> {
        let add = call.message.r#type == OperatePrivilegeType::Grant as i32;
        let database = call.database(&call.message.db_name);
        let grantor = grantor(call.caller.as_ref());
        let request = call.message;
        let privilege = request
            .grantor
            .unwrap_or_default()
            .privilege
            .unwrap_or_default()
            .name;
        let privilege = self.known_privilege(&privilege)?;
        let object = kind_of_grant(&privilege, &request.collection_name).name();
        let grant = GrantRecord {
            object: object.to_owned(),
            object_name: request.collection_name,
            database,
            privilege,
            grantor,
        };
        self.change_grant(request.role.unwrap_or_default().name, grant, add)
            .await
    }

    pub(super) async fn on_select_grant(
        &self,
        call: Call<SelectGrantRequest>,
    ) -> Result<SelectGrantResponse, MilvusError> {
        let entity = call.message.entity.unwrap_or_default();
        let role_name = entity.role.unwrap_or_default().name;
        let object = entity.object.unwrap_or_default().name;
        let state = self.engine.state();
        let record = state
            .catalog
            .access
            .roles
            .get(&role_name)
            .ok_or_else(|| refuse(format!("not found the role: {role_name}")))?;
        let fits = |wanted: &str, value: &str| wanted.is_empty() || wanted == value;
        let chosen = record.grants.iter().filter(|grant| {
            fits(&object, &grant.object)
                && fits(&entity.object_name, &grant.object_name)
                && (fits(&entity.db_name, &grant.database)
                    || grant.database == "*"
                    || entity.db_name == "*")
        });
        let entities = chosen.map(|grant| GrantEntity {
            role: Some(RoleEntity {
                name: role_name.clone(),
                ..RoleEntity::default()
            }),
            object: Some(ObjectEntity {
                name: grant.object.clone(),
            }),
            object_name: grant.object_name.clone(),
            grantor: Some(GrantorEntity {
                user: Some(UserEntity {
                    name: grant.grantor.clone(),
                }),
                privilege: Some(PrivilegeEntity {
                    name: grant.privilege.clone(),
                }),
            }),
            db_name: grant.database.clone(),
        });
        Ok(SelectGrantResponse {
            entities: entities.collect(),
            ..SelectGrantResponse::default()
        })
    }

    pub(super) async fn on_create_privilege_group(
        &self,
        call: Call<CreatePrivilegeGroupRequest>,
    ) -> Result<Status, MilvusError> {
        let name = call.message.group_name;
        check_name("privilege group", &name)?;
        let change = move |draft: &mut Draft<'_>| {
            if draft.catalog().access.groups.contains_key(&name) {
                return Err(refuse(format!("privilege group [{name}] already exists")));
            }
            let (catalog, writes) = draft.catalog_mut();
            catalog.put_group(
                PrivilegeGroupRecord {
                    name,
                    privileges: Default::default(),
                },
                writes,
            )
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_drop_privilege_group(
        &self,
        call: Call<DropPrivilegeGroupRequest>,
    ) -> Result<Status, MilvusError> {
        let name = call.message.group_name;
        let change = move |draft: &mut Draft<'_>| {
            let granted = draft
                .catalog()
                .access
                .roles
                .values()
                .any(|role| role.grants.iter().any(|grant| grant.privilege == name));
            if granted {
                return Err(refuse(format!(
                    "privilege group [{name}] is used by a role. Use REVOKE API to revoke it first"
                )));
            }
            let (catalog, writes) = draft.catalog_mut();
            catalog.remove_group(&name, writes);
            Ok(())
        };
        self.engine.write(change).await.map(|()| Status::default())
    }

    pub(super) async fn on_list_privilege_groups(
        &self,
        _call: Call<ListPrivilegeGroupsRequest>,
    ) -> Result<ListPrivilegeGroupsResponse, MilvusError> {
        let state = self.engine.state();
        let describe = |record: &PrivilegeGroupRecord| PrivilegeGroupInfo {
            group_name: record.name.clone(),
            privileges: record
                .privileges
                .iter()
                .map(|name| PrivilegeEntity { name: name.clone() })
                .collect(),
        };
        let privilege_groups = state.catalog.access.groups.values().map(describe).collect();
        Ok(ListPrivilegeGroupsResponse {
            privilege_groups,
            ..ListPrivilegeGroupsResponse::default()
        })
    }

    pub(super) async fn on_operate_privilege_group(
        &self,
        call: Call<OperatePrivilegeGroupRequest>,
    ) -> Result<Status, MilvusError> {
        let request = call.message;
        let change = move |draft: &mut Draft<'_>| {
            let known = draft
                .catalog()
                .access
                .groups
                .get(&request.group_name)
                .cloned();
            let mut record = known.ok_or_else(|| {
                refuse(format!(
                    "there is no privilege group name [{}] to operate",
                    request.group_name
                ))
            })?;
            let names = request
                .privileges
                .into_iter()
                .map(|privilege| privilege.name);
            if request.r#type == OperatePrivilegeGroupType::AddPrivilegesToGroup as i32 {
                record.privileges.extend(names);
            } else {
                record.privileges = &record.privileges - &names.collect();
            }
            let (catalog, writes) = draft.catalog_mut();
            catalog.put_group(record, writes)
        };
        self.engine.write(change).await.map(|()| Status::default())
    }
}
