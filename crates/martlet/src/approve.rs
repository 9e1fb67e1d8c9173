//! Asking a person before a tool is called, and after a call of which nobody knows what came of it.

use futures::future::BoxFuture;
use martlet_core::{Decision, EffectId, RunId, ToolOutput};
use martlet_tools::{WaitingForPerson, Work};
use serde_json::{Map, Value};

/// Decides on calls of tools that need approval.
///
/// The future may take as long as it likes: the run waits for it without holding a thread. Calls of one run may
/// be decided on at the same time.
pub trait Approver: Send + Sync {
    /// Decides on a call.
    fn decide<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Decision>;

    /// Says what to do about a call during which the run was interrupted, of a tool that must not simply be called again.
    /// Unless this is overridden, nobody knows anything: the model is told so and goes on.
    fn doubt<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Doubt> {
        let _ = question;
        Box::pin(std::future::ready(Doubt::Unknown))
    }
}

/// A call that somebody is asked about.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Question<'a> {
    /// What is asked about: the place of the call in its run. It is the same when the run was interrupted and asks again.
    pub effect: &'a EffectId,
    /// The run at the top, of which the asking run is a part; often itself.
    pub root: &'a RunId,
    /// On whose behalf the run acts, if the caller said so.
    pub user: Option<&'a str>,
    /// The tool.
    pub tool: &'a str,
    /// Exactly what it would be called with.
    pub arguments: &'a Map<String, Value>,
    /// In [`Approver::doubt`]: how often this call was repeated already on somebody's word.
    pub repeated: u32,
    pub(crate) work: &'a Work,
}

impl Question<'_> {
    /// Says that nothing is done but wait for a person, until the guard is dropped.
    ///
    /// A run that only waits for people may be given up ([`RunRequest::park`](crate::RunRequest::park)), and with it this
    /// question; when the run goes on, the same is asked again. So note the question before you wait, and answer at once
    /// if the answer is there.
    pub fn waiting_for_person(&self) -> WaitingForPerson {
        self.work.handle().waiting()
    }
}

/// What is known of a call during which the run was interrupted.
#[derive(Debug, Clone, PartialEq)]
pub enum Doubt {
    /// Nothing. It is not repeated, and the model is told that its effect is not known.
    Unknown,
    /// It had no effect, or may have it again: it is repeated.
    Repeat,
    /// It was done, with this result.
    Done {
        /// The result.
        output: ToolOutput,
    },
}

/// Refuses every call that needs approval: what an agent does where nobody can be asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct DenyAll;

impl Approver for DenyAll {
    fn decide<'a>(&'a self, _: Question<'a>) -> BoxFuture<'a, Decision> {
        Box::pin(std::future::ready(Decision::Denied {
            reason: "it needs a person's approval, and nobody is there to give it".into(),
        }))
    }
}
