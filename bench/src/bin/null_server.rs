//! A Milvus that does nothing, as cheaply as it can: answers are made once, a call costs its HTTP/2 frames.
//!
//! Prints its address and serves until its standard input ends, so that it can't outlive the one that started it.
//!
//! An insert is answered with as many keys as it has rows: their number stands behind the rows in the message, so it is picked
//! out of what passes by.
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
use milvus_bench::client::{ANSWER_ROWS, DIMENSION, INSERT_ROWS};
use milvus_bench::messages::{self, PACKAGE_LIMIT};
use milvus_bench::resources::pin_to_core;
use milvus_protocol::rpc;
use prost::Message;
use prost::encoding::decode_varint;
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
    /// Rows of the answer to a query
    #[arg(long, default_value_t = ANSWER_ROWS)]
    answer_rows: usize,
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
    let streams = arguments.streams;
    let answers = Arc::new(answers(arguments));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    // Who reads this is served at once: making the answers takes a while.
    println!("{}", listener.local_addr()?);
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
        let answer = answers.get(request.uri().path()).cloned();
        let is_insert = request.uri().path() == rpc::INSERT.path();
        tokio::spawn(
            async move { answer_call(request.into_body(), respond, answer, is_insert).await },
        );
    }
    Ok(())
}

async fn answer_call(
    mut body: RecvStream,
    mut respond: SendResponse<Bytes>,
    mut answer: Option<Bytes>,
    is_insert: bool,
) -> anyhow::Result<()> {
    let mut rows = RowCount::default();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        if is_insert {
            rows.pass(&chunk);
        }
        body.flow_control().release_capacity(chunk.len())?;
    }
    if is_insert && rows.found != INSERT_ROWS {
        answer = Some(framed(&messages::mutation_result_of(rows.found)));
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

/// Picks `num_rows` out of an insert whose pieces pass by; whole fields are leapt over.
#[derive(Default)]
struct RowCount {
    /// Bytes that are of no interest.
    leap: usize,
    /// Whether the five bytes of gRPC's frame are behind.
    is_inside: bool,
    /// The head of a field that has not come in whole.
    head: Vec<u8>,
    found: usize,
}

/// The field `num_rows` of an insert.
const NUM_ROWS: u64 = 7;

impl RowCount {
    fn pass(&mut self, mut chunk: &[u8]) {
        if !self.is_inside {
            (self.is_inside, self.leap) = (true, 5);
        }
        loop {
            let leap = self.leap.min(chunk.len());
            self.leap -= leap;
            chunk = &chunk[leap..];
            let Some((first, rest)) = chunk.split_first() else {
                return;
            };
            self.head.push(*first);
            chunk = rest;
            let mut head = self.head.as_slice();
            // The key, then a number: the field's length or its value.
            let (Ok(key), Ok(number)) = (decode_varint(&mut head), decode_varint(&mut head)) else {
                continue;
            };
            self.head.clear();
            let number = usize::try_from(number).unwrap_or_default();
            match (key >> 3, key & 7) {
                (_, 2) => self.leap = number,
                (NUM_ROWS, 0) => self.found = number,
                _ => {}
            }
        }
    }
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
    let rows = messages::query_results_of(arguments.answer_rows, arguments.dimension);
    let collection = messages::collection_response(arguments.dimension, arguments.queries > 0);
    let found = if arguments.queries > 0 {
        messages::search_results(arguments.queries, arguments.limit)
    } else {
        messages::keys_and_scores(arguments.limit)
    };
    HashMap::from([
        (rpc::CONNECT.path(), framed(&messages::connect_response())),
        (
            rpc::GET_VERSION.path(),
            framed(&messages::version_response()),
        ),
        (rpc::INSERT.path(), framed(&messages::mutation_result())),
        (rpc::QUERY.path(), framed(&rows)),
        (rpc::SEARCH.path(), framed(&found)),
        (
            rpc::SHOW_COLLECTIONS.path(),
            framed(&messages::collections_response()),
        ),
        (rpc::DESCRIBE_COLLECTION.path(), framed(&collection)),
    ])
}
