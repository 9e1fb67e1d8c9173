//! The desk: where the questions of runs lie until a person answers, also over a restart.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use martlet::tools::Asker;
use martlet::{Approver, Decision, Doubt, Question, ToolContext, ToolError};
use martlet_core::{EffectId, Principal, RunId, ToolOutput};
use martlet_store::{Answer, ApprovalId, ApprovalKind, Decided, NewApproval, Store, StoreError, ValueId};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use crate::clock;
use crate::service::Attendance;

/// The desk of a server. Questions are in the store before anybody waits for their answers. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Desk {
    store: Store,
    expiry: Duration,
    waiting: Arc<Mutex<HashMap<ApprovalId, watch::Sender<Option<Answer>>>>>,
    /// Whom the runs that are under way belong to.
    owners: Arc<Mutex<HashMap<RunId, (Principal, Attendance)>>>,
    /// Runs with a question that could not be stored.
    unasked: Arc<Mutex<HashSet<RunId>>>,
}

impl Desk {
    pub(crate) fn new(store: Store, expiry: Duration) -> Self {
        Self { store, expiry, waiting: Arc::default(), owners: Arc::default(), unasked: Arc::default() }
    }

    /// Says whose run it is, while it is under way, and whether somebody is there to answer.
    pub(crate) fn opened(&self, root: &RunId, owner: &Principal, attendance: Attendance) {
        lock(&self.owners).insert(root.clone(), (owner.clone(), attendance));
    }

    pub(crate) fn closed(&self, root: &RunId) {
        lock(&self.owners).remove(root);
    }

    /// Whether a question of the run could not be stored since this was last asked: then nobody can answer it.
    pub(crate) fn take_unasked(&self, root: &RunId) -> bool {
        lock(&self.unasked).remove(root)
    }

    /// Takes an answer, once. Whoever waits for it in this process is told.
    pub(crate) async fn answer(
        &self,
        id: &ApprovalId,
        digest: Option<ValueId>,
        answer: Answer,
        by: &Principal,
    ) -> Result<Decided, StoreError> {
        let decided = self.store.decide(id, digest, answer.clone(), by, clock::now_ms()).await?;
        if matches!(decided, Decided::Taken(_)) {
            self.tell(id, answer);
        }
        Ok(decided)
    }

    /// Tells whoever waits that the time for an answer is over.
    pub(crate) fn expired(&self, id: &ApprovalId) {
        self.tell(id, Answer::Deny { reason: EXPIRED.into() });
    }

    /// A question that could not be stored must neither be taken as answered nor be forgotten: the run is given up as if
    /// it waited, and asks again when it goes on.
    async fn stored_nothing<T>(&self, question: Question<'_>, error: &StoreError) -> T {
        tracing::error!(run = %question.root, %error, "a question could not be stored");
        lock(&self.unasked).insert(question.root.clone());
        let _waiting = question.waiting_for_person();
        std::future::pending().await
    }

    fn tell(&self, id: &ApprovalId, answer: Answer) {
        if let Some(waiting) = lock(&self.waiting).get(id) {
            waiting.send_replace(Some(answer));
        }
    }

    /// Notes a question and waits for its answer. `waiting` is called once the question is stored.
    async fn ask<W>(&self, asked: Asked<'_>, waiting: impl FnOnce() -> W) -> Result<Answer, StoreError> {
        let known = lock(&self.owners).get(asked.root).cloned();
        // Only runs that this server drives ask here.
        let Some((owner, Attendance::Attended)) = known else {
            return Ok(Answer::Deny { reason: UNATTENDED.into() });
        };
        let Asked { id, root, effect, kind, tool, arguments } = asked;
        // First, so that an answer right after the question is stored is heard.
        let mut answers = Listening::start(self, &id);
        let asked_ms = clock::now_ms();
        let expires_ms = asked_ms.saturating_add(u64::try_from(self.expiry.as_millis()).unwrap_or(u64::MAX));
        let approval = NewApproval {
            id,
            root: root.clone(),
            effect: effect.clone(),
            owner,
            kind,
            tool: tool.to_owned(),
            arguments: arguments.clone(),
            digest: digest(effect, tool, arguments),
            asked_ms,
            expires_ms,
        };
        if let Some(answer) = self.store.ask(approval).await? {
            return Ok(answer);
        }
        let waiting = waiting();
        let answer = answers.heard().await;
        drop(waiting);
        Ok(answer)
    }
}

const EXPIRED: &str = "nobody decided in time";
const UNATTENDED: &str = "it needs a person, and nobody is there to answer";

