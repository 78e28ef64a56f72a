//! A canary in every field that may hold a secret: Debug shows it nowhere.

use bytes::Bytes;
use milvus_protocol::common::{
    ClientInfo, ConnectionParam, KeyValuePair, MilvusCluster, ReplicateConfiguration,
};
use milvus_protocol::milvus::{
    BackupRbacMetaResponse, CreateCollectionRequest, CreateCredentialRequest, CreateIndexRequest,
    ExportSnapshotRequest, ExportSnapshotResponse, RbacMeta, RefreshExternalCollectionJobInfo,
    RefreshExternalCollectionRequest, RestoreExternalSnapshotRequest, UpdateCredentialRequest,
    UpdateReplicateConfigurationRequest, UserInfo,
};
use milvus_protocol::schema::{
    CollectionSchema, FloatArray, FunctionChainOp, FunctionParamValue, function_param_value,
};

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
        "extfs.account_key",
        "gcp_private_key",
        "X-Amz-Signature",
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
    let tokenizer = KeyValuePair {
        key: "tokenizer".into(),
        value: "jieba".into(),
    };
    assert!(format!("{tokenizer:?}").contains("jieba"));
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
fn credentials_inside_of_addresses_are_not_shown() {
    let shown = |value: String| {
        let pair = KeyValuePair {
            key: "path".into(),
            value,
        };
        assert_hidden(&pair);
        format!("{pair:?}")
    };
    for (address, expected) in [
        (
            format!("s3://id:{CANARY}@bucket/a"),
            "s3://<redacted>@bucket/a",
        ),
        (
            format!("s3://id:a/b@{CANARY}@bucket/a"),
            "s3://<redacted>@bucket/a",
        ),
        (
            format!("https://bucket/a?X-Amz-Signature={CANARY}"),
            "https://bucket/a?<redacted>",
        ),
        (
            format!("https://a:{CANARY}@b/c?d={CANARY}#{CANARY}"),
            "https://<redacted>@b/c?<redacted>",
        ),
    ] {
        assert_eq!(
            shown(address),
            format!(r#"KeyValuePair {{ key: "path", value: "{expected}" }}"#)
        );
    }
    assert_hidden(&CollectionSchema {
        external_source: format!("s3://id:{CANARY}@bucket"),
        ..Default::default()
    });
    assert_hidden(&ExportSnapshotResponse {
        snapshot_metadata_uri: format!("s3://bucket/x?sig={CANARY}"),
        ..Default::default()
    });
}

#[test]
fn values_of_maps_are_hidden_when_their_keys_name_a_secret() {
    let value = |text: &str| FunctionParamValue {
        value: Some(function_param_value::Value::StringValue(text.into())),
    };
    let rerank = FunctionChainOp {
        op: "rerank".into(),
        params: [
            ("api_key".into(), value(CANARY)),
            ("model".into(), value("small")),
        ]
        .into(),
        ..Default::default()
    };
    assert_hidden(&rerank);
    assert!(format!("{rerank:?}").contains("small"));
    let client = ClientInfo {
        reserved: [("token".into(), canary())].into(),
        ..Default::default()
    };
    assert_hidden(&client);
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
