//! Reading what a run left in its journal.

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use martlet::{GraphRunError, RunError};
use martlet_core::run::StopReason;
use martlet_core::{GraphResult, RunId, RunResult};
use martlet_store::{Entry, Journal, Recorded, RunRow, RunState, Store, StoreError};

use super::Service;
use super::request::Offered;
use crate::problem::{Problem, ProblemKind};

/// A journal that is only read: a run that is not what it seemed cannot go on in it.
struct ReadOnly(Store);

impl Journal for ReadOnly {
    fn append<'a>(&'a self, _: &'a RunId, _: u64, _: Entry) -> BoxFuture<'a, Result<(), StoreError>> {
        async { Err(StoreError::unavailable("this run is only read")) }.boxed()
    }

    fn read<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Recorded, StoreError>> {
        self.0.read(run)
    }
}

impl Service {
    /// What came of the run of an agent, with its steps; nothing if it has not ended, or ended before it began.
    pub(crate) async fn agent_result(&self, row: &RunRow) -> Result<Option<RunResult>, Problem> {
        let Some(Offered::Agent(offered)) = self.offered(row.kind, &row.name) else {
            return Err(self.not_offered(row.kind, &row.name));
        };
        if !is_readable(row) {
            return Ok(None);
        }
        let request = offered.agent.resume(row.id.clone()).journal(self.read_only());
        match request.until(std::future::ready(StopReason::Cancelled)).await {
            Ok(result) => Ok(Some(result)),
            Err(RunError::Failed { result, .. }) => Ok(Some(*result)),
            Err(error) => Err(changed(&error)),
        }
    }

    /// What came of the run of a workflow, with its nodes; nothing if it has not ended, or ended before it began.
    pub(crate) async fn graph_result(&self, row: &RunRow) -> Result<Option<GraphResult>, Problem> {
        let Some(Offered::Workflow(offered)) = self.offered(row.kind, &row.name) else {
            return Err(self.not_offered(row.kind, &row.name));
        };
        if !is_readable(row) {
            return Ok(None);
        }
        let request = offered.graph.resume(row.id.clone()).journal(self.read_only());
        match request.until(std::future::ready(StopReason::Cancelled)).await {
            Ok(result) => Ok(Some(result)),
            Err(GraphRunError::Failed { result, .. }) => Ok(Some(*result)),
            Err(error) => Err(changed(&error)),
        }
    }

    fn read_only(&self) -> Arc<dyn Journal> {
        Arc::new(ReadOnly(self.store().clone()))
    }
}

/// The first record comes with the first event.
fn is_readable(row: &RunRow) -> bool {
    row.state == RunState::Ended && row.last_event > 0
}

fn changed(error: &dyn std::error::Error) -> Problem {
    let text = format!("the run cannot be read with what is on offer under its name now: {error}");
    Problem::new(ProblemKind::Conflict, text)
}
