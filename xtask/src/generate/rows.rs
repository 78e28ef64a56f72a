//! The table of calls: a constant per call and one list of all of them.
//!
//! Invariant: every call of every service has exactly one reviewed row, and every row names a call.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use heck::{ToSnakeCase as _, ToUpperCamelCase as _};
use prost_build::{Method, Service};
use prost_types::field_descriptor_proto::Label;
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

use super::messages::crate_path;
use crate::tables::{DatabaseField, RpcRow, RpcTable};

const STATUS: &str = ".milvus.proto.common.Status";

/// One call with everything that its row needs.
pub(super) struct ResolvedRpc<'a> {
    constant: String,
    service: String,
    method: &'a Method,
    row: &'a RpcRow,
    request: String,
    response: String,
    status: StatusPlace,
    /// Rust name of the request's field that names the database of the call.
    database: Option<String>,
}

/// Where the in-band status of a response stands.
enum StatusPlace {
    Whole,
    Field { number: i32, accessor: String },
    Absent,
}

/// Joins the services with the reviewed rows.
pub(super) fn resolve<'a>(
    set: &FileDescriptorSet,
    services: &'a [Service],
    table: &'a RpcTable,
) -> anyhow::Result<Vec<ResolvedRpc<'a>>> {
    let messages = messages_by_name(set);
    let mut rpcs = Vec::new();
    for service in services {
        let full_name = format!("{}.{}", service.package, service.proto_name);
        let rows = table
            .service
            .get(&full_name)
            .with_context(|| format!("rpc-table.toml has no rows for service {full_name}"))?;
        for method in &service.methods {
            let row = rows.get(&method.proto_name).with_context(|| {
                format!(
                    "rpc-table.toml has no row for {full_name}/{}",
                    method.proto_name
                )
            })?;
            rpcs.push(resolve_one(&messages, service, &full_name, method, row)?);
        }
        for name in rows.keys() {
            if !service
                .methods
                .iter()
                .any(|method| method.proto_name == *name)
            {
                bail!("rpc-table.toml has a row for {full_name}/{name}, which no service has");
            }
        }
    }
    for name in table.service.keys() {
        if !rpcs.iter().any(|rpc| rpc.service == *name) {
            bail!("rpc-table.toml has rows for service {name}, which does not exist");
        }
    }
    Ok(rpcs)
}

fn messages_by_name(set: &FileDescriptorSet) -> BTreeMap<String, &DescriptorProto> {
    set.file
        .iter()
        .flat_map(|file| {
            file.message_type
                .iter()
                .map(move |message| (format!(".{}.{}", file.package(), message.name()), message))
        })
        .collect()
}

fn resolve_one<'a>(
    messages: &BTreeMap<String, &DescriptorProto>,
    service: &Service,
    full_name: &str,
    method: &'a Method,
    row: &'a RpcRow,
) -> anyhow::Result<ResolvedRpc<'a>> {
    let request = messages
        .get(&method.input_proto_type)
        .with_context(|| format!("{} has no descriptor", method.input_proto_type))?;
    let database = request
        .field
        .iter()
        .find(|field| matches!(field.name(), "db_name" | "dbName"))
        .map(rust_name);
    if database.is_none() && row.database == DatabaseField::Operand {
        bail!(
            "rpc-table.toml calls the database of {} an operand; its request has none",
            method.proto_name
        );
    }
    let prefix = if service.package == "grpc.health.v1" {
        "GRPC_HEALTH_"
    } else {
        ""
    };
    Ok(ResolvedRpc {
        constant: format!("{prefix}{}", method.name.to_uppercase()),
        service: full_name.to_owned(),
        method,
        row,
        request: crate_path(&service.package, &method.input_type)?,
        response: crate_path(&service.package, &method.output_type)?,
        status: status_place(
            messages,
            &method.output_proto_type,
            &crate_path(&service.package, &method.output_type)?,
        )?,
        database: database.filter(|_| row.database == DatabaseField::Context),
    })
}

fn status_place(
    messages: &BTreeMap<String, &DescriptorProto>,
    response: &str,
    rust_path: &str,
) -> anyhow::Result<StatusPlace> {
    if response == STATUS {
        return Ok(StatusPlace::Whole);
    }
    let message = messages
        .get(response)
        .with_context(|| format!("{response} has no descriptor"))?;
    let mut fields = message
        .field
        .iter()
        .filter(|field| field.type_name() == STATUS && field.label() != Label::Repeated);
    match (fields.next(), fields.next()) {
        (None, _) => Ok(StatusPlace::Absent),
        (Some(field), None) => Ok(StatusPlace::Field {
            number: field.number(),
            accessor: status_accessor(message, field, rust_path)?,
        }),
        (Some(_), Some(_)) => bail!("{response} has two statuses; decide which one counts"),
    }
}

