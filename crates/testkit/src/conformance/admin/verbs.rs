//! Verbs that some backends lack, each called by itself.
//!
//! A check of a whole life ends, on a backend that lacks it, with the first verb of it. Here every verb is called for
//! something that is not there: a backend that has the verb says anything, one that lacks it says so in typed words.
//!
//! Invariant: a verb that is missing names the feature and the server's version, whichever verb it is.

use std::fmt::Debug;

use milvus_client::admin::{LoadPriority, ObjectType, Privilege, ResourceGroupConfig};
use milvus_client::{Client, Error, Result};

use crate::conformance::{
    BackendKind, Check, Problem, Stage, Verdict, check, names_what_is_missing,
};

pub(super) fn checks() -> Vec<Check> {
    vec![
        check!(missing_verbs_of_properties_are_named),
        check!(missing_verbs_of_storage_and_loading_are_named),
        check!(missing_verbs_of_users_and_roles_are_named),
        check!(missing_verbs_of_privileges_are_named),
        check!(missing_verbs_of_resource_groups_are_named),
    ]
}

const LITE: &[BackendKind] = &[BackendKind::MilvusLite];
const MILVUS: &[BackendKind] = &[BackendKind::Milvus23];
const SERVERS: &[BackendKind] = &[BackendKind::Milvus23, BackendKind::MilvusLite];
const ONE_NODE: &[BackendKind] = &[BackendKind::MilvusLite, BackendKind::Embedded];
const ALL: &[BackendKind] = &[
    BackendKind::Milvus23,
    BackendKind::MilvusLite,
    BackendKind::Embedded,
];

const NOTHING: &str = "nothing_of_this_name";

/// What was said by verbs that may be missing.
struct Answers {
    client: Client,
    kind: BackendKind,
    wrong: Vec<String>,
}

impl Answers {
    fn new(stage: &Stage) -> Self {
        Self {
            client: stage.client.clone(),
            kind: stage.kind,
            wrong: Vec::new(),
        }
    }

    fn expect<T: Debug>(&mut self, verb: &str, lacking: &[BackendKind], answer: Result<T>) {
        let is_missing = match &answer {
            Err(error @ Error::MissingFeature(_)) => names_what_is_missing(error),
            _ => false,
        };
        if is_missing != lacking.contains(&self.kind) {
            self.wrong.push(format!("{verb}: {answer:?}"));
        }
    }

    fn verdict(self) -> Verdict {
        if self.wrong.is_empty() {
            return Ok(());
        }
        Err(Problem::Wrong(self.wrong.join("; ")))
    }
}

async fn missing_verbs_of_properties_are_named(stage: &mut Stage) -> Verdict {
    const KEY: &str = "mmap.enabled";
    let name = stage.database();
    let mut answers = Answers::new(stage);
    let client = answers.client.clone();
    let created = client.create_database(name).property("k", "v").await;
    answers.expect("create_database with a property", MILVUS, created);
    let described = client.describe_database(NOTHING).await;
    answers.expect("describe_database", MILVUS, described);
    let altered = client.alter_database_properties(NOTHING).property("k", "v");
    answers.expect("alter_database_properties", MILVUS, altered.await);
    let dropped = client.drop_database_properties(NOTHING, ["k"]).await;
    answers.expect("drop_database_properties", MILVUS, dropped);
    let altered = client.alter_index_properties(NOTHING, NOTHING);
    let altered = altered.property(KEY, true).await;
    answers.expect("alter_index_properties", SERVERS, altered);
    let dropped = client.drop_index_properties(NOTHING, NOTHING, [KEY]).await;
    answers.expect("drop_index_properties", SERVERS, dropped);
    answers.verdict()
}

async fn missing_verbs_of_storage_and_loading_are_named(stage: &mut Stage) -> Verdict {
    let mut answers = Answers::new(stage);
    let client = answers.client.clone();
    let plans = client.compaction_plans(1).await;
    answers.expect("compaction_plans", LITE, plans);
    let compacted = client.compact(NOTHING).clustering().await;
    answers.expect("compact by the clustering key", SERVERS, compacted);
    let compacted = client.compact(NOTHING).level_zero().await;
    answers.expect("compact of deletions", SERVERS, compacted);
    let state = client.import_state(1).await;
    answers.expect("import_state", ONE_NODE, state);
    let imports = client.list_imports().await;
    answers.expect("list_imports", ONE_NODE, imports);
    let waited = client.wait_for_import(1).await;
    answers.expect("wait_for_import", ONE_NODE, waited);
    let loaded = client.load_partitions(NOTHING, [NOTHING]).await;
    answers.expect("load_partitions", LITE, loaded);
    let released = client.release_partitions(NOTHING, [NOTHING]).await;
    answers.expect("release_partitions", LITE, released);
    let loaded = client.load_collection(NOTHING);
    let loaded = loaded.priority(LoadPriority::High).await;
    answers.expect("load_collection with a priority", SERVERS, loaded);
    answers.verdict()
}

