//! What a tool may know of the call that it serves.

use std::sync::Arc;

use martlet_core::{EffectId, RunId};

use crate::activity::{WaitingForPerson, WorkHandle};
use crate::files::Files;

/// What a tool may know of the call that it serves. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ToolContext {
    run_id: RunId,
    idempotency_key: Arc<str>,
    user: Option<Arc<str>>,
    root: Option<RunId>,
    work: Option<WorkHandle>,
    files: Files,
    shown_chars: Option<usize>,
}

impl ToolContext {
    /// The context of a call that belongs to `run_id`; drivers make one for each call.
    ///
    /// `idempotency_key` must stay the same when the call is repeated after a crash, and differ between calls.
    pub fn new(run_id: RunId, idempotency_key: impl Into<Arc<str>>) -> Self {
        Self {
            run_id,
            idempotency_key: idempotency_key.into(),
            user: None,
            root: None,
            work: None,
            files: Files::default(),
            shown_chars: None,
        }
    }

    /// The context of a call that is an effect of its own: the effect's id is the idempotency key.
    pub fn for_effect(effect: &EffectId) -> Self {
        Self::new(effect.run.clone(), effect.to_string())
    }

    /// A context to try a tool with, in tests and at a prompt: the run is called `trial`.
    pub fn trial() -> Self {
        // An id of fixed digits cannot be invalid, so that nothing here can fail.
        let run_id = RunId::new("trial").unwrap_or_else(|_| RunId::from_bits(0));
        Self::new(run_id, "trial/1/0")
    }

    /// Sets the user on whose behalf the run acts.
    pub fn with_user(mut self, user: impl Into<Arc<str>>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Sets the run at the top, of which the run that asks is a part.
    pub fn with_root(mut self, root: RunId) -> Self {
        self.root = Some(root);
        self
    }

    /// Sets what the call counts as while it goes on.
    pub fn with_work(mut self, work: WorkHandle) -> Self {
        self.work = Some(work);
        self
    }

    /// Sets the files that go with the run.
    pub fn with_files(mut self, files: Files) -> Self {
        self.files = files;
        self
    }

    /// Sets how many characters of the output the model is shown.
    pub fn with_shown_chars(mut self, chars: usize) -> Self {
        self.shown_chars = Some(chars);
        self
    }

    /// The files that go with the run: those of its task, and of what was said before.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// How many characters of the output the model is shown; what is longer loses its middle. `None` where the output goes
    /// to a program, which has all of it.
    pub fn shown_chars(&self) -> Option<usize> {
        self.shown_chars
    }

    /// The run at the top: the one that somebody asked for. The run itself unless it is a part of another.
    pub fn root(&self) -> &RunId {
        self.root.as_ref().unwrap_or(&self.run_id)
    }

    /// Says that the call does nothing but wait for a person, until the guard is dropped.
    ///
    /// A run that only waits for people may be given up, and with it this call; when it goes on, the call is made again
    /// with the same [`idempotency_key`](Self::idempotency_key). So note under this key what was asked before you wait,
    /// and give the answer at once if it is there. The tool has to be `read_only` or `idempotent`.
    pub fn waiting_for_person(&self) -> WaitingForPerson {
        self.work.as_ref().map_or_else(WaitingForPerson::uncounted, WorkHandle::waiting)
    }

    /// The run that asked.
    pub fn run_id(&self) -> &RunId {
        &self.run_id
    }

    /// The name of this call: it is the same when the call is repeated after a crash. Pass it on to services
    /// that recognise a repeated request by such a key, and set the `idempotent` flag of the tool.
    pub fn idempotency_key(&self) -> &str {
        &self.idempotency_key
    }

    /// The user on whose behalf the run acts, if the caller named one.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }
}
