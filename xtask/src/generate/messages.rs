//! The message types, by prost.
//!
//! Invariant: every `bytes` field is a `bytes::Bytes`, so that it is encoded and decoded by reference;
//! every message named in the field table's `debug` part is generated without Debug.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use anyhow::Context as _;
use prost_build::{Config, Module, Service, ServiceGenerator};
use prost_types::FileDescriptorSet;

use super::{HEADER, finish};
use crate::tables::FieldTable;

/// Protobuf package → the module of the crate that holds its messages.
pub(super) const MODULES: [(&str, &str); 7] = [
    ("grpc.health.v1", "health"),
    ("milvus.proto.common", "common"),
    ("milvus.proto.feder", "feder"),
    ("milvus.proto.milvus", "milvus"),
    ("milvus.proto.msg", "msg"),
    ("milvus.proto.rg", "rg"),
    ("milvus.proto.schema", "schema"),
];

/// Messages whose Debug is written by hand in the crate.
pub(super) const DEBUG_BY_HAND: [&str; 1] = ["milvus.proto.common.KeyValuePair"];

/// What prost made of the descriptors.
pub(super) struct Generated {
    /// Module name → code.
    pub(super) modules: BTreeMap<String, String>,
    /// Every service, with the Rust names of its calls and messages.
    pub(super) services: Vec<Service>,
}

/// The module for `package`.
pub(super) fn module_of(package: &str) -> anyhow::Result<&'static str> {
    MODULES
        .iter()
        .find(|(known, _)| *known == package)
        .map(|(_, module)| *module)
        .with_context(|| format!("package {package} has no module; name one in {}", file!()))
}

/// The path of a Rust type from anywhere in the crate, given as prost gives it: relative to the module
/// of `package`.
pub(super) fn crate_path(package: &str, rust_type: &str) -> anyhow::Result<String> {
    Ok(match rust_type.strip_prefix("super::") {
        Some(rest) => format!("crate::generated::{rest}"),
        None => format!("crate::generated::{}::{rust_type}", module_of(package)?),
    })
}

/// Generates the message types of every package.
pub(super) fn generate(
    set: &FileDescriptorSet,
    field_table: &FieldTable,
) -> anyhow::Result<Generated> {
    let services = Rc::new(RefCell::new(Vec::new()));
    let without_debug: BTreeSet<String> = field_table
        .redacted()
        .filter_map(|(field, _)| field.rsplit_once('.'))
        .map(|(message, _)| message)
        .chain(DEBUG_BY_HAND)
        .map(|message| format!(".{message}"))
        .collect();
    let mut config = Config::new();
    config
        .bytes(["."])
        .skip_debug(&without_debug)
        .service_generator(Box::new(Collect(Rc::clone(&services))));
    let requests = set
        .file
        .iter()
        .map(|file| {
            (
                Module::from_protobuf_package_name(file.package()),
                file.clone(),
            )
        })
        .collect();
    let mut modules = BTreeMap::new();
    let mut by_module = config.generate(requests)?;
    for (package, module) in MODULES {
        let code = by_module
            .remove(&Module::from_protobuf_package_name(package))
            .with_context(|| format!("package {package} is in no .proto file"))?;
        modules.insert(module.to_owned(), finish(&code)?);
    }
    debug_assert!(modules.values().all(|code| code.starts_with(HEADER)));
    if let Some(module) = by_module.keys().next() {
        module_of(&module.parts().collect::<Vec<_>>().join("."))?;
    }
    drop(config);
    let mut services = services.take();
    services.sort_by(|a, b| (&a.package, &a.proto_name).cmp(&(&b.package, &b.proto_name)));
    Ok(Generated { modules, services })
}

/// Keeps the services that prost meets; their code is written by the modules beside this one.
struct Collect(Rc<RefCell<Vec<Service>>>);

impl ServiceGenerator for Collect {
    fn generate(&mut self, service: Service, _code: &mut String) {
        self.0.borrow_mut().push(service);
    }
}
