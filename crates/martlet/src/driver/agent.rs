//! Performing the effects of an agent's runs.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use futures::future::BoxFuture;
use martlet_core::code::{CodeOutcome, CodeRequest};
use martlet_core::message::Source;
use martlet_core::tool::READ_FILE;
use martlet_core::{
    AgentSpec, Effect, EffectId, HostFailure, ModelReply, ModelRequest, Outcome, Part, Run, RunId, Strategy,
    Task, ToolFailure, ToolFailureKind,
};
use martlet_model::{DeltaSink, Model as _, ModelError};
use martlet_tools::{Files, ReadFile, Tool as _, Toolbox, Work};
use serde_json::Value;
use tokio::time::Instant;

use super::host::{Host, RunTerms, Terms, unknown};
use super::scope::Scope;
use super::{child, effect};
use crate::agent::Parts;
use crate::observe::{Feed, ModelCall, ModelTap, Update};
use crate::record::JournalRecord;

impl Host for Parts {
    type Machine = Run;
    type Task = Task;

    fn terms(&self) -> Terms<'_> {
        Terms {
            approver: self.approver.as_ref(),
            journal: self.journal.as_ref(),
            max_tokens: self.spec.limits.max_tokens,
            max_depth: self.max_depth,
        }
    }

    fn first_record<'a>(&'a self, task: &'a Task) -> JournalRecord<'a> {
        JournalRecord::Started { agent: Cow::Borrowed(&**self.spec), task: Cow::Borrowed(task) }
    }

    fn start(&self, id: RunId, task: Task) -> Run {
        Run::start(id, self.spec.clone(), task)
    }

    fn restart(&self, id: RunId, first: JournalRecord<'static>) -> Result<Run, String> {
        let (agent, task) = match first {
            JournalRecord::Started { agent, task } => (agent, task),
            JournalRecord::GraphStarted { .. } => {
                return Err("it is the run of a graph: resume it with that graph".into());
            }
            _ => return Err("its journal does not begin with its start".into()),
        };
        // The run goes on as the agent that it began as, or its settled effects would not fit.
        let spec = if *agent == **self.spec {
            self.spec.clone()
        } else {
            Arc::new(AgentSpec::new(agent.into_owned()).map_err(|error| error.to_string())?)
        };
        Ok(Run::start(id, spec, task.into_owned()))
    }

    fn terms_of(&self, run: &Run) -> RunTerms {
        let agent = run.agent();
        RunTerms {
            without_tools: run.without_tools().clone(),
            tools: (!Arc::ptr_eq(agent, &self.spec)).then(|| agent.offered_tools().clone()),
            files: Files::of(run.messages().iter().flat_map(|message| &message.parts)),
            shown_chars: (agent.strategy != Strategy::Code).then_some(agent.limits.observation_chars),
        }
    }

    fn doubt(&self, machine: &Run, _: &EffectId, tool: &str) -> Option<ToolFailure> {
        let flags = machine.agent().tool(tool).map(|spec| spec.flags).unwrap_or_default();
        (!flags.read_only && !flags.idempotent).then(|| {
            ToolFailure::new(
                ToolFailureKind::Failed,
                format!(
                    "the run was interrupted during this call of `{tool}`: it is not known whether it took effect. \
                     Find that out before you repeat it."
                ),
            )
        })
    }

    fn perform<'a>(
        &'a self,
        scope: &'a Scope,
        work: &'a Work,
        id: &'a EffectId,
        effect: Effect,
        limit: Option<Duration>,
    ) -> BoxFuture<'a, Result<Outcome, HostFailure>> {
        match effect {
            Effect::Model { request } => Box::pin(model(self, scope, id.step, request)),
            Effect::Tool { name, arguments } => {
                effect::tool(self.toolbox(&name), scope, work, id, name, arguments)
            }
            Effect::Approve { name, arguments } => effect::approve(scope, work, id, name, arguments),
            Effect::Code { request } => Box::pin(code(self, scope, id.step, request)),
            Effect::Check { answer } => Box::pin(check(self, answer)),
            Effect::Child { name, input } => {
                child::perform(self.children.get(&name), scope, work, id, name, input, limit)
            }
            other => Box::pin(std::future::ready(Err(unknown(&other)))),
        }
    }
}

