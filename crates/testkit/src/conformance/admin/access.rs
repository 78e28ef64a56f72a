//! Users, roles, privileges, resource groups.
//!
//! Invariant: no password appears in an error or a request's text.

use milvus_client::Error;
use milvus_client::admin::{ObjectType, Privilege};

use crate::conformance::{
    Check, Lack, Stage, Verdict, check, expect, expect_eq, expect_in_time, wrong,
};

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(users_live_and_die, MilvusLite => Lack::MissingFeature),
        check!(passwords_change, MilvusLite => Lack::MissingFeature),
        check!(roles_are_given_to_users, MilvusLite => Lack::MissingFeature),
        check!(privileges_are_granted_to_roles, MilvusLite => Lack::MissingFeature),
        check!(
            privileges_belong_to_kinds_of_objects,
            MilvusLite => Lack::MissingFeature,
            Embedded => Lack::Silent,
        ),
        check!(
            privileges_are_granted_in_the_second_form,
            Milvus23 => Lack::MissingFeature,
            MilvusLite => Lack::MissingFeature,
        ),
        check!(
            privileges_are_grouped,
            Milvus23 => Lack::MissingFeature,
            MilvusLite => Lack::MissingFeature,
        ),
        check!(a_user_without_a_password_is_refused),
        check!(
            resource_groups_live_and_die,
            MilvusLite => Lack::MissingFeature,
            Embedded => Lack::MissingFeature,
        ),
    ]
}

async fn users_live_and_die(stage: &mut Stage) -> Verdict {
    let anna = stage.user();
    let client = stage.client.clone();
    client.create_user(&anna, "secret1").await?;
    let Err(again) = client.create_user(&anna, "secret1").await else {
        return wrong("two users of one name");
    };
    let shown = format!(
        "{again} {again:?} {:?}",
        client.create_user(&anna, "secret1")
    );
    expect("the password is not shown", !shown.contains("secret1"))?;
    expect("listed", client.list_users().await?.contains(&anna))?;
    let described = client.describe_user(&anna).await?;
    let described = described.map(|user| (user.name, user.roles.len()));
    expect_eq("described", described, Some((anna.clone(), 0)))?;
    client.drop_user(&anna).await?;
    expect("gone", !client.list_users().await?.contains(&anna))
}

async fn passwords_change(stage: &mut Stage) -> Verdict {
    let anna = stage.user();
    let client = stage.client.clone();
    client.create_user(&anna, "secret1").await?;
    let refused = client.update_password(&anna, "wrong-one", "secret2").await;
    expect("the old password is asked for", refused.is_err())?;
    client.update_password(&anna, "secret1", "secret2").await?;
    let old = client.update_password(&anna, "secret1", "secret3").await;
    expect("the old one is no longer good", old.is_err())?;
    client.update_password(&anna, "secret2", "secret3").await?;
    Ok(())
}

async fn roles_are_given_to_users(stage: &mut Stage) -> Verdict {
    let (anna, reader) = (stage.user(), stage.role());
    let client = stage.client.clone();
    client.create_role(&reader).await?;
    let again = client.create_role(&reader).await;
    expect("no two of one name", again.is_err())?;
    expect("listed", client.list_roles().await?.contains(&reader))?;
    client.create_user(&anna, "secret1").await?;
    client.grant_role(&anna, &reader).await?;
    let role = client.describe_role(&reader).await?;
    expect_eq(
        "of the role",
        role.map(|role| role.users),
        Some(vec![anna.clone()]),
    )?;
    let user = client.describe_user(&anna).await?;
    expect_eq(
        "of the user",
        user.map(|user| user.roles),
        Some(vec![reader.clone()]),
    )?;
    client.revoke_role(&anna, &reader).await?;
    let user = client.describe_user(&anna).await?;
    expect_eq("taken away", user.map(|user| user.roles.len()), Some(0))?;
    let unknown = client.grant_role(&anna, "no_such_role").await;
    expect("a role that is not there", unknown.is_err())?;
    client.drop_role(&reader).await?;
    expect("gone", !client.list_roles().await?.contains(&reader))
}

