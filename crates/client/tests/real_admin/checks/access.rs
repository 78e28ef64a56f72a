//! Users, roles and privileges.

use milvus_client::admin::{ObjectType, Privilege};
use milvus_client::{Client, Error};
use milvus_testkit::real;
use milvus_transport::{
    ConnectFailure, Connection, ConnectionConfig, Credentials, ErrorKind, parse_uri,
};

use crate::Backend;
use crate::backend::{refusal, unique};

/// Milvus 2.3 allows names of 32 characters.
fn name(kind: &str) -> String {
    let mut name = unique(kind);
    name.truncate(32);
    name
}

async fn connect_as(user: &str, password: &str) -> Result<Client, milvus_transport::Error> {
    let config = ConnectionConfig::new(parse_uri(&real::auth().uri()).unwrap().target)
        .credentials(Credentials::password(user, password));
    Ok(Client::new(Connection::connect("test", config).await?))
}

pub(crate) async fn users(backend: Backend) {
    let client = &backend.client;
    let anna = name("anna");
    let anna = anna.as_str();
    let created = client.create_user(anna, "secret1").await;
    if backend.is_lite() {
        backend.lacks("users", created);
        backend.lacks(
            "users",
            client.update_password(anna, "secret1", "secret2").await,
        );
        backend.lacks("users", client.drop_user(anna).await);
        backend.lacks("users", client.list_users().await);
        backend.lacks("users", client.describe_user(anna).await);
        return;
    }
    created.unwrap();
    let again = refusal(client.create_user(anna, "secret1").await);
    assert!(!format!("{again} {again:?}").contains("secret1"));
    assert!(!format!("{:?}", client.create_user(anna, "secret1")).contains("secret1"));
    assert!(
        client
            .list_users()
            .await
            .unwrap()
            .contains(&anna.to_owned())
    );
    let described = client.describe_user(anna).await.unwrap().unwrap();
    assert_eq!((described.name.as_str(), described.roles.len()), (anna, 0));
    let kept = client
        .create_user(anna, "secret1")
        .description("who she is")
        .await;
    backend.lacks("descriptions of users", kept);
    client.drop_user(anna).await.unwrap();
    assert!(
        !client
            .list_users()
            .await
            .unwrap()
            .contains(&anna.to_owned())
    );
    let empty = client.create_user(anna, "").await;
    assert!(matches!(empty, Err(Error::InvalidRequest(_))));
}

pub(crate) async fn passwords(backend: Backend) {
    if backend.is_lite() {
        let changed = backend.client.update_password("anna", "secret1", "secret2");
        backend.lacks("users", changed.update_connection().await);
        return;
    }
    let anna = name("anna");
    backend
        .client
        .create_user(anna.as_str(), "secret1")
        .await
        .unwrap();
    let client = connect_as(&anna, "secret1").await.unwrap();
    refusal(
        client
            .update_password(anna.as_str(), "wrong-one", "secret2")
            .await,
    );
    client
        .update_password(anna.as_str(), "secret1", "secret2")
        .update_connection()
        .await
        .unwrap();
    // The connection goes on with the new password.
    client.version().await.unwrap();
    connect_as(&anna, "secret2").await.unwrap();
    client.connection().close().await;
    let error = connect_as(&anna, "secret1").await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Connect(ConnectFailure::WrongCredentials)
    );
    backend.client.drop_user(anna).await.unwrap();
}

