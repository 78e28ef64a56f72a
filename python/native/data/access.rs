//! Users, roles, privileges.
//!
//! Invariant: a password is a secret from the moment it is read.

use milvus_client::admin::{
    Grant, ObjectType, Privilege, PrivilegeGroup, RoleDescription, UserDescription,
};

fn privilege(name: String) -> Privilege {
    Privilege::from_name(&name)
}

fn privileges(names: Vec<String>) -> Vec<Privilege> {
    names.into_iter().map(privilege).collect()
}

verb! {
    /// Creates a user.
    create_user(client, user: String, password: String) client.create_user(user, password)
}
verb! {
    /// Changes a password; `update_connection` makes this connection use it.
    update_password(client, user: String, old: String, new: String, update_connection: bool) {
        let update = client.update_password(user, old, new);
        if update_connection { update.update_connection() } else { update }
    }
}
verb! {
    /// Drops a user.
    drop_user(client, user: String) client.drop_user(user)
}
verb! {
    /// The names of all users.
    list_users(client) client.list_users()
}
verb! {
    /// A user's roles and description; nothing when there is no such user.
    describe_user(client, user: String) client.describe_user(user)
        => |found: Option<UserDescription>| found.map(|user| (user.roles, user.description))
}
verb! {
    /// Gives a role to a user.
    grant_role(client, user: String, role: String) client.grant_role(user, role)
}
verb! {
    /// Takes a role from a user.
    revoke_role(client, user: String, role: String) client.revoke_role(user, role)
}

verb! {
    /// Creates a role.
    create_role(client, role: String, description: String) {
        let create = client.create_role(role);
        if description.is_empty() { create } else { create.description(description) }
    }
}
verb! {
    /// Changes a role's description.
    alter_role(client, role: String, description: String) client.alter_role(role, description)
}
verb! {
    /// Drops a role, with `force` also one that has privileges.
    drop_role(client, role: String, force: bool) {
        let drop = client.drop_role(role);
        if force { drop.force() } else { drop }
    }
}
verb! {
    /// The names of all roles.
    list_roles(client) client.list_roles()
}
verb! {
    /// A role's description.
    describe_role(client, role: String) client.describe_role(role)
        => |found: Option<RoleDescription>| found.map(|role| role.description)
}
verb! {
    /// What a role may do: object type, object, database, role, grantor, privilege.
    list_grants(client, role: String, database: Option<String>) {
        let list = client.list_grants(role);
        match database {
            Some(database) => list.database(database),
            None => list,
        }
    } => |found: Vec<Grant>| {
        let grant = |grant: Grant| {
            let object_type = grant.object_type.name().to_owned();
            let privilege = grant.privilege.name().to_owned();
            (object_type, grant.object, grant.database, grant.role, grant.grantor, privilege)
        };
        found.into_iter().map(grant).collect::<Vec<_>>()
    }
}
verb! {
    /// Gives a privilege on an object to a role.
    grant_privilege(client, role: String, object_type: String, name: String, object: String, database: Option<String>) {
        let grant = client.grant_privilege(role, privilege(name), ObjectType::from_name(&object_type), object);
        match database {
            Some(database) => grant.database(database),
            None => grant,
        }
    }
}
verb! {
    /// Takes a privilege on an object from a role.
    revoke_privilege(client, role: String, object_type: String, name: String, object: String, database: Option<String>) {
        let revoke = client.revoke_privilege(role, privilege(name), ObjectType::from_name(&object_type), object);
        match database {
            Some(database) => revoke.database(database),
            None => revoke,
        }
    }
}
verb! {
    /// Gives a privilege on a collection to a role.
    grant_privilege_v2(client, role: String, name: String, collection: String, database: Option<String>) {
        let grant = client.grant_privilege_v2(role, privilege(name), collection);
        match database {
            Some(database) => grant.database(database),
            None => grant,
        }
    }
}
verb! {
    /// Takes a privilege on a collection from a role.
    revoke_privilege_v2(client, role: String, name: String, collection: String, database: Option<String>) {
        let revoke = client.revoke_privilege_v2(role, privilege(name), collection);
        match database {
            Some(database) => revoke.database(database),
            None => revoke,
        }
    }
}

verb! {
    /// Creates a group of privileges.
    create_privilege_group(client, group: String) client.create_privilege_group(group)
}
verb! {
    /// Drops a group of privileges.
    drop_privilege_group(client, group: String) client.drop_privilege_group(group)
}
verb! {
    /// All groups of privileges.
    list_privilege_groups(client) client.list_privilege_groups()
        => |found: Vec<PrivilegeGroup>| {
            let names = |group: PrivilegeGroup| {
                let names = group.privileges.iter().map(|one| one.name().to_owned());
                (group.name.clone(), names.collect::<Vec<_>>())
            };
            found.into_iter().map(names).collect::<Vec<_>>()
        }
}
verb! {
    /// Adds privileges to a group.
    add_privileges_to_group(client, group: String, names: Vec<String>)
        client.add_privileges_to_group(group, privileges(names))
}
verb! {
    /// Removes privileges from a group.
    remove_privileges_from_group(client, group: String, names: Vec<String>)
        client.remove_privileges_from_group(group, privileges(names))
}