async fn privileges_are_granted_to_roles(stage: &mut Stage) -> Verdict {
    let reader = stage.role();
    let client = stage.client.clone();
    // Asked for first: a backend without privileges may have no roles either.
    let grant =
        || client.grant_privilege(&reader, Privilege::Search, ObjectType::Collection, "docs");
    client.create_role(&reader).await?;
    grant().await?;
    client
        .grant_privilege(
            &reader,
            Privilege::CreateCollection,
            ObjectType::Global,
            "*",
        )
        .await?;
    expect_eq("all", client.list_grants(&reader).await?.len(), 2)?;
    let on_docs = client.list_grants(&reader);
    let grants = on_docs.object(ObjectType::Collection, "docs").await?;
    let found: Vec<_> = grants
        .iter()
        .map(|grant| (grant.privilege.clone(), grant.object.as_str()))
        .collect();
    expect_eq("grants", found, [(Privilege::Search, "docs")])?;
    let early = client.drop_role(&reader).await;
    expect("a role that has privileges stays", early.is_err())?;
    client
        .revoke_privilege(&reader, Privilege::Search, ObjectType::Collection, "docs")
        .await?;
    client
        .revoke_privilege(
            &reader,
            Privilege::CreateCollection,
            ObjectType::Global,
            "*",
        )
        .await?;
    expect(
        "none is left",
        client.list_grants(&reader).await?.is_empty(),
    )?;
    client.drop_role(&reader).await?;
    let nobody = client.list_grants(&reader).await;
    expect("of no role", nobody.is_err())
}

async fn privileges_belong_to_kinds_of_objects(stage: &mut Stage) -> Verdict {
    let reader = stage.role();
    let client = stage.client.clone();
    client.create_role(&reader).await?;
    let (privilege, object) = (Privilege::CreateCollection, ObjectType::Collection);
    let misplaced = client.grant_privilege(&reader, privilege, object, "docs");
    expect("a privilege of another kind", misplaced.await.is_err())
}

async fn privileges_are_granted_in_the_second_form(stage: &mut Stage) -> Verdict {
    let reader = stage.role();
    let client = stage.client.clone();
    let grant = client.grant_privilege_v2(&reader, Privilege::Search, "docs");
    if let Err(error @ Error::MissingFeature(_)) = grant.database("default").await {
        return Err(error.into());
    }
    client.create_role(&reader).await?;
    let grant = client.grant_privilege_v2(&reader, Privilege::Search, "docs");
    grant.database("default").await?;
    expect_eq("grants", client.list_grants(&reader).await?.len(), 1)?;
    let revoke = client.revoke_privilege_v2(&reader, Privilege::Search, "docs");
    revoke.database("default").await?;
    expect(
        "none is left",
        client.list_grants(&reader).await?.is_empty(),
    )
}

async fn privileges_are_grouped(stage: &mut Stage) -> Verdict {
    let group = stage.name();
    let client = stage.client.clone();
    match client.add_privileges_to_group(&group, []).await {
        Err(Error::InvalidRequest(_)) => {}
        other => return wrong(format!("nothing was accepted: {other:?}")),
    }
    client.create_privilege_group(&group).await?;
    let privileges = [Privilege::Search, Privilege::Query];
    client
        .add_privileges_to_group(&group, privileges.clone())
        .await?;
    let groups = client.list_privilege_groups().await?;
    let of_group = |name: &str| {
        let found = groups.iter().find(|group| group.name == name);
        found.map(|group| group.privileges.len())
    };
    expect_eq("privileges", of_group(&group), Some(2))?;
    client
        .remove_privileges_from_group(&group, privileges)
        .await?;
    client.drop_privilege_group(&group).await?;
    let left = client.list_privilege_groups().await?;
    expect("gone", left.iter().all(|left| left.name != group))
}

async fn a_user_without_a_password_is_refused(stage: &mut Stage) -> Verdict {
    match stage.client.create_user("anna", "").await {
        Err(Error::InvalidRequest(_)) => Ok(()),
        other => wrong(format!("accepted: {other:?}")),
    }
}

async fn resource_groups_live_and_die(stage: &mut Stage) -> Verdict {
    const DEFAULT: &str = "__default_resource_group";
    let group = stage.resource_group();
    let client = stage.client.clone();
    client.create_resource_group(&group).await?;
    let groups = client.list_resource_groups().await?;
    let are_listed = groups.contains(&group) && groups.iter().any(|name| name == DEFAULT);
    expect("listed", are_listed)?;
    let described = client.describe_resource_group(&group).await?;
    expect_eq("capacity", described.capacity, 0)?;
    let has_a_node = || async {
        let default = client.describe_resource_group(DEFAULT).await?;
        expect("the default group has a node", default.available_nodes > 0)
    };
    expect_in_time(has_a_node).await?;
    let moved = client.transfer_node(&group, DEFAULT, 1).await;
    expect("a node that is not there is not moved", moved.is_err())?;
    let moved = client.transfer_replica(&group, DEFAULT, stage.name(), 1);
    expect("nor a replica of nothing", moved.await.is_err())?;
    client.drop_resource_group(&group).await?;
    let groups = client.list_resource_groups().await?;
    expect("gone", !groups.contains(&group))?;
    let gone = client.describe_resource_group(&group).await;
    expect("not described any more", gone.is_err())
}