pub(crate) async fn roles(backend: Backend) {
    let client = &backend.client;
    let (anna, reader) = (name("anna"), name("reader"));
    let (anna, reader) = (anna.as_str(), reader.as_str());
    let created = client.create_role(reader).await;
    if backend.is_lite() {
        backend.lacks("roles", created);
        backend.lacks("roles", client.list_roles().await);
        backend.lacks("roles", client.describe_role(reader).await);
        backend.lacks("roles", client.grant_role(anna, reader).await);
        backend.lacks("roles", client.revoke_role(anna, reader).await);
        backend.lacks("roles", client.drop_role(reader).await);
        backend.lacks(
            "descriptions of roles",
            client.alter_role(reader, "x").await,
        );
        return;
    }
    created.unwrap();
    refusal(client.create_role(reader).await);
    assert!(
        client
            .list_roles()
            .await
            .unwrap()
            .contains(&reader.to_owned())
    );
    client.create_user(anna, "secret1").await.unwrap();
    client.grant_role(anna, reader).await.unwrap();
    let role = client.describe_role(reader).await.unwrap().unwrap();
    assert_eq!(role.users, [anna]);
    let user = client.describe_user(anna).await.unwrap().unwrap();
    assert_eq!(user.roles, [reader]);
    client.revoke_role(anna, reader).await.unwrap();
    assert!(
        client
            .describe_user(anna)
            .await
            .unwrap()
            .unwrap()
            .roles
            .is_empty()
    );
    refusal(client.grant_role(anna, "no_such_role").await);

    backend.lacks(
        "descriptions of roles",
        client.alter_role(reader, "x").await,
    );
    backend.lacks(
        "descriptions of roles",
        client.create_role("x").description("x").await,
    );
    backend.lacks("forced drop", client.drop_role(reader).force().await);
    client.drop_role(reader).await.unwrap();
    assert!(
        !client
            .list_roles()
            .await
            .unwrap()
            .contains(&reader.to_owned())
    );
    client.drop_user(anna).await.unwrap();
}

pub(crate) async fn grants(backend: Backend) {
    let client = &backend.client;
    let reader = name("reader");
    let reader = reader.as_str();
    let grant = client.grant_privilege(reader, Privilege::Search, ObjectType::Collection, "docs");
    let revoke = client.revoke_privilege(reader, Privilege::Search, ObjectType::Collection, "docs");
    if backend.is_lite() {
        backend.lacks("privileges", grant.await);
        backend.lacks("privileges", revoke.await);
        backend.lacks("privileges", client.list_grants(reader).await);
        return;
    }
    client.create_role(reader).await.unwrap();
    grant.await.unwrap();
    client
        .grant_privilege(reader, Privilege::CreateCollection, ObjectType::Global, "*")
        .await
        .unwrap();
    let grants = client.list_grants(reader).await.unwrap();
    assert_eq!(grants.len(), 2, "{grants:?}");
    let on_docs = client
        .list_grants(reader)
        .object(ObjectType::Collection, "docs")
        .await
        .unwrap();
    assert_eq!(on_docs.len(), 1);
    assert_eq!(on_docs[0].privilege, Privilege::Search);
    assert_eq!(on_docs[0].object_type, ObjectType::Collection);
    assert_eq!(
        (on_docs[0].object.as_str(), on_docs[0].role.as_str()),
        ("docs", reader)
    );
    assert_eq!(on_docs[0].grantor, "root");
    // A role that has privileges stays.
    refusal(client.drop_role(reader).await);
    let misplaced = client
        .grant_privilege(
            reader,
            Privilege::CreateCollection,
            ObjectType::Collection,
            "docs",
        )
        .await;
    refusal(misplaced);

    revoke.await.unwrap();
    client
        .revoke_privilege(reader, Privilege::CreateCollection, ObjectType::Global, "*")
        .await
        .unwrap();
    assert!(client.list_grants(reader).await.unwrap().is_empty());
    client.drop_role(reader).await.unwrap();
    refusal(client.list_grants(reader).await);
}

pub(crate) async fn grants_of_the_second_form(backend: Backend) {
    let client = &backend.client;
    let privilege = Privilege::CollectionReadOnly;
    let grant = client
        .grant_privilege_v2("reader", privilege.clone(), "*")
        .database("*");
    backend.lacks("second form", grant.await);
    let revoke = client
        .revoke_privilege_v2("reader", privilege, "*")
        .database("*");
    backend.lacks("second form", revoke.await);
}

pub(crate) async fn privilege_groups(backend: Backend) {
    const FEATURE: &str = "privilege groups";
    let client = &backend.client;
    let privileges = [Privilege::Search, Privilege::Query];
    backend.lacks(FEATURE, client.create_privilege_group("search_only").await);
    backend.lacks(FEATURE, client.list_privilege_groups().await);
    let add = client.add_privileges_to_group("search_only", privileges.clone());
    backend.lacks(FEATURE, add.await);
    let remove = client.remove_privileges_from_group("search_only", privileges);
    backend.lacks(FEATURE, remove.await);
    backend.lacks(FEATURE, client.drop_privilege_group("search_only").await);
    let nothing = client.add_privileges_to_group("search_only", []).await;
    assert!(matches!(nothing, Err(Error::InvalidRequest(_))));
}