struct Asked<'a> {
    id: ApprovalId,
    root: &'a RunId,
    effect: &'a EffectId,
    kind: ApprovalKind,
    tool: &'a str,
    arguments: &'a Map<String, Value>,
}

/// The name of the question what came of a call: it is another one each time that the call was made.
fn doubt_id(call: &str) -> ApprovalId {
    let digest = ValueId::of(call.as_bytes());
    let bits = digest.as_bytes().iter().take(16).fold(0, |bits: u128, byte| bits << 8 | u128::from(*byte));
    ApprovalId::from_bits(bits)
}

/// What a decision is bound to: the place of the call, the tool, and exactly its arguments.
pub(crate) fn digest(effect: &EffectId, tool: &str, arguments: &Map<String, Value>) -> ValueId {
    let text = json!([effect.to_string(), tool, arguments]).to_string();
    ValueId::of(text.as_bytes())
}

impl Approver for Desk {
    fn decide<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Decision> {
        Box::pin(async move {
            let asked = Asked {
                id: ApprovalId::of(question.effect),
                root: question.root,
                effect: question.effect,
                kind: ApprovalKind::Call,
                tool: question.tool,
                arguments: question.arguments,
            };
            match self.ask(asked, || question.waiting_for_person()).await {
                Ok(Answer::Approve { .. }) => Decision::Approved,
                Ok(Answer::Edit { arguments }) => Decision::Edited { arguments },
                Ok(Answer::Deny { reason }) => Decision::Denied { reason },
                // Not to be taken for a yes.
                Ok(_) => Decision::Denied { reason: "the answer was none to this question".into() },
                Err(error) => self.stored_nothing(question, &error).await,
            }
        })
    }

    fn doubt<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Doubt> {
        Box::pin(async move {
            let name = format!("{}#{}", question.effect, question.repeated);
            let asked = Asked {
                id: doubt_id(&name),
                root: question.root,
                effect: question.effect,
                kind: ApprovalKind::Doubt,
                tool: question.tool,
                arguments: question.arguments,
            };
            match self.ask(asked, || question.waiting_for_person()).await {
                Ok(Answer::Repeat) => Doubt::Repeat,
                Ok(Answer::Done { output }) => Doubt::Done { output: ToolOutput::from(output) },
                Ok(_) => Doubt::Unknown,
                Err(error) => self.stored_nothing(question, &error).await,
            }
        })
    }
}

impl Asker for Desk {
    fn ask<'a>(&'a self, question: &'a str, cx: &'a ToolContext) -> BoxFuture<'a, Result<String, ToolError>> {
        Box::pin(async move {
            let effect: EffectId = cx
                .idempotency_key()
                .parse()
                .map_err(|_| ToolError::new("the user cannot be asked from here"))?;
            let arguments = Map::from_iter([("question".to_owned(), Value::from(question))]);
            let asked = Asked {
                id: ApprovalId::of(&effect),
                root: cx.root(),
                effect: &effect,
                kind: ApprovalKind::Question,
                tool: "ask_user",
                arguments: &arguments,
            };
            match Desk::ask(self, asked, || cx.waiting_for_person()).await {
                Ok(Answer::Reply { text }) => Ok(text),
                Ok(Answer::Deny { reason }) => {
                    Err(ToolError::new(format!("the user did not answer: {reason}")))
                }
                Ok(_) => Err(ToolError::new("the user did not answer")),
                Err(error) => Err(ToolError::new(format!("the question could not be stored: {error}"))),
            }
        })
    }
}

/// Listens for the answer to one question.
struct Listening {
    desk: Desk,
    id: ApprovalId,
    answers: watch::Receiver<Option<Answer>>,
}

impl Listening {
    fn start(desk: &Desk, id: &ApprovalId) -> Self {
        let answers = lock(&desk.waiting).entry(id.clone()).or_default().subscribe();
        Self { desk: desk.clone(), id: id.clone(), answers }
    }

    async fn heard(&mut self) -> Answer {
        match self.answers.wait_for(Option::is_some).await.map(|answer| answer.clone()) {
            Ok(Some(answer)) => answer,
            // The sender stays for as long as somebody listens.
            _ => std::future::pending().await,
        }
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut waiting = lock(&self.desk.waiting);
        if waiting.get(&self.id).is_some_and(|sender| sender.receiver_count() <= 1) {
            waiting.remove(&self.id);
        }
    }
}

/// Nothing can be left in between two states, so that a panic of another thread does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