/// The tools that runs have without their agents having them.
static OF_RUNS: LazyLock<Toolbox> = LazyLock::new(|| {
    let mut tools = Toolbox::new();
    // Its name and its schema are right, which the tests see.
    let _ = tools.add(ReadFile::new());
    tools
});

impl Parts {
    /// Where the tool of that name is.
    fn toolbox(&self, name: &str) -> &Toolbox {
        if self.tools.get(name).is_none() && OF_RUNS.get(name).is_some() { &OF_RUNS } else { &self.tools }
    }
}

/// Gives a task that comes with files, or goes on with a conversation that had some, the tool that reads them.
pub(crate) fn with_file_tool(agent: &AgentSpec, task: &mut Task) {
    let said = task.history.iter().flat_map(|message| &message.parts);
    let has_files = task
        .parts
        .iter()
        .chain(said)
        .any(|part| matches!(part, Part::File { source: Source::Data { .. }, .. }));
    if has_files && agent.tool(READ_FILE).is_none() {
        task.tools =
            task.tools.iter().cloned().chain(OF_RUNS.iter().map(|tool| tool.spec().clone())).collect();
    }
}

async fn model(
    parts: &Parts,
    scope: &Scope,
    step: u32,
    request: ModelRequest,
) -> Result<Outcome, HostFailure> {
    if let Some(budget) = scope.budget()
        && let Err(failure) = budget.check()
    {
        return Ok(Outcome::Model { result: Err(failure) });
    }
    // Before the first step, the model writes for the memory and not for those who watch.
    let deltas = scope.feed().filter(|_| step > 0).map(|feed| feed.deltas(step));
    let reply = match scope.model_tap() {
        None => parts.model.generate(request, deltas.as_ref()).await,
        Some(tap) => tapped(parts, tap, request, deltas).await,
    };
    if let Ok(reply) = &reply {
        scope.count(reply.usage);
    }
    Ok(Outcome::Model { result: reply.map_err(|error| error.to_failure()) })
}

/// Asks the model, and tells `tap` how that went.
async fn tapped(
    parts: &Parts,
    tap: &ModelTap,
    request: ModelRequest,
    deltas: Option<DeltaSink>,
) -> Result<ModelReply, ModelError> {
    let start = Instant::now();
    let first = Arc::new(OnceLock::new());
    let deltas = deltas.map(|sink| {
        let first = first.clone();
        DeltaSink::new(move |delta| {
            first.get_or_init(|| start.elapsed());
            sink.send(delta);
        })
    });
    let reply = parts.model.generate(request, deltas.as_ref()).await;
    tap(&ModelCall {
        model: parts.model.name(),
        result: reply.as_ref(),
        first_piece: first.get().copied(),
        elapsed: start.elapsed(),
    });
    reply
}

async fn code(parts: &Parts, scope: &Scope, step: u32, request: CodeRequest) -> Result<Outcome, HostFailure> {
    let Some(python) = &parts.python else {
        let message = "this agent has no sandbox for Python".to_owned();
        return Ok(Outcome::Code { result: Err(HostFailure { message }) });
    };
    let held = scope.take_session();
    if held.is_none() && matches!(request, CodeRequest::Resume { .. }) {
        // The session of a waiting program ends with the driving of its run.
        let reason = "the run was left while the program waited".to_owned();
        return Ok(Outcome::Code { result: Ok(CodeOutcome::Lost { reason, left: true }) });
    }
    let mut session = held.unwrap_or_else(|| {
        let mut options = python.options.clone();
        if let Some(tools) = &scope.run().tools {
            options.tools = tools.clone();
        }
        python.sandbox.open(options)
    });
    let result: Result<CodeOutcome, _> = match scope.feed() {
        None => session.perform(request, None).await,
        Some(feed) => {
            let print = |text: &str| printed(feed, step, text);
            session.perform(request, Some(&print)).await
        }
    };
    scope.keep_session(session);
    Ok(Outcome::Code { result: result.map_err(|error| HostFailure { message: error.to_string() }) })
}

fn printed(feed: &Feed, step: u32, text: &str) {
    feed.stream(Update::Printed { step, text: text.to_owned() });
}

async fn check(parts: &Parts, answer: Value) -> Result<Outcome, HostFailure> {
    for check in &parts.checks {
        if let Err(problem) = check(answer.clone()).await {
            return Ok(Outcome::Check { problem: Some(problem) });
        }
    }
    Ok(Outcome::Check { problem: None })
}
