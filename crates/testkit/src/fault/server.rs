//! A gRPC server that answers what it was told to, and misbehaves when it was told to.
//!
//! Invariant: without rules it is a Milvus that succeeds at everything; every call that arrives is recorded before anything
//! is answered.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, HeaderValue, Request, Response};
use milvus_protocol::rpc::Rpc;
use prost::Message;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::answers::{framed, success, with_status};
use super::frame::Frame;
use super::link::{Connection, LastStream, Link, LinkOptions};
use super::relay::{Accepted, duplicate};
use super::rule::{Call, Rule, Then, When, decide};
use super::tls::FaultTls;

/// Between the relay and the HTTP/2 implementation; larger than any window it is given.
const PIPE: usize = 4 << 20;
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 8 << 20;

/// How to start a [`FaultServer`].
#[derive(Clone, Debug, Default)]
pub struct FaultServerOptions {
    /// The address to listen on, so that a server can come back where another was; a free loopback port by default.
    pub address: Option<SocketAddr>,
    /// TLS, when it shall be spoken.
    pub tls: Option<FaultTls>,
    /// The number of streams that clients are told and held to.
    pub max_concurrent_streams: Option<u32>,
    /// The faults of the link from the start.
    pub link: LinkOptions,
    /// Whether calls are counted but their contents thrown away, for runs of many calls.
    pub forget_calls: bool,
}

/// A gRPC server on the current runtime; dropping it ends its connections and closes its port.
#[derive(Debug)]
pub struct FaultServer {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    link: Arc<Link>,
    rules: Mutex<Vec<Rule>>,
    calls: Mutex<Calls>,
    max_concurrent_streams: Option<u32>,
    forget_calls: bool,
}

#[derive(Debug, Default)]
struct Calls {
    recorded: Vec<Call>,
    arrived: HashMap<String, u64>,
    applied: HashMap<String, u64>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl FaultServer {
    /// Starts a server.
    ///
    /// # Errors
    /// When the address can't be listened on, or a certificate can't be read.
    pub async fn start(options: FaultServerOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(
            options
                .address
                .unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into()),
        )
        .await?;
        let address = listener.local_addr()?;
        let acceptor = options.tls.as_ref().map(FaultTls::acceptor).transpose()?;
        let state = Arc::new(State {
            link: Link::new(&options.link),
            rules: Mutex::default(),
            calls: Mutex::default(),
            max_concurrent_streams: options.max_concurrent_streams,
            forget_calls: options.forget_calls,
        });
        let accepting = tokio::spawn(accept(listener, acceptor, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            accepting,
        })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds a rule; earlier rules come first.
    pub fn rule(&self, rule: Rule) {
        lock(&self.state.rules).push(rule);
    }

    /// Answers every call of an RPC with this response, after the rules that are there already.
    pub fn answer<Req, Res: Message>(&self, rpc: &Rpc<Req, Res>, response: &Res) {
        self.rule(Rule::new(When::rpc(rpc.name()), Then::message(response)));
    }

    /// Removes all rules.
    pub fn clear_rules(&self) {
        lock(&self.state.rules).clear();
    }

    /// The faults below HTTP/2's streams: frames, delay, cuts, connections; and what was counted there.
    pub fn link(&self) -> &Link {
        &self.state.link
    }

    /// The calls that arrived, in order (none with [`FaultServerOptions::forget_calls`]).
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.state.calls).recorded.clone()
    }

    /// How many calls of an RPC arrived.
    pub fn arrived(&self, rpc: &str) -> u64 {
        lock(&self.state.calls)
            .arrived
            .get(rpc)
            .copied()
            .unwrap_or_default()
    }

    /// How many calls of an RPC a server without faults would have applied.
    pub fn applied(&self, rpc: &str) -> u64 {
        lock(&self.state.calls)
            .applied
            .get(rpc)
            .copied()
            .unwrap_or_default()
    }

    /// Ends all connections, closes the port, and waits until it is closed, so that another server can take the address.
    pub async fn stop(mut self) -> SocketAddr {
        self.accepting.abort();
        // Its result says that it was aborted.
        let _ = (&mut self.accepting).await;
        self.address
    }
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, state: Arc<State>) {
    // Dropped, and its tasks with it, when the server is.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                connections.spawn(handshake(client, acceptor.clone(), Arc::clone(&state)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn handshake(client: TcpStream, acceptor: Option<TlsAcceptor>, state: Arc<State>) {
    let socket = duplicate(&client);
    let _ = client.set_nodelay(true);
    match acceptor {
        None => serve(client, socket, state).await,
        Some(acceptor) => {
            if let Ok(client) = acceptor.accept(client).await {
                serve(client, socket, state).await;
            }
        }
    }
}

async fn serve<C>(client: C, socket: Option<std::os::fd::OwnedFd>, state: Arc<State>)
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let accepted = Accepted::new(Arc::clone(&state.link), client, socket);
    let connection = accepted.connection();
    let (near, far) = tokio::io::duplex(PIPE);
    tokio::join!(accepted.relay(near), speak_http2(far, connection, state));
}

async fn speak_http2(io: DuplexStream, connection: Arc<Connection>, state: Arc<State>) {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    builder.max_send_buffer_size(PIPE);
    if let Some(limit) = state.max_concurrent_streams {
        builder.max_concurrent_streams(limit);
    }
    let Ok(mut http2) = builder.handshake::<_, Bytes>(io).await else {
        return;
    };
    let mut calls = JoinSet::new();
    loop {
        tokio::select! {
            accepted = http2.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    let answering = Answering { state: Arc::clone(&state), connection: Arc::clone(&connection) };
                    calls.spawn(answering.run(request, respond));
                }
                Some(Err(_)) | None => break,
            },
            Some(_) = calls.join_next() => {}
        }
    }
}

