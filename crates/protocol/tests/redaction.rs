//! A canary in every field that may hold a secret: Debug shows it nowhere.

use bytes::Bytes;
use milvus_protocol::common::{
    ConnectionParam, KeyValuePair, MilvusCluster, ReplicateConfiguration,
};
use milvus_protocol::milvus::{
    BackupRbacMetaResponse, CreateCollectionRequest, CreateCredentialRequest, CreateIndexRequest,
    ExportSnapshotRequest, RbacMeta, RefreshExternalCollectionJobInfo,
    RefreshExternalCollectionRequest, RestoreExternalSnapshotRequest, UpdateCredentialRequest,
    UpdateReplicateConfigurationRequest, UserInfo,
};
use milvus_protocol::schema::{CollectionSchema, FloatArray};

const CANARY: &str = "cAnArY-7f3a";

fn assert_hidden(message: &dyn std::fmt::Debug) {
    for text in [format!("{message:?}"), format!("{message:#?}")] {
        assert!(!text.contains(CANARY), "shown in {text}");
        assert!(
            text.contains("<redacted>") || text.contains("bytes>"),
            "{text}"
        );
    }
}

fn canary() -> String {
    CANARY.to_owned()
}

#[test]
fn passwords_are_not_shown() {
    assert_hidden(&CreateCredentialRequest {
        username: "root".into(),
        password: canary(),
        ..Default::default()
    });
    assert_hidden(&UpdateCredentialRequest {
        username: "root".into(),
        old_password: canary(),
        new_password: canary(),
        ..Default::default()
    });
    let user = UserInfo {
        user: "root".into(),
        password: canary(),
        ..Default::default()
    };
    assert_hidden(&user);
    assert_hidden(&BackupRbacMetaResponse {
        status: None,
        rbac_meta: Some(RbacMeta {
            users: vec![user],
            ..Default::default()
        }),
    });
}

#[test]
fn tokens_of_other_clusters_are_not_shown() {
    let request = UpdateReplicateConfigurationRequest {
        replicate_configuration: Some(ReplicateConfiguration {
            clusters: vec![MilvusCluster {
                connection_param: Some(ConnectionParam {
                    uri: format!("https://root:{CANARY}@host"),
                    token: canary(),
                }),
                ..Default::default()
            }],
            ..Default::default()
        }),
        ..Default::default()
    };
    assert_hidden(&request);
}

#[test]
fn specifications_of_external_storage_are_not_shown() {
    assert_hidden(&ExportSnapshotRequest {
        external_spec: canary(),
        ..Default::default()
    });
    assert_hidden(&RestoreExternalSnapshotRequest {
        external_spec: canary(),
        ..Default::default()
    });
    assert_hidden(&RefreshExternalCollectionRequest {
        external_spec: canary(),
        ..Default::default()
    });
    assert_hidden(&RefreshExternalCollectionJobInfo {
        external_spec: canary(),
        ..Default::default()
    });
    assert_hidden(&CollectionSchema {
        external_spec: canary(),
        ..Default::default()
    });
    assert_hidden(&CreateCollectionRequest {
        schema: Bytes::from_static(CANARY.as_bytes()),
        ..Default::default()
    });
}

#[test]
fn a_pair_is_hidden_when_its_key_names_a_secret() {
    for key in [
        "password",
        "access_key_id",
        "secret-access-key",
        "API_KEY",
        "apikey",
        "session.token",
        "credential",
        "cipher.key",
        "external_spec",
    ] {
        assert_hidden(&KeyValuePair {
            key: key.into(),
            value: canary(),
        });
    }
    let shown = KeyValuePair {
        key: "metric_type".into(),
        value: "COSINE".into(),
    };
    assert_eq!(
        format!("{shown:?}"),
        r#"KeyValuePair { key: "metric_type", value: "COSINE" }"#
    );
    let inside = CreateIndexRequest {
        extra_params: vec![KeyValuePair {
            key: "api_key".into(),
            value: canary(),
        }],
        ..Default::default()
    };
    assert_hidden(&inside);
}

#[test]
fn the_rest_of_a_redacted_message_is_shown() {
    let request = CreateCredentialRequest {
        username: "ada".into(),
        password: canary(),
        ..Default::default()
    };
    let text = format!("{request:?}");
    assert!(text.contains(r#"username: "ada""#), "{text}");
    assert!(text.contains("password: <redacted>"), "{text}");
    let without = CreateCredentialRequest::default();
    assert!(format!("{without:?}").contains(r#"password: """#));
}

#[test]
fn bulk_data_is_shown_by_its_length() {
    let vector = FloatArray {
        data: Bytes::from(vec![7; 4096]),
    };
    assert_eq!(format!("{vector:?}"), "FloatArray { data: <4096 bytes> }");
}
