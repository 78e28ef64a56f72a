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
use milvus_bench::messages;
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
    runtime.block_on(serve(arguments.streams))
}

async fn serve(streams: Option<u32>) -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?);
    let answers = Arc::new(answers());
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
        tokio::spawn(async move { answer_call(request.into_body(), respond, answer).await });
    }
    Ok(())
}

async fn answer_call(
    mut body: RecvStream,
    mut respond: SendResponse<Bytes>,
    answer: Option<Bytes>,
) -> anyhow::Result<()> {
    while let Some(chunk) = body.data().await {
        body.flow_control().release_capacity(chunk?.len())?;
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

fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(5 + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    frame.put_slice(&message.encode_to_vec());
    frame.freeze()
}

fn answers() -> Answers {
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
            framed(&messages::collection_response()),
        ),
    ])
}