struct Answering {
    state: Arc<State>,
    connection: Arc<Connection>,
}

impl Answering {
    async fn run(self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let stream = u32::from(respond.stream_id());
        if let Some(call) = self.receive(request, stream).await {
            let then = self.state.record(call.clone());
            // An error means that the client or the connection is gone.
            let _ = self.answer(&call, then, &mut respond).await;
        }
    }

    /// The whole call; `None` when the client took it back.
    async fn receive(&self, request: Request<RecvStream>, stream: u32) -> Option<Call> {
        let (parts, mut body) = request.into_parts();
        let mut bytes = BytesMut::new();
        while let Some(chunk) = body.data().await {
            let chunk = chunk.ok()?;
            body.flow_control().release_capacity(chunk.len()).ok()?;
            bytes.extend_from_slice(&chunk);
        }
        let prefix = bytes.len().min(5);
        Some(Call {
            path: parts.uri.path().to_owned(),
            metadata: parts.headers,
            message: bytes.split_off(prefix).freeze(),
            connection: self.connection.id(),
            stream,
            applied: true,
        })
    }

    async fn answer(
        &self,
        call: &Call,
        then: Then,
        respond: &mut SendResponse<Bytes>,
    ) -> Result<(), h2::Error> {
        match then {
            Then::Succeed => reply(respond, success(call)),
            Then::Answer(message) => reply(respond, message),
            Then::Compute(answer) => reply(respond, answer(call)),
            Then::InBand(status) => reply(respond, with_status(&call.path, &status)),
            Then::GrpcStatus(code, text) => {
                let mut response = head();
                response.headers_mut().extend(trailers(code, &text));
                respond.send_response(response, true).map(drop)
            }
            Then::HttpStatus(code, text) => {
                let response = Response::builder()
                    .status(code)
                    .header("content-type", "text/html")
                    .body(());
                let response = response.map_err(|_| Reason::INTERNAL_ERROR)?;
                respond
                    .send_response(response, false)?
                    .send_data(text.into(), true)
            }
            Then::Reset(reason) => {
                respond.send_reset(reason);
                Ok(())
            }
            Then::GoAway(last, reason) => self.go_away(call, last, reason, respond).await,
            Then::Close => {
                self.connection.end();
                Ok(())
            }
            Then::Abort => {
                self.connection.abort();
                Ok(())
            }
            Then::Delay(time) => {
                tokio::time::sleep(time).await;
                reply(respond, success(call))
            }
            Then::Hang => std::future::pending().await,
            slow_or_broken => self.answer_in_part(call, slow_or_broken, respond).await,
        }
    }

    async fn go_away(
        &self,
        call: &Call,
        last: LastStream,
        reason: Reason,
        respond: &mut SendResponse<Bytes>,
    ) -> Result<(), h2::Error> {
        let last = last.number(call.stream);
        self.connection
            .send_to_client(&Frame::go_away(last, reason, ""));
        if call.stream > last {
            // Dropping the stream would reset it, which a server that has said GOAWAY does not do.
            std::future::pending::<()>().await;
        }
        reply(respond, success(call))
    }

    /// The answers whose body stops, breaks or ends late.
    async fn answer_in_part(
        &self,
        call: &Call,
        then: Then,
        respond: &mut SendResponse<Bytes>,
    ) -> Result<(), h2::Error> {
        let mut body = respond.send_response(head(), false)?;
        let bytes = framed(&success(call));
        let first = |length: usize| bytes.slice(..bytes.len().min(length));
        match then {
            Then::StallBody(length) => {
                body.send_data(first(length), false)?;
                std::future::pending().await
            }
            Then::ResetBody(length, reason) => {
                let part = first(length);
                // The HTTP/2 implementation forgets queued data when it resets a stream; the relay sees it pass.
                self.connection.reset_after(call.stream, part.len(), reason);
                body.send_data(part, false)?;
                std::future::pending().await
            }
            Then::SlowTrailers(time) => {
                body.send_data(bytes, false)?;
                tokio::time::sleep(time).await;
                body.send_trailers(trailers(0, ""))
            }
            _ => body.send_data(bytes, true),
        }
    }
}

impl State {
    fn record(&self, mut call: Call) -> Then {
        let then = decide(&mut lock(&self.rules), &call);
        call.applied = then.applies();
        let mut calls = lock(&self.calls);
        *calls.arrived.entry(call.rpc().to_owned()).or_default() += 1;
        if call.applied {
            *calls.applied.entry(call.rpc().to_owned()).or_default() += 1;
        }
        if !self.forget_calls {
            calls.recorded.push(call);
        }
        then
    }
}

fn head() -> Response<()> {
    let mut response = Response::new(());
    response
        .headers_mut()
        .insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

fn trailers(code: u32, text: &str) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(code));
    if !text.is_empty() {
        // gRPC percent-encodes what is not printable ASCII; the texts of tests have a line break at most.
        let encoded = text.replace('%', "%25").replace('\n', "%0A");
        if let Ok(encoded) = HeaderValue::from_str(&encoded) {
            trailers.insert("grpc-message", encoded);
        }
    }
    trailers
}

fn reply(respond: &mut SendResponse<Bytes>, message: Bytes) -> Result<(), h2::Error> {
    let mut body = respond.send_response(head(), false)?;
    body.send_data(framed(&message), false)?;
    body.send_trailers(trailers(0, ""))
}
