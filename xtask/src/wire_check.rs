//! `cargo xtask wire-check`: our `.proto` files against the official descriptors, which ship with
//! pymilvus (and, for the health service, with grpcio-health-checking).
//!
//! Invariant: the check fails on every difference that the field table does not name, and proves on each
//! run that it would see one.

mod compare;
mod view;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use milvus_testkit::real::{Python, Requirements};
use prost::Message as _;
use prost_types::FileDescriptorProto;

use self::view::View;
use crate::generate::descriptors;
use crate::{project, tables};

/// Where the official descriptors come from. The generated modules need the protobuf runtime and nothing
/// else of what a client needs.
const OFFICIAL: Requirements = Requirements::new(
    "official-descriptors-3.0.2",
    &[
        "--no-deps",
        "pymilvus==3.0.2",
        "grpcio-health-checking==1.76.0",
        "protobuf==6.33.2",
    ],
);

const SCRIPT: &str = include_str!("wire_check/official_descriptors.py");
const SCRIPT_LIMIT: Duration = Duration::from_secs(120);

/// Arguments of `wire-check`.
#[derive(clap::Args)]
pub(crate) struct Arguments {}

/// What the script prints.
#[derive(serde::Deserialize)]
struct Official {
    versions: BTreeMap<String, String>,
    files: Vec<String>,
}

/// Runs the task.
pub(crate) fn run(_arguments: &Arguments) -> anyhow::Result<()> {
    let protocol = project::protocol();
    let ours = View::new(&descriptors(&protocol)?.file);
    let substitutions = tables::read_field_table(&protocol)?.bytes_substitutions;
    let (official, versions) = official_view()?;

    ensure_a_wrong_number_is_seen(&ours, &official, &substitutions)?;
    let found = compare::differences(&ours, &official, &substitutions);
    for difference in &found {
        println!("{difference}");
    }
    let sources: Vec<String> = versions
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    println!(
        "wire-check against {}: {} services, {} methods, {} messages, {} fields, {} enum values; \
         {} bytes substitutions; {} differences",
        sources.join(" and "),
        ours.services.len(),
        ours.services.values().map(BTreeMap::len).sum::<usize>(),
        ours.messages.len(),
        ours.messages.values().map(BTreeMap::len).sum::<usize>(),
        ours.enums.values().map(BTreeMap::len).sum::<usize>(),
        substitutions.len(),
        found.len()
    );
    ensure!(
        found.is_empty(),
        "our .proto files differ from the official descriptors"
    );
    Ok(())
}

fn official_view() -> anyhow::Result<(View, BTreeMap<String, String>)> {
    let printed = Python::prepare(OFFICIAL)?.run_json(SCRIPT, &[], SCRIPT_LIMIT)?;
    let official: Official =
        serde_json::from_value(printed).context("the script's JSON is not as expected")?;
    let mut files = Vec::new();
    for file in &official.files {
        let bytes = base64::engine::general_purpose::STANDARD.decode(file)?;
        files.push(FileDescriptorProto::decode(bytes.as_slice())?);
    }
    Ok((View::new(&files), official.versions))
}

