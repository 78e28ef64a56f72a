//! A Milvus that remembers across its own death which rows arrived: the key of every insert is written to a file before
//! it is answered, so that a kill loses nothing of the account.
//!
//! Prints its address once it listens, and serves until its standard input ends.
//!
//! Invariant: a key is in the file as often as an insert with it was applied, and before its answer is sent.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::{BufMut, Bytes, BytesMut};
use clap::Parser;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use milvus_bench::messages;
use milvus_protocol::milvus::InsertRequest;
use milvus_protocol::rpc;
use milvus_protocol::schema::{ScalarField, field_data, scalar_field};
use prost::Message;
use tokio::net::{TcpListener, TcpStream};

#[derive(Parser)]
struct Arguments {
    /// Where to listen; a free port by default
    #[arg(long, default_value = "127.0.0.1:0")]
    address: SocketAddr,
    /// The file of keys, eight bytes each
    #[arg(long)]
    keys: PathBuf,
    /// Each connection ends with GOAWAY after so many calls
    #[arg(long)]
    goaway_every: Option<u64>,
}

struct Server {
    answers: HashMap<&'static str, Bytes>,
    keys: File,
    goaway_every: Option<u64>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(arguments))
}

async fn serve(arguments: Arguments) -> anyhow::Result<()> {
    let keys = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&arguments.keys)
        .with_context(|| format!("could not open {}", arguments.keys.display()))?;
    let server = Arc::new(Server {
        answers: answers(),
        keys,
        goaway_every: arguments.goaway_every,
    });
    let listener = TcpListener::bind(arguments.address).await?;
    println!("{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let server = Arc::clone(&server);
            // A connection that breaks is the client's affair.
            tokio::spawn(async move { connection(socket, server).await });
        }
    });
    // Runs on a thread of its own that sleeps in `read`.
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = ended.send(());
    });
    end.await.context("standard input is gone")
}

async fn connection(socket: TcpStream, server: Arc<Server>) -> anyhow::Result<()> {
    socket.set_nodelay(true)?;
    let mut connection = h2::server::handshake(socket).await?;
    let mut calls = 0;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        let server = Arc::clone(&server);
        calls += 1;
        if server.goaway_every == Some(calls) {
            connection.graceful_shutdown();
        }
        tokio::spawn(async move { server.answer(request, respond).await });
    }
    Ok(())
}

impl Server {
    async fn answer(
        &self,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
    ) -> anyhow::Result<()> {
        let (head, mut body) = request.into_parts();
        let mut message = BytesMut::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk?;
            body.flow_control().release_capacity(chunk.len())?;
            message.extend_from_slice(&chunk);
        }
        let mut head_of_answer = Response::new(());
        head_of_answer.headers_mut().insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/grpc"),
        );
        let path = head.uri.path();
        let Some(answer) = self.answers.get(path).cloned() else {
            // UNIMPLEMENTED
            let status = HeaderValue::from_static("12");
            head_of_answer.headers_mut().insert("grpc-status", status);
            respond.send_response(head_of_answer, true)?;
            return Ok(());
        };
        if path == rpc::INSERT.path() {
            let key = key_of(message.split_off(5).freeze())?;
            (&self.keys).write_all(&key.to_le_bytes())?;
        }
        let mut stream = respond.send_response(head_of_answer, false)?;
        stream.send_data(answer, false)?;
        let mut trailers = HeaderMap::with_capacity(1);
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        stream.send_trailers(trailers)?;
        Ok(())
    }
}

/// The key of an insert's first row.
fn key_of(message: Bytes) -> anyhow::Result<i64> {
    let request = InsertRequest::decode(message)?;
    let key = request
        .fields_data
        .into_iter()
        .find_map(|field| match field.field {
            Some(field_data::Field::Scalars(ScalarField {
                data: Some(scalar_field::Data::LongData(keys)),
            })) if field.field_name == messages::KEY_FIELD => keys.data.first().copied(),
            _ => None,
        });
    key.context("an insert without a key")
}

fn framed(message: &impl Message) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.encoded_len()).unwrap_or(u32::MAX));
    frame.put_slice(&message.encode_to_vec());
    frame.freeze()
}

fn answers() -> HashMap<&'static str, Bytes> {
    HashMap::from([
        (rpc::CONNECT.path(), framed(&messages::connect_response())),
        (
            rpc::GET_VERSION.path(),
            framed(&messages::version_response()),
        ),
        (rpc::INSERT.path(), framed(&messages::mutation_result_of(1))),
        (
            rpc::SHOW_COLLECTIONS.path(),
            framed(&messages::collections_response()),
        ),
        (
            rpc::DESCRIBE_COLLECTION.path(),
            framed(&messages::collection_response(
                milvus_bench::client::DIMENSION,
                false,
            )),
        ),
    ])
}
