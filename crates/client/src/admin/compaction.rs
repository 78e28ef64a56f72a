//! Compaction: merging small segments and clearing deleted rows away.
//!
//! Invariant: a compaction is a job with a number; starting it twice starts two, so it is never repeated
//! on its own.

use milvus_protocol::milvus::{
    CompactionMergeInfo, GetCompactionPlansRequest, GetCompactionPlansResponse,
    GetCompactionStateRequest, GetCompactionStateResponse, ManualCompactionRequest,
};
use milvus_protocol::rpc;

use super::progress::{Progress, ProgressStream, Step, finish, watch};
use super::request::given;
use crate::call::Clock;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::feature::Feature;

const COMPACTION: Feature = Feature::call("compaction on request");
const CLUSTERING: Feature = Feature::since("clustering compaction", 2, 4).not_in_lite();
const LEVEL_ZERO: Feature =
    Feature::since("compaction of deletions on request", 2, 6).not_in_lite();
const TARGET_SIZE: Feature = Feature::since("a target size of compaction", 2, 6).not_in_lite();

impl Client {
    /// Starts a compaction and returns its number.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// let compaction = client.compact("docs").await?;
    /// client.wait_for_compaction(compaction.id).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`] when the collection does not exist; [`Error::MissingFeature`] for a kind that
    /// the server would take for a plain one.
    pub fn compact(&self, collection: impl Into<String>) -> Compact {
        Compact::new(self, collection.into())
    }

    /// Asks how far a compaction has come.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// println!("{:?}", client.compaction_state(7).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`]. Some servers answer "completed" for a number they do not know.
    pub fn compaction_state(&self, compaction: i64) -> GetCompactionState {
        GetCompactionState::new(self, compaction)
    }

    /// Asks which segments a compaction merges into which.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// for plan in client.compaction_plans(7).await?.plans {
    ///     println!("{:?} -> {:?}", plan.sources, plan.targets);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Connection`]; [`Error::MissingFeature`].
    pub fn compaction_plans(&self, compaction: i64) -> GetCompactionPlans {
        GetCompactionPlans::new(self, compaction)
    }

    /// Waits until a compaction is completed.
    ///
    /// ```no_run
    /// # async fn example(client: milvus_client::Client) -> milvus_client::Result<()> {
    /// client.wait_for_compaction(7).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::TaskFailed`] when parts of it failed or ran out of time.
    pub fn wait_for_compaction(&self, compaction: i64) -> WaitForCompaction {
        WaitForCompaction::new(self, compaction)
    }
}

request_type! {
    /// A request of [`Client::compact`].
    Compact(collection: String) {
        is_clustering: bool,
        is_level_zero: bool,
        target_size: Option<i64>,
    } => Compaction
}

/// A compaction that was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Compaction {
    /// Its number.
    pub id: i64,
    /// How many merges it consists of; 0 from servers that do not say.
    pub plan_count: i32,
}

impl Compact {
    /// Groups rows by the clustering key.
    pub fn clustering(mut self) -> Self {
        self.is_clustering = true;
        self
    }

    /// Applies the deletions that are kept apart (level zero).
    pub fn level_zero(mut self) -> Self {
        self.is_level_zero = true;
        self
    }

    /// Sets the size of the segments to aim for, in bytes.
    pub fn target_size(mut self, bytes: i64) -> Self {
        self.target_size = Some(bytes);
        self
    }

    fn message(&self, collection_id: i64) -> ManualCompactionRequest {
        ManualCompactionRequest {
            collection_name: self.collection.clone(),
            // Older servers know a collection by this number only.
            collection_id,
            major_compaction: self.is_clustering,
            l0_compaction: self.is_level_zero,
            target_size: self.target_size.unwrap_or(0),
            ..ManualCompactionRequest::default()
        }
    }

    fn check(&self) -> Result<()> {
        given("compact", "collection", &self.collection)?;
        if self.is_clustering {
            self.client.require(CLUSTERING)?;
        }
        if self.is_level_zero {
            self.client.require(LEVEL_ZERO)?;
        }
        if let Some(bytes) = self.target_size {
            self.client.require(TARGET_SIZE)?;
            if bytes <= 0 {
                return Err(Error::request("compact", "target_size", "is not above 0"));
            }
        }
        Ok(())
    }

    async fn send(self) -> Result<Compaction> {
        self.check()?;
        let clock = self.settings.start();
        let mut describe = self.client.describe_collection(&self.collection);
        describe.settings = clock.settings();
        let message = self.message(describe.await?.id);
        let call = self
            .client
            .call(COMPACTION, &rpc::MANUAL_COMPACTION, message, &clock);
        let answer = call.await?;
        Ok(Compaction {
            id: answer.compaction_id,
            plan_count: answer.compaction_plan_count,
        })
    }
}

request_type! {
    /// A request of [`Client::compaction_state`].
    GetCompactionState(compaction: i64) => CompactionProgress
}

impl GetCompactionState {
    async fn ask(&self, clock: &Clock) -> Result<CompactionProgress> {
        let message = GetCompactionStateRequest {
            compaction_id: self.compaction,
        };
        let call = self
            .client
            .call(COMPACTION, &rpc::GET_COMPACTION_STATE, message, clock);
        Ok(CompactionProgress::from(call.await?))
    }

    async fn send(self) -> Result<CompactionProgress> {
        self.ask(&self.settings.start()).await
    }
}

