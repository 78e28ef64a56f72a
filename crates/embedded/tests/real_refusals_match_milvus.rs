//! A user without grants is refused as a real Milvus 2.3.5 with authorization refuses: the same gRPC status, and words that clients match on.
//!
//! Newer versions of Milvus add to the words who was refused in which database, and so does this engine; what 2.3.5 says is their beginning.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use milvus_client::Client;
use milvus_embedded::{Embedded, Location, Options, open};
use milvus_protocol::milvus::*;
use milvus_protocol::rpc;
use milvus_testkit::real::{self, Server};
use milvus_transport::{Connection, ConnectionConfig, Credentials, ErrorKind, parse_uri};

mod support;
use support::status_as;

/// What a privilege error begins with, whoever says it.
const WORDS: &str = ": permission deny";

/// The words up to [`WORDS`], when an answer is a refusal.
fn refusal(text: &str) -> Option<String> {
    let text = text.replace("%20", " ");
    let (privilege, _) = text.split_once(WORDS)?;
    Some(format!("{privilege}{WORDS}"))
}

async fn connect(server: &Server, user: &str, password: &str) -> Connection {
    let config = ConnectionConfig::new(parse_uri(&server.uri()).unwrap().target);
    let config = config.credentials(Credentials::password(user, password));
    Connection::connect("test", config).await.unwrap()
}

/// How the engine and Milvus answer a call of somebody without grants; `None` when it is not refused for that.
macro_rules! compare {
    ($milvus:expr, $engine:expr, $user:expr, $($rpc:ident $name:literal $request:expr;)*) => {
        $(
            let theirs = match $milvus.call(&rpc::$rpc, $request).await {
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    refusal(error.answer().unwrap().reason())
                }
                _ => None,
            };
            let (status, text) = status_as($engine, $user, $name, $request).await;
            let ours = refusal(&text).filter(|_| status == "7");
            assert_eq!(ours, theirs, "{}: {status} {text}", $name);
        )*
    };
}

async fn compare_all(milvus: &Connection, engine: &Embedded, user: &str) -> u32 {
    let docs = || "docs".to_owned();
    compare! { milvus, engine, user,
        SEARCH "Search" SearchRequest { collection_name: docs(), ..Default::default() };
        QUERY "Query" QueryRequest { collection_name: docs(), ..Default::default() };
        INSERT "Insert" InsertRequest { collection_name: docs(), ..Default::default() };
        UPSERT "Upsert" UpsertRequest { collection_name: docs(), ..Default::default() };
        DELETE "Delete" DeleteRequest { collection_name: docs(), ..Default::default() };
        CREATE_COLLECTION "CreateCollection" CreateCollectionRequest { collection_name: docs(), ..Default::default() };
        DROP_COLLECTION "DropCollection" DropCollectionRequest { collection_name: docs(), ..Default::default() };
        LOAD_COLLECTION "LoadCollection" LoadCollectionRequest { collection_name: docs(), ..Default::default() };
        CREATE_INDEX "CreateIndex" CreateIndexRequest { collection_name: docs(), ..Default::default() };
        FLUSH "Flush" FlushRequest { collection_names: vec![docs()], ..Default::default() };
        CREATE_CREDENTIAL "CreateCredential" CreateCredentialRequest { username: docs(), ..Default::default() };
        CREATE_ROLE "CreateRole" CreateRoleRequest::default();
        // Everybody may: the role `public` has it.
        DESCRIBE_COLLECTION "DescribeCollection" DescribeCollectionRequest { collection_name: docs(), ..Default::default() };
        GET_VERSION "GetVersion" GetVersionRequest {};
    }
    let (_, text) = status_as(engine, user, "Search", SearchRequest::default()).await;
    u32::from(refusal(&text).as_deref() == Some("PrivilegeSearch: permission deny"))
}

#[test]
fn a_user_without_grants_is_refused_with_the_same_status_and_words() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let server = real::auth();
        let (root, root_password) = server.credentials.clone().unwrap();
        let admin = Client::new(connect(&server, &root, &root_password).await);
        let user = format!("refused_{}", std::process::id());
        admin
            .create_user(user.as_str(), "a-password")
            .await
            .unwrap();
        let engine = open(Location::Memory("refusals".to_owned()), Options::default()).unwrap();
        let milvus = connect(&server, &user, "a-password").await;
        let known = compare_all(&milvus, &engine, &user).await;
        admin.drop_user(user.as_str()).await.unwrap();
        assert_eq!(known, 1, "the words are the ones that clients match on");
    });
}
