//! Descriptors as flat maps from full names, which is what a comparison needs of them.
//!
//! Invariant: two views are equal exactly when the same bytes on the wire mean the same to both sides
//! and code generated from either has the same names.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
};

/// Everything that some files declare, by full name without a leading dot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) messages: BTreeMap<String, Message>,
    /// Enum → value name → number.
    pub(super) enums: BTreeMap<String, BTreeMap<String, i32>>,
    /// Service → method name → declaration.
    pub(super) services: BTreeMap<String, BTreeMap<String, Method>>,
}

/// The fields of a message by number.
pub(super) type Message = BTreeMap<i32, Field>;

/// One field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    /// Label and type as in a `.proto` file, `repeated milvus.proto.schema.FieldData`.
    pub(super) declaration: String,
    pub(super) oneof: Option<String>,
    /// Full name of the message or enum that the field holds.
    pub(super) type_name: Option<String>,
}

/// One method of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Method {
    pub(super) request: String,
    pub(super) response: String,
    pub(super) client_streaming: bool,
    pub(super) server_streaming: bool,
}

impl View {
    /// The view of `files`.
    pub(super) fn new<'a>(files: impl IntoIterator<Item = &'a FileDescriptorProto>) -> Self {
        let mut view = Self::default();
        for file in files {
            for message in &file.message_type {
                view.add_message(file.package(), message);
            }
            for declared in &file.enum_type {
                view.add_enum(file.package(), declared);
            }
            for service in &file.service {
                let methods = service.method.iter().map(|method| {
                    let declaration = Method {
                        request: full_name(method.input_type()),
                        response: full_name(method.output_type()),
                        client_streaming: method.client_streaming(),
                        server_streaming: method.server_streaming(),
                    };
                    (method.name().to_owned(), declaration)
                });
                let name = format!("{}.{}", file.package(), service.name());
                view.services.insert(name, methods.collect());
            }
        }
        view
    }

    /// Names of all messages and enums that the methods of `services` can carry.
    pub(super) fn reachable_from<'a>(
        &self,
        services: impl IntoIterator<Item = &'a String>,
    ) -> BTreeSet<String> {
        let mut open: Vec<String> = services
            .into_iter()
            .filter_map(|name| self.services.get(name))
            .flat_map(BTreeMap::values)
            .flat_map(|method| [method.request.clone(), method.response.clone()])
            .collect();
        let mut reached = BTreeSet::new();
        while let Some(name) = open.pop() {
            if let Some(message) = self.messages.get(&name) {
                let types = message.values().filter_map(|field| field.type_name.clone());
                open.extend(types.filter(|name| !reached.contains(name)));
            }
            reached.insert(name);
        }
        reached
    }

    fn add_message(&mut self, scope: &str, message: &DescriptorProto) {
        let name = format!("{scope}.{}", message.name());
        for nested in &message.nested_type {
            self.add_message(&name, nested);
        }
        for nested in &message.enum_type {
            self.add_enum(&name, nested);
        }
        let fields = message
            .field
            .iter()
            .map(|field| (field.number(), view_of(message, field)));
        self.messages.insert(name, fields.collect());
    }

    fn add_enum(&mut self, scope: &str, declared: &EnumDescriptorProto) {
        let values = declared
            .value
            .iter()
            .map(|value| (value.name().to_owned(), value.number()));
        self.enums
            .insert(format!("{scope}.{}", declared.name()), values.collect());
    }
}

fn view_of(message: &DescriptorProto, field: &FieldDescriptorProto) -> Field {
    let type_name = Some(full_name(field.type_name())).filter(|name| !name.is_empty());
    let label = match (field.label(), field.proto3_optional()) {
        (Label::Repeated, _) => "repeated ",
        (Label::Required, _) => "required ",
        (Label::Optional, true) => "optional ",
        (Label::Optional, false) => "",
    };
    let unpacked = field
        .options
        .as_ref()
        .is_some_and(|options| options.packed == Some(false));
    let declaration = format!(
        "{label}{}{}",
        type_name.as_deref().unwrap_or(scalar(field.r#type())),
        if unpacked { " [packed = false]" } else { "" }
    );
    let oneof = field
        .oneof_index
        .filter(|_| !field.proto3_optional())
        .and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?))
        .map(|oneof| oneof.name().to_owned());
    Field {
        name: field.name().to_owned(),
        declaration,
        oneof,
        type_name,
    }
}

fn full_name(name: &str) -> String {
    name.trim_start_matches('.').to_owned()
}

fn scalar(kind: Type) -> &'static str {
    match kind {
        Type::Double => "double",
        Type::Float => "float",
        Type::Int64 => "int64",
        Type::Uint64 => "uint64",
        Type::Int32 => "int32",
        Type::Fixed64 => "fixed64",
        Type::Fixed32 => "fixed32",
        Type::Bool => "bool",
        Type::String => "string",
        Type::Group => "group",
        Type::Message => "message",
        Type::Bytes => "bytes",
        Type::Uint32 => "uint32",
        Type::Enum => "enum",
        Type::Sfixed32 => "sfixed32",
        Type::Sfixed64 => "sfixed64",
        Type::Sint32 => "sint32",
        Type::Sint64 => "sint64",
    }
}