/// A closure that finds the status in a response of the Rust type at `rust_path`.
fn status_accessor(
    message: &DescriptorProto,
    field: &FieldDescriptorProto,
    rust_path: &str,
) -> anyhow::Result<String> {
    let Some(oneof) = field.oneof_index else {
        return Ok(format!("|response| response.{}.as_ref()", rust_name(field)));
    };
    let oneof = usize::try_from(oneof)
        .ok()
        .and_then(|index| message.oneof_decl.get(index))
        .context("a field belongs to a oneof of its message")?;
    let (module, type_name) = rust_path
        .rsplit_once("::")
        .context("a message stands in a module")?;
    let variant = format!(
        "{module}::{}::{}::{}",
        type_name.to_snake_case(),
        oneof.name().to_upper_camel_case(),
        field.name().to_upper_camel_case()
    );
    Ok(format!(
        "|response| match &response.{} {{ Some({variant}(status)) => Some(status), _ => None }}",
        oneof.name().to_snake_case()
    ))
}

fn rust_name(field: &FieldDescriptorProto) -> String {
    field.name().to_snake_case()
}

/// Generates the constants and the list of all.
pub(super) fn generate(rpcs: &[ResolvedRpc<'_>]) -> String {
    let mut code = String::from(
        "use crate::rpc::{OperationClass, Rpc, RpcInfo, RpcKind, StatusPlace, StreamingRpc};\n",
    );
    for rpc in rpcs {
        constant(&mut code, rpc);
    }
    code.push_str(
        "/// Every call of every service, streams included, in the order of the services' definition.\n\
         pub static ALL: &[RpcInfo] = &[\n",
    );
    for rpc in rpcs {
        let _ = writeln!(code, "*{}.info(),", rpc.constant);
    }
    code.push_str("];\n");
    code
}

fn constant(code: &mut String, rpc: &ResolvedRpc<'_>) {
    let (name, service) = (&rpc.method.proto_name, &rpc.service);
    let class = rpc.row.class.rust_name();
    let (request, response) = (&rpc.request, &rpc.response);
    let (kind, streaming) = match (rpc.method.client_streaming, rpc.method.server_streaming) {
        (false, false) => ("Unary", false),
        (false, true) => ("ServerStreaming", true),
        (true, false) => ("ClientStreaming", true),
        (true, true) => ("BidiStreaming", true),
    };
    let why = rpc
        .row
        .why
        .as_ref()
        .map(|why| format!(": {why}"))
        .unwrap_or_default();
    let _ = writeln!(
        code,
        "/// `{service}/{name}`, [`OperationClass::{class}`]{why}."
    );
    let (place, status) = match &rpc.status {
        StatusPlace::Whole => ("Whole".to_owned(), "|response| Some(response)".to_owned()),
        StatusPlace::Field { number, accessor } => (format!("Field({number})"), accessor.clone()),
        StatusPlace::Absent => ("Absent".to_owned(), "|_| None".to_owned()),
    };
    let database = match &rpc.database {
        Some(field) => format!("|request| Some(&mut request.{field})"),
        None => "|_| None".to_owned(),
    };
    let info = format!(
        "RpcInfo {{
            name: \"{name}\", service: \"{service}\", path: \"/{service}/{name}\",
            class: OperationClass::{class}, kind: RpcKind::{kind},
            status: StatusPlace::{place}, has_database: {},
        }}",
        rpc.database.is_some()
    );
    let constant = &rpc.constant;
    let _ = if streaming {
        writeln!(
            code,
            "pub const {constant}: StreamingRpc<{request}, {response}> = StreamingRpc::new(&{info}, {status}, {database});"
        )
    } else {
        let refine = match &rpc.row.refine {
            Some(function) => format!("crate::rpc::refine_{function}"),
            None => format!("|_| OperationClass::{class}"),
        };
        writeln!(
            code,
            "pub const {constant}: Rpc<{request}, {response}> = Rpc::new(&{info}, {status}, {database}, {refine});"
        )
    };
}
