//! A conversation: runs that follow each other and share memory.

use std::sync::Arc;

use martlet_core::{Blob, Message, RunResult, Task};

use crate::agent::Agent;
use crate::error::RunError;
use crate::request::RunRequest;

/// A conversation with an agent: each run remembers what was said before, and a code agent also its Python names.
///
/// The memory is here and not in the agent, so one agent serves any number of sessions.
#[derive(Debug, Clone)]
pub struct Session {
    agent: Agent,
    history: Vec<Message>,
    python: Option<Blob>,
}

impl Session {
    /// A new conversation.
    pub fn new(agent: Agent) -> Self {
        Self { agent, history: Vec::new(), python: None }
    }

    /// Does the next task and remembers it.
    ///
    /// # Errors
    /// As awaiting a [`RunRequest`]; a run that failed is not remembered.
    pub async fn run(&mut self, task: impl Into<Arc<str>>) -> Result<RunResult, RunError> {
        let result = self.request(task).await?;
        self.remember(&result);
        Ok(result)
    }

    /// Prepares the next run, to be watched. Pass its result to [`remember`](Self::remember).
    pub fn request(&self, task: impl Into<Arc<str>>) -> RunRequest {
        let task = Task { history: self.history.clone(), python: self.python.clone(), ..Task::new(task) };
        self.agent.run_task(task)
    }

    /// Takes what a finished run said and defined into the memory.
    pub fn remember(&mut self, result: &RunResult) {
        self.history.clone_from(&result.conversation);
        if result.python.is_some() {
            self.python.clone_from(&result.python);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.history.clear();
        self.python = None;
    }

    /// What was said so far.
    pub fn history(&self) -> &[Message] {
        &self.history
    }
}