/// A check that cannot fail proves nothing: with one field number changed it has to report it.
fn ensure_a_wrong_number_is_seen(
    ours: &View,
    official: &View,
    substitutions: &BTreeMap<String, String>,
) -> anyhow::Result<()> {
    let mut changed = ours.clone();
    let fields = changed
        .messages
        .get_mut("milvus.proto.milvus.SearchRequest")
        .context("SearchRequest is declared")?;
    let (number, field) = fields.pop_last().context("SearchRequest has fields")?;
    fields.insert(number + 1_000, field);
    let mention = format!(
        "field {} of milvus.proto.milvus.SearchRequest",
        number + 1_000
    );
    let found = compare::differences(&changed, official, substitutions);
    if !found
        .iter()
        .any(|difference| difference.starts_with(&mention))
    {
        bail!("self-test failed: a changed field number went unnoticed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ours, and what the official descriptors would be if ours were right.
    fn views() -> (View, View, BTreeMap<String, String>) {
        let protocol = project::protocol();
        let ours = View::new(&descriptors(&protocol).unwrap().file);
        let substitutions = tables::read_field_table(&protocol)
            .unwrap()
            .bytes_substitutions;
        let mut official = ours.clone();
        for (field, declaration) in &substitutions {
            let (message, name) = field.rsplit_once('.').unwrap();
            let fields = official.messages.get_mut(message).unwrap();
            let field = fields
                .values_mut()
                .find(|field| field.name == name)
                .unwrap();
            field.declaration.clone_from(declaration);
        }
        (ours, official, substitutions)
    }

    /// What is found after `change` was made to the official side.
    fn found_after(change: impl FnOnce(&mut View)) -> Vec<String> {
        let (ours, mut official, substitutions) = views();
        assert_eq!(
            compare::differences(&ours, &official, &substitutions),
            [""; 0]
        );
        change(&mut official);
        compare::differences(&ours, &official, &substitutions)
    }

    fn search(view: &mut View) -> &mut view::Message {
        view.messages
            .get_mut("milvus.proto.milvus.SearchRequest")
            .unwrap()
    }

    #[test]
    fn a_wrong_number_is_found() {
        let found = found_after(|official| {
            let field = search(official).remove(&3).unwrap();
            search(official).insert(300, field);
        });
        assert_eq!(
            found,
            [
                "field 3 of milvus.proto.milvus.SearchRequest, collection_name, is not official",
                "field 300 of milvus.proto.milvus.SearchRequest, string collection_name, is official and not declared here",
            ]
        );
    }

    #[test]
    fn a_wrong_name_type_label_or_oneof_is_found() {
        let found = found_after(|official| {
            let field = search(official).get_mut(&3).unwrap();
            field.name = "collection".into();
            field.declaration = "repeated bytes".into();
            field.oneof = Some("what".into());
        });
        assert_eq!(
            found,
            [
                "field 3 of milvus.proto.milvus.SearchRequest is named collection_name here and officially collection",
                "field 3 of milvus.proto.milvus.SearchRequest, collection_name, is in oneof (none) here and officially in what",
                "field 3 of milvus.proto.milvus.SearchRequest, collection_name, is string here and should be repeated bytes",
            ]
        );
    }

    #[test]
    fn a_substitution_of_something_else_is_found() {
        let found = found_after(|official| {
            let floats = official
                .messages
                .get_mut("milvus.proto.schema.FloatArray")
                .unwrap();
            floats.get_mut(&1).unwrap().declaration = "repeated double".into();
        });
        assert_eq!(
            found,
            [
                "field 1 of milvus.proto.schema.FloatArray, data, is substituted as if it were repeated float, and officially is repeated double"
            ]
        );
    }

    #[test]
    fn a_substitution_that_is_something_else_on_the_wire_is_found() {
        let (ours, mut official, mut substitutions) = views();
        let integers = "milvus.proto.schema.LongArray";
        substitutions.insert(format!("{integers}.data"), "repeated int64".into());
        official
            .messages
            .get_mut(integers)
            .unwrap()
            .get_mut(&1)
            .unwrap()
            .declaration = "repeated int64".into();
        assert_eq!(
            compare::differences(&ours, &official, &substitutions),
            [
                "field 1 of milvus.proto.schema.LongArray, data: no bytes are the same on the wire as repeated int64"
            ]
        );
    }

    #[test]
    fn a_substitution_of_nothing_is_found() {
        let (ours, official, mut substitutions) = views();
        substitutions.insert(
            "milvus.proto.schema.FloatArray.gone".into(),
            "repeated float".into(),
        );
        assert_eq!(
            compare::differences(&ours, &official, &substitutions),
            [
                "field-table.toml substitutes milvus.proto.schema.FloatArray.gone, which is no field of ours"
            ]
        );
    }

    #[test]
    fn an_enum_value_and_a_method_that_differ_are_found() {
        let found = found_after(|official| {
            let states = official
                .enums
                .get_mut("milvus.proto.common.LoadState")
                .unwrap();
            states.insert("LoadStateLost".into(), 9);
            let service = official
                .services
                .get_mut("milvus.proto.milvus.MilvusService")
                .unwrap();
            service.remove("Search");
        });
        assert_eq!(
            found,
            [
                "method of service milvus.proto.milvus.MilvusService: Search is not official",
                "value of enum milvus.proto.common.LoadState: LoadStateLost is official and not declared here",
            ]
        );
    }

    #[test]
    fn a_reachable_message_and_a_service_that_are_missing_are_found() {
        let found = found_after(|official| {
            search(official).insert(
                400,
                view::Field {
                    name: "plan".into(),
                    declaration: "milvus.proto.milvus.Plan".into(),
                    oneof: None,
                    type_name: Some("milvus.proto.milvus.Plan".into()),
                },
            );
            official
                .messages
                .insert("milvus.proto.milvus.Plan".into(), BTreeMap::new());
            official
                .services
                .insert("milvus.proto.milvus.PlanService".into(), BTreeMap::new());
        });
        assert_eq!(
            found,
            [
                "service milvus.proto.milvus.PlanService is official and not declared here",
                "milvus.proto.milvus.Plan is reachable from the services and not declared here",
                "field 400 of milvus.proto.milvus.SearchRequest, milvus.proto.milvus.Plan plan, is official and not declared here",
            ]
        );
    }
}
