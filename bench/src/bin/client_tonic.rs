//! The client program around a bare tonic channel: what a gRPC call costs without anything of Milvus's in it. No metadata, no
//! authorization, no deadline, no look at the status inside the answer.
//!
//! Invariant: the channel has tonic's defaults, but for the limit of 4 MB for an answer, below which nothing could be compared.

use std::path::Path;

use bytes::Bytes;
use http::uri::PathAndQuery;
use milvus_bench::client::{self, Peer, Target};
use milvus_bench::data::{DataPeer, Form};
use milvus_bench::faults::Failed;
use milvus_bench::messages;
use milvus_protocol::milvus::{
    ConnectRequest, ConnectResponse, GetVersionRequest, GetVersionResponse, MutationResult,
    QueryRequest, QueryResults, ShowCollectionsRequest, ShowCollectionsResponse,
};
use milvus_protocol::rpc::{self, Rpc};
use serde_json::Value;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

#[derive(Clone)]
struct Tonic {
    channel: Channel,
}

impl Tonic {
    async fn call<Req, Res>(&self, rpc: &Rpc<Req, Res>, request: Req) -> anyhow::Result<Res>
    where
        Req: prost::Message + 'static,
        Res: prost::Message + Default + 'static,
    {
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(usize::MAX);
        grpc.ready().await?;
        let path = PathAndQuery::from_static(rpc.path());
        let codec: ProstCodec<Req, Res> = ProstCodec::default();
        Ok(grpc
            .unary(tonic::Request::new(request), path, codec)
            .await?
            .into_inner())
    }
}

impl Peer for Tonic {
    async fn connect(target: &Target, _number: usize) -> anyhow::Result<Self> {
        let channel = Endpoint::from_shared(target.uri.clone())?.connect().await?;
        let this = Self { channel };
        if target.handshake {
            let _: ConnectResponse = this.call(&rpc::CONNECT, ConnectRequest::default()).await?;
        }
        Ok(this)
    }

    async fn small_call(&self) -> anyhow::Result<()> {
        let _: GetVersionResponse = self.call(&rpc::GET_VERSION, GetVersionRequest {}).await?;
        Ok(())
    }

    async fn database_call(&self) -> anyhow::Result<()> {
        let _: ShowCollectionsResponse = self
            .call(&rpc::SHOW_COLLECTIONS, ShowCollectionsRequest::default())
            .await?;
        Ok(())
    }

    async fn insert(&self) -> anyhow::Result<()> {
        let _: MutationResult = self.call(&rpc::INSERT, messages::insert_request()).await?;
        Ok(())
    }

    async fn insert_row(&self, key: i64) -> Result<(), Failed> {
        let outcome = self.call(&rpc::INSERT, messages::row_request(key)).await;
        let _: MutationResult = outcome.map_err(|error| Failed {
            not_applied: false,
            said: error.to_string(),
        })?;
        Ok(())
    }

    async fn large_answer(&self) -> anyhow::Result<usize> {
        let request: QueryRequest = messages::query_request();
        let answer: QueryResults = self.call(&rpc::QUERY, request).await?;
        Ok(messages::vector_bytes(&answer))
    }
}

impl DataPeer for Tonic {
    async fn insert_rows(&self, _rows: usize, _form: Form) -> anyhow::Result<Value> {
        anyhow::bail!("a bare channel has no insert")
    }

    async fn load_file(&self, _path: &Path) -> anyhow::Result<Value> {
        anyhow::bail!("a bare channel has no insert")
    }

    async fn search(&self) -> anyhow::Result<usize> {
        let answer = self.call(&rpc::SEARCH, messages::search_request()).await?;
        let found = answer.results.unwrap_or_default();
        Ok(usize::try_from(found.topks.iter().sum::<i64>())?)
    }

    async fn answer(&self) -> anyhow::Result<usize> {
        self.large_answer().await
    }

    fn encode(_seconds: f64) -> anyhow::Result<f64> {
        anyhow::bail!("a bare channel encodes what it is given")
    }

    fn decode(_seconds: f64, _answer: Bytes) -> anyhow::Result<f64> {
        anyhow::bail!("a bare channel decodes to what it is told")
    }
}

fn main() -> anyhow::Result<()> {
    client::run::<Tonic>()
}