/// How far a compaction has come, in merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactionProgress {
    /// The state of the whole.
    pub state: CompactionState,
    /// Merges under way.
    pub executing: i64,
    /// Merges done.
    pub completed: i64,
    /// Merges that failed.
    pub failed: i64,
    /// Merges that ran out of time.
    pub timed_out: i64,
}

impl From<GetCompactionStateResponse> for CompactionProgress {
    fn from(answer: GetCompactionStateResponse) -> Self {
        Self {
            state: CompactionState::from_number(answer.state),
            executing: answer.executing_plan_no,
            completed: answer.completed_plan_no,
            failed: answer.failed_plan_no,
            timed_out: answer.timeout_plan_no,
        }
    }
}

impl CompactionProgress {
    fn step(self, compaction: i64) -> Result<Step> {
        let lost = self.failed + self.timed_out;
        let progress = Progress::new(self.completed, self.completed + self.executing + lost);
        match self.state {
            CompactionState::Completed if lost == 0 => Ok(Step::Last(progress)),
            CompactionState::Completed => {
                let task = format!("compaction {compaction}");
                let reason = format!(
                    "{} merges failed and {} ran out of time; {} are done",
                    self.failed, self.timed_out, self.completed
                );
                Err(Error::task_failed(task, reason))
            }
            CompactionState::Undefined => {
                let task = format!("compaction {compaction}");
                Err(Error::task_failed(task, "the server does not know it"))
            }
            CompactionState::Executing | CompactionState::Other(_) => Ok(Step::More(progress)),
        }
    }
}

numbered! {
    /// The state of a compaction.
    CompactionState {
        /// The server does not know it.
        Undefined = 0,
        /// It is under way.
        Executing = 1,
        /// It is over.
        Completed = 2,
    }
}

request_type! {
    /// A request of [`Client::compaction_plans`].
    GetCompactionPlans(compaction: i64) => CompactionPlans
}

impl GetCompactionPlans {
    fn message(&self) -> Result<GetCompactionPlansRequest> {
        Ok(GetCompactionPlansRequest {
            compaction_id: self.compaction,
            ..GetCompactionPlansRequest::default()
        })
    }
}

single_call! {
    GetCompactionPlans: GET_COMPACTION_STATE_WITH_PLANS of Feature::call("plans of compactions"),
    |answer| Ok(CompactionPlans::from(answer)) => CompactionPlans
}

/// Which segments a compaction merges.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactionPlans {
    /// The state of the whole.
    pub state: CompactionState,
    /// The merges.
    pub plans: Vec<CompactionPlan>,
}

/// One merge of a compaction.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactionPlan {
    /// The segments that are merged.
    pub sources: Vec<i64>,
    /// The segments that come of it.
    pub targets: Vec<i64>,
    /// Why it failed; empty when it did not, and from servers that do not say.
    pub failure: String,
}

impl From<GetCompactionPlansResponse> for CompactionPlans {
    fn from(answer: GetCompactionPlansResponse) -> Self {
        Self {
            state: CompactionState::from_number(answer.state),
            plans: answer.merge_infos.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<CompactionMergeInfo> for CompactionPlan {
    fn from(merge: CompactionMergeInfo) -> Self {
        let targets = match merge.target {
            0 => merge.targets,
            // Servers that know of several targets repeat the first one here.
            first if merge.targets.is_empty() => vec![first],
            _ => merge.targets,
        };
        Self {
            sources: merge.sources,
            targets,
            failure: merge.failure_reason,
        }
    }
}

request_type! {
    /// A request of [`Client::wait_for_compaction`].
    WaitForCompaction(compaction: i64) => ()
}

impl WaitForCompaction {
    /// Follows the compaction, in merges.
    pub fn progress(self) -> ProgressStream {
        let compaction = self.compaction;
        let question = GetCompactionState::new(&self.client, compaction);
        watch(
            self.settings,
            |_| async { Ok(()) },
            move |_, clock| {
                let question = question.clone();
                async move { question.ask(&clock).await?.step(compaction) }
            },
        )
    }

    async fn send(self) -> Result<()> {
        finish(self.progress()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(number: i32, completed: i64, failed: i64) -> Result<Step> {
        let answer = GetCompactionStateResponse {
            state: number,
            completed_plan_no: completed,
            failed_plan_no: failed,
            ..GetCompactionStateResponse::default()
        };
        CompactionProgress::from(answer).step(9)
    }

    #[test]
    fn a_compaction_that_lost_merges_has_failed() {
        assert!(matches!(state(1, 0, 0), Ok(Step::More(_))));
        assert!(matches!(state(2, 3, 0), Ok(Step::Last(_))));
        let error = state(2, 3, 1).err().expect("failed").to_string();
        insta::assert_snapshot!(error, @"compaction 9 failed: 1 merges failed and 0 ran out of time; 3 are done");
        assert!(state(0, 0, 0).is_err());
    }

    #[test]
    fn targets_are_read_from_old_and_new_servers() {
        let targets = |target, targets: &[i64]| {
            let merge = CompactionMergeInfo {
                target,
                targets: targets.to_vec(),
                ..CompactionMergeInfo::default()
            };
            CompactionPlan::from(merge).targets
        };
        assert_eq!(targets(5, &[]), [5]);
        assert_eq!(targets(5, &[5, 6]), [5, 6]);
        assert_eq!(targets(0, &[]), [0i64; 0]);
    }
}
