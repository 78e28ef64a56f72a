//! The server side of every service: a trait to implement, and the way from a path to its methods.
//!
//! Invariant: every method of a trait has a default that answers UNIMPLEMENTED and names the call (a server may
//! say more about it: `not_offered`), so that a server offers exactly what it writes, and a call that the
//! protocol gains breaks no server.

use std::fmt::Write as _;

use prost_build::{Method, Service};

use super::messages::crate_path;

/// Generates the traits and routes.
pub(super) fn generate(services: &[Service]) -> anyhow::Result<String> {
    let mut code = String::from(
        "use crate::server::{MessageStream, Route, Routes, decode, decode_stream, not_offered, reply, reply_stream};
         use ::core::future::{Future, ready};
         use ::core::marker::PhantomData;
         use ::tonic::{Request, Response, Status, Streaming};
         use ::bytes::Bytes;
         use ::std::sync::Arc;",
    );
    for service in services {
        service_trait(&mut code, service)?;
        routes(&mut code, service);
    }
    Ok(code)
}

fn service_trait(code: &mut String, service: &Service) -> anyhow::Result<()> {
    let Service { name, package, .. } = service;
    write!(
        code,
        "/// What answers the calls of `{package}.{name}`. A call whose method is not written is answered
         /// with UNIMPLEMENTED. Methods may be written as `async fn`.
         pub trait {name}: Send + Sync + 'static {{
             /// The answer to a call whose method is not written; `call` is its service and name,
             /// `{name}/...`. A server that knows what to use instead says so here, with UNIMPLEMENTED.
             fn not_offered(&self, call: &str) -> Status {{
                 not_offered(call)
             }}"
    )?;
    for method in &service.methods {
        let request = crate_path(package, &method.input_type)?;
        let response = crate_path(package, &method.output_type)?;
        let request = if method.client_streaming {
            format!("MessageStream<{request}>")
        } else {
            request
        };
        let response = if method.server_streaming {
            format!("MessageStream<{response}>")
        } else {
            response
        };
        let Method {
            name: function,
            proto_name,
            ..
        } = method;
        write!(
            code,
            "/// Answers `{proto_name}`.
             fn {function}(&self, request: Request<{request}>)
                 -> impl Future<Output = Result<Response<{response}>, Status>> + Send {{
                 let _ = request;
                 ready(Err(self.not_offered(\"{name}/{proto_name}\")))
             }}"
        )?;
    }
    code.push_str("}\n");
    Ok(())
}

fn routes(code: &mut String, service: &Service) {
    let Service { name, package, .. } = service;
    let _ = write!(
        code,
        "/// From the paths of `{package}.{name}` to the methods of `T`.
         pub struct {name}Routes<T>(PhantomData<fn() -> T>);
         impl<T: {name}> Routes for {name}Routes<T> {{
             type Service = T;
             const NAME: &'static str = \"{package}.{name}\";
             fn route(path: &str) -> Option<Route<T>> {{
                 Some(match path {{"
    );
    for method in &service.methods {
        let Method {
            name: function,
            proto_name,
            ..
        } = method;
        let (kind, argument, decode) = match (method.client_streaming, method.server_streaming) {
            (false, false) => ("Unary", "Request<Bytes>", "decode(request)?"),
            (false, true) => ("ServerStreaming", "Request<Bytes>", "decode(request)?"),
            (true, false) => (
                "ClientStreaming",
                "Request<Streaming<Bytes>>",
                "decode_stream(request)",
            ),
            (true, true) => (
                "BidiStreaming",
                "Request<Streaming<Bytes>>",
                "decode_stream(request)",
            ),
        };
        let reply = if method.server_streaming {
            "reply_stream"
        } else {
            "reply"
        };
        let _ = write!(
            code,
            "\"/{package}.{name}/{proto_name}\" => Route::{kind}(|service: Arc<T>, request: {argument}| {{
                 Box::pin(async move {{ {reply}(service.{function}({decode}).await) }})
             }}),"
        );
    }
    code.push_str("_ => return None, }) } }\n");
}
