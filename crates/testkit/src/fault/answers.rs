//! What a Milvus without faults answers, as far as a connection looks at it.
//!
//! Invariant: every RPC of the table has an answer whose status, where it has one, says success.

use bytes::{BufMut, Bytes, BytesMut};
use milvus_protocol::common::Status;
use milvus_protocol::milvus::{
    CheckHealthResponse, ConnectResponse, GetVersionResponse, InsertRequest, ListDatabasesResponse,
    MutationResult,
};
use milvus_protocol::rpc::{RpcInfo, StatusPlace};
use prost::Message;

use super::rule::Call;

/// The version that the fault server says it is.
pub(super) const VERSION: &str = "v2.6.0-testkit";

/// The usual success of a call.
pub(super) fn success(call: &Call) -> Bytes {
    let status = Some(Status::default());
    let message = match call.rpc() {
        "Connect" => {
            let server_info = milvus_protocol::common::ServerInfo {
                build_tags: VERSION.to_owned(),
                deploy_mode: "STANDALONE".to_owned(),
                ..Default::default()
            };
            ConnectResponse {
                status,
                server_info: Some(server_info),
                identifier: 1,
            }
            .encode_to_vec()
        }
        "GetVersion" => GetVersionResponse {
            status,
            version: VERSION.to_owned(),
        }
        .encode_to_vec(),
        "CheckHealth" => CheckHealthResponse {
            status,
            is_healthy: true,
            ..Default::default()
        }
        .encode_to_vec(),
        "ListDatabases" => ListDatabasesResponse {
            status,
            db_names: vec!["default".to_owned()],
            ..Default::default()
        }
        .encode_to_vec(),
        "Insert" | "Upsert" => {
            // Both requests have the number of rows in the same field.
            let rows =
                InsertRequest::decode(call.message.clone()).map_or(0, |request| request.num_rows);
            let rows = i64::from(rows);
            MutationResult {
                status,
                insert_cnt: rows,
                ..Default::default()
            }
            .encode_to_vec()
        }
        // grpc.health.v1: SERVING.
        "Check" => vec![0x08, 0x01],
        _ => return with_status(&call.path, &Status::default()),
    };
    message.into()
}

/// A response of the RPC at `path` that carries nothing but this status, where such responses carry theirs.
pub(super) fn with_status(path: &str, status: &Status) -> Bytes {
    let status = status.encode_to_vec();
    match RpcInfo::by_path(path).map(|row| row.status) {
        Some(StatusPlace::Whole) => status.into(),
        Some(StatusPlace::Field(number)) => {
            let mut message = BytesMut::with_capacity(status.len() + 8);
            let length_delimited = 2;
            prost::encoding::encode_varint(u64::from(number << 3 | length_delimited), &mut message);
            prost::encoding::encode_varint(status.len() as u64, &mut message);
            message.put_slice(&status);
            message.freeze()
        }
        Some(StatusPlace::Absent) | None => Bytes::new(),
    }
}

/// A message in gRPC's framing: not compressed, length, bytes.
pub(super) fn framed(message: &Bytes) -> Bytes {
    let mut bytes = BytesMut::with_capacity(message.len() + 5);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    bytes.put_slice(message);
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use milvus_protocol::{milvus, rpc};

    use super::*;

    #[test]
    fn a_status_stands_where_the_table_says() {
        let status = Status {
            code: 800,
            reason: "database not found".to_owned(),
            ..Status::default()
        };
        let whole = with_status(rpc::CREATE_DATABASE.path(), &status);
        assert_eq!(Status::decode(whole).unwrap(), status);
        let field = with_status(rpc::SEARCH.path(), &status);
        assert_eq!(
            milvus::SearchResults::decode(field).unwrap().status,
            Some(status)
        );
    }
}
