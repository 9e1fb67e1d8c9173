//! What the driver asks of agents and of graphs.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use martlet_core::{Effect, EffectId, HostFailure, Machine, Outcome, RunId, ToolFailure, ToolSpec};
use martlet_store::Journal;
use martlet_tools::{Files, Work};

use super::scope::Scope;
use crate::approve::Approver;
use crate::record::JournalRecord;

/// An agent or a graph: what begins its runs, and performs their effects.
pub(crate) trait Host: Send + Sync {
    /// Its runs.
    type Machine: Machine + Send;
    /// What they are given.
    type Task: Send + Sync;

    /// What its runs may and where they are recorded.
    fn terms(&self) -> Terms<'_>;

    /// The record with which the journal of a run begins.
    fn first_record<'a>(&'a self, task: &'a Self::Task) -> JournalRecord<'a>;

    /// Begins a run.
    fn start(&self, id: RunId, task: Self::Task) -> Self::Machine;

    /// Begins a run again as its first record says.
    ///
    /// # Errors
    /// Why that record cannot be gone on with.
    fn restart(&self, id: RunId, first: JournalRecord<'static>) -> Result<Self::Machine, String>;

    /// What holds for this one run and those in it. It is the same when the run is read back.
    fn terms_of(&self, machine: &Self::Machine) -> RunTerms;

    /// What is told of a tool call that was under way when the run was left; `None` if the call may be repeated.
    fn doubt(&self, machine: &Self::Machine, id: &EffectId, tool: &str) -> Option<ToolFailure>;

    /// Performs an effect. Each kind has a future of its own size, as thousands may be open.
    ///
    /// `work` is what the performing counts as. A child run ends itself at the limit, so that it can tell what it used; all else is stopped by the driver.
    fn perform<'a>(
        &'a self,
        scope: &'a Scope,
        work: &'a Work,
        id: &'a EffectId,
        effect: Effect,
        limit: Option<Duration>,
    ) -> BoxFuture<'a, Result<Outcome, HostFailure>>;
}

/// What the runs of an agent or a graph may, and where they are recorded.
pub(crate) struct Terms<'a> {
    pub(crate) approver: Option<&'a Arc<dyn Approver>>,
    pub(crate) journal: Option<&'a Arc<dyn Journal>>,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) max_depth: u32,
}

/// What holds for one run and those in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunTerms {
    /// The tools and managed agents that they must not have.
    pub(crate) without_tools: Arc<[String]>,
    /// The tools that programs of the run may call, where these are not simply the agent's.
    pub(crate) tools: Option<Arc<[ToolSpec]>>,
    /// The files that go with the run.
    pub(crate) files: Files,
    /// How many characters of a tool's output the model is shown, where they go to the model.
    pub(crate) shown_chars: Option<usize>,
}

/// An effect of a newer core than this driver knows.
pub(super) fn unknown(effect: &Effect) -> HostFailure {
    HostFailure { message: format!("this driver cannot perform {effect:?}: update Martlet") }
}
