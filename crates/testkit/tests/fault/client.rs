//! A client with nothing between the test and HTTP/2.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{Ping, PingPong};
use http::{HeaderMap, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// One HTTP/2 connection.
pub(crate) struct Client {
    pub(crate) requests: SendRequest<Bytes>,
    pub(crate) pings: PingPong,
    pub(crate) connection: JoinHandle<Result<(), h2::Error>>,
}

/// What a call came back with.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) http_status: u16,
    /// The message without gRPC's framing.
    pub(crate) message: Bytes,
    /// `grpc-status` and `grpc-message`.
    pub(crate) grpc_status: Option<(i32, String)>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream).await
    }

    pub(crate) async fn over(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        let (requests, mut connection) = h2::client::handshake(io).await.unwrap();
        let pings = connection.ping_pong().unwrap();
        Self {
            requests,
            pings,
            connection: tokio::spawn(connection),
        }
    }

    /// Sends a call and returns what will be its answer.
    pub(crate) async fn send(
        &mut self,
        rpc: &str,
        message: &[u8],
    ) -> Result<ResponseFuture, h2::Error> {
        let mut requests = self.requests.clone().ready().await?;
        let request = Request::post(format!(
            "http://testkit/milvus.proto.milvus.MilvusService/{rpc}"
        ))
        .header("content-type", "application/grpc")
        .header("client-request-id", format!("id of {rpc}"))
        .body(())
        .unwrap();
        let (response, mut body) = requests.send_request(request, false)?;
        let mut framed = BytesMut::new();
        framed.put_u8(0);
        framed.put_u32(u32::try_from(message.len()).unwrap());
        framed.put_slice(message);
        body.send_data(framed.freeze(), true)?;
        Ok(response)
    }

    pub(crate) async fn call(&mut self, rpc: &str, message: &[u8]) -> Result<Answer, h2::Error> {
        receive(self.send(rpc, message).await?).await
    }

    /// Returns when everything that the server sent before has been received.
    pub(crate) async fn round_trip(&mut self) {
        self.pings.ping(Ping::opaque()).await.unwrap();
    }
}

pub(crate) async fn receive(response: ResponseFuture) -> Result<Answer, h2::Error> {
    let (head, mut body) = response.await?.into_parts();
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.data().await {
        bytes.extend_from_slice(&chunk?);
    }
    let trailers = body.trailers().await?;
    let status = |map: &HeaderMap| {
        let code = map.get("grpc-status")?.to_str().unwrap().parse().unwrap();
        let text = map
            .get("grpc-message")
            .map_or("", |text| text.to_str().unwrap());
        Some((code, text.to_owned()))
    };
    let grpc_status = trailers
        .as_ref()
        .and_then(status)
        .or_else(|| status(&head.headers));
    let message = if bytes.len() >= 5 {
        bytes.split_off(5).freeze()
    } else {
        bytes.freeze()
    };
    Ok(Answer {
        http_status: head.status.as_u16(),
        message,
        grpc_status,
    })
}