async fn missing_verbs_of_users_and_roles_are_named(stage: &mut Stage) -> Verdict {
    let (anna, reader) = (stage.user(), stage.role());
    let mut answers = Answers::new(stage);
    let client = answers.client.clone();
    let created = client.create_user(anna, "secret1").description("who");
    answers.expect("create_user with a description", ALL, created.await);
    let changed = client.update_password(NOTHING, "secret1", "secret2").await;
    answers.expect("update_password", LITE, changed);
    let dropped = client.drop_user(NOTHING).await;
    answers.expect("drop_user", LITE, dropped);
    answers.expect("list_users", LITE, client.list_users().await);
    let described = client.describe_user(NOTHING).await;
    answers.expect("describe_user", LITE, described);
    let created = client.create_role(reader).description("what").await;
    answers.expect("create_role with a description", SERVERS, created);
    let altered = client.alter_role(NOTHING, "what").await;
    answers.expect("alter_role", ALL, altered);
    let dropped = client.drop_role(NOTHING).force().await;
    answers.expect("drop_role by force", SERVERS, dropped);
    let dropped = client.drop_role(NOTHING).await;
    answers.expect("drop_role", LITE, dropped);
    answers.expect("list_roles", LITE, client.list_roles().await);
    let described = client.describe_role(NOTHING).await;
    answers.expect("describe_role", LITE, described);
    let granted = client.grant_role(NOTHING, NOTHING).await;
    answers.expect("grant_role", LITE, granted);
    let revoked = client.revoke_role(NOTHING, NOTHING).await;
    answers.expect("revoke_role", LITE, revoked);
    answers.verdict()
}

async fn missing_verbs_of_privileges_are_named(stage: &mut Stage) -> Verdict {
    let mut answers = Answers::new(stage);
    let client = answers.client.clone();
    let (search, object) = (Privilege::Search, ObjectType::Collection);
    let granted = client.grant_privilege(NOTHING, search.clone(), object.clone(), NOTHING);
    answers.expect("grant_privilege", LITE, granted.await);
    let revoked = client.revoke_privilege(NOTHING, search.clone(), object, NOTHING);
    answers.expect("revoke_privilege", LITE, revoked.await);
    let listed = client.list_grants(NOTHING).await;
    answers.expect("list_grants", LITE, listed);
    let granted = client.grant_privilege_v2(NOTHING, search.clone(), NOTHING);
    answers.expect("grant_privilege_v2", SERVERS, granted.await);
    let revoked = client.revoke_privilege_v2(NOTHING, search.clone(), NOTHING);
    answers.expect("revoke_privilege_v2", SERVERS, revoked.await);
    let listed = client.list_privilege_groups().await;
    answers.expect("list_privilege_groups", SERVERS, listed);
    let added = client.add_privileges_to_group(NOTHING, [search.clone()]);
    answers.expect("add_privileges_to_group", SERVERS, added.await);
    let removed = client.remove_privileges_from_group(NOTHING, [search]);
    answers.expect("remove_privileges_from_group", SERVERS, removed.await);
    let dropped = client.drop_privilege_group(NOTHING).await;
    answers.expect("drop_privilege_group", SERVERS, dropped);
    answers.verdict()
}

async fn missing_verbs_of_resource_groups_are_named(stage: &mut Stage) -> Verdict {
    const DEFAULT: &str = "__default_resource_group";
    let group = stage.resource_group();
    let mut answers = Answers::new(stage);
    let client = answers.client.clone();
    let listed = client.list_resource_groups().await;
    answers.expect("list_resource_groups", ONE_NODE, listed);
    let described = client.describe_resource_group(NOTHING).await;
    answers.expect("describe_resource_group", ONE_NODE, described);
    let moved = client.transfer_node(NOTHING, DEFAULT, 1).await;
    answers.expect("transfer_node", ONE_NODE, moved);
    let moved = client.transfer_replica(NOTHING, DEFAULT, NOTHING, 1).await;
    answers.expect("transfer_replica", ONE_NODE, moved);
    let dropped = client.drop_resource_group(NOTHING).await;
    answers.expect("drop_resource_group", ONE_NODE, dropped);
    let config = ResourceGroupConfig::new(0, 1);
    let created = client.create_resource_group(group).config(config.clone());
    answers.expect("create_resource_group with a config", ALL, created.await);
    let updated = client.update_resource_groups([(NOTHING, config)]).await;
    answers.expect("update_resource_groups", ALL, updated);
    answers.verdict()
}
