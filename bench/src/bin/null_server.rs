//! A Milvus that does nothing, as cheaply as it can: answers are made once, a call costs its HTTP/2 frames.
//!
//! Prints its address and serves until its standard input ends, so that it can't outlive the one that started it.
//!
//! Invariant: it answers a call only after it has read all of it, as any gRPC server does. Its windows are those of a tonic
//! or hyper server (1 MiB), which is less than most clients ask for.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::{BufMut, Bytes, BytesMut};
use clap::Parser;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Response, header};
use milvus_bench::client::{DIMENSION, INSERT_ROWS};
use milvus_bench::messages::{self, PACKAGE_LIMIT};
use milvus_bench::resources::pin_to_core;
use milvus_protocol::rpc;
use prost::Message;
use tokio::net::{TcpListener, TcpStream};

const WINDOW: u32 = 1 << 20;

#[derive(Parser)]
struct Arguments {
    /// The core to stay on
    #[arg(long)]
    core: Option<usize>,
    /// How many streams a connection may have
    #[arg(long)]
    streams: Option<u32>,
    /// Numbers in a vector of the collection
    #[arg(long, default_value_t = DIMENSION)]
    dimension: usize,
    /// Vectors in each search; more than none: rows have titles, too
    #[arg(long, default_value_t = 0)]
    queries: usize,
    /// Hits for each vector of a search
    #[arg(long, default_value_t = PACKAGE_LIMIT)]
    limit: usize,
}

/// What is answered, by path: the frame of gRPC around a message.
type Answers = HashMap<&'static str, Bytes>;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(core) = arguments.core {
        pin_to_core(core)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(&arguments))
}

async fn serve(arguments: &Arguments) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?);
    let streams = arguments.streams;
    let answers = Arc::new(answers(arguments));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let answers = Arc::clone(&answers);
            // A connection that breaks is the client's affair.
            tokio::spawn(async move { connection(socket, streams, answers).await });
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

async fn connection(
    socket: TcpStream,
    streams: Option<u32>,
    answers: Arc<Answers>,
) -> anyhow::Result<()> {
    socket.set_nodelay(true)?;
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    if let Some(streams) = streams {
        builder.max_concurrent_streams(streams);
    }
    let mut connection = builder.handshake::<_, Bytes>(socket).await?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        let path = request.uri().path();
        let inserts = path == rpc::INSERT.path();
        let answer = answers.get(path).cloned();
        tokio::spawn(
            async move { answer_call(request.into_body(), respond, answer, inserts).await },
        );
    }
    Ok(())
}

async fn answer_call(
    mut body: RecvStream,
    mut respond: SendResponse<Bytes>,
    mut answer: Option<Bytes>,
    inserts: bool,
) -> anyhow::Result<()> {
    let mut end = Tail::default();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        end.push(&chunk);
    }
    if inserts && let Some(rows) = end.rows().filter(|rows| *rows != INSERT_ROWS) {
        answer = Some(framed(&messages::mutation_result_of(rows)));
    }
    let mut head = Response::new(());
    head.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    let Some(answer) = answer else {
        // UNIMPLEMENTED
        head.headers_mut()
            .insert("grpc-status", HeaderValue::from_static("12"));
        respond.send_response(head, true)?;
        return Ok(());
    };
    let mut stream = respond.send_response(head, false)?;
    stream.send_data(answer, false)?;
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    stream.send_trailers(trailers)?;
    Ok(())
}

/// The last bytes of a request, where an insert says how many rows it has.
#[derive(Default)]
struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    const LENGTH: usize = 32;

    fn push(&mut self, chunk: &[u8]) {
        self.bytes
            .extend_from_slice(&chunk[chunk.len().saturating_sub(Self::LENGTH)..]);
        let excess = self.bytes.len().saturating_sub(Self::LENGTH);
        self.bytes.drain(..excess);
    }

    /// `num_rows` of an insert, which ends the message, or is followed by other small numbers only.
    fn rows(&self) -> Option<usize> {
        (0..self.bytes.len()).rev().find_map(|start| {
            let mut rest = self.bytes.get(start..)?;
            let mut rows = None;
            let mut last = 0;
            while !rest.is_empty() {
                let tag = varint(&mut rest)?;
                let value = varint(&mut rest)?;
                // Numbers only, and in order.
                if tag & 7 != 0 || tag <= last {
                    return None;
                }
                last = tag;
                if tag == NUM_ROWS_TAG {
                    rows = usize::try_from(value).ok();
                }
            }
            rows
        })
    }
}

/// Field 7 of an insert, a number.
const NUM_ROWS_TAG: u64 = 7 << 3;

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(5 + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    frame.put_slice(&message.encode_to_vec());
    frame.freeze()
}

fn answers(arguments: &Arguments) -> Answers {
    HashMap::from([
        (rpc::CONNECT.path(), framed(&messages::connect_response())),
        (
            rpc::GET_VERSION.path(),
            framed(&messages::version_response()),
        ),
        (rpc::INSERT.path(), framed(&messages::mutation_result())),
        (rpc::QUERY.path(), framed(&messages::query_results())),
        (
            rpc::SHOW_COLLECTIONS.path(),
            framed(&messages::collections_response()),
        ),
        (
            rpc::DESCRIBE_COLLECTION.path(),
            framed(&messages::collection_response(
                arguments.dimension,
                arguments.queries > 0,
            )),
        ),
        (
            rpc::SEARCH.path(),
            framed(&messages::search_results(
                arguments.queries,
                arguments.limit,
            )),
        ),
    ])
}
