//! The beginning of a run that goes on with a conversation: what was said before is made to fit.

use serde::{Deserialize, Serialize};

use super::{Pending, Phase, Run};
use crate::effect::Timing;
use crate::event::EventKind;
use crate::memory::{cut_observations, estimate, fit, is_mark, is_summary, kept_from, question, replaced};
use crate::message::Message;
use crate::model::{ModelFailure, ModelReply, ModelRequest, Usage};

/// The most tokens of a summary: most of them are for what a reasoning model thinks before it writes.
const SUMMARY_TOKENS: u32 = 4_000;

/// The older turns are being put into a few words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Remembering {
    /// Messages of the older turns.
    older: usize,
    from_tokens: u64,
    observations: u32,
}

impl Run {
    /// Takes in what was said before, and begins the first step when that fits. `self.messages` are the system prompt and
    /// the task.
    pub(super) fn remember(&mut self, mut history: Vec<Message>, without_summary: bool) {
        let from_tokens = estimate(&history);
        let budget = match self.agent.limits.memory_tokens {
            Some(budget) if from_tokens > budget => budget,
            _ => {
                self.put_history(history);
                return self.begin_step();
            }
        };
        let observations = cut_observations(&mut history, budget);
        let older = match estimate(&history) <= budget {
            true => 0,
            false => kept_from(&history, budget),
        };
        let is_short_already = older == 1 && history.first().is_some_and(is_summary);
        if older == 0 || is_short_already || without_summary {
            let count = history.len();
            let history = match older {
                1.. if !is_short_already => replaced(history, older, None, budget),
                _ => fit(history, budget),
            };
            let marks = history.first().filter(|first| is_mark(first)).map_or(0, |_| 1);
            let messages = u32::try_from((count + marks).saturating_sub(history.len())).unwrap_or(u32::MAX);
            let to_tokens = estimate(&history);
            self.put_history(history);
            self.emit(EventKind::MemoryCondensed {
                from_tokens,
                to_tokens,
                observations,
                messages,
                summary: None,
                error: None,
                usage: Usage::default(),
                timing: Timing::default(),
            });
            return self.begin_step();
        }
        self.put_history(history);
        self.phase = Phase::Remembering(Remembering { older, from_tokens, observations });
        self.ask_for(Pending::Memory);
    }

    /// The question that puts the older turns into a few words.
    pub(super) fn memory_request(&self) -> ModelRequest {
        let Phase::Remembering(Remembering { older, .. }) = self.phase else {
            return ModelRequest::default();
        };
        let budget = self.agent.limits.memory_tokens.unwrap_or_default();
        let messages = question(self.messages.get(1..=older).unwrap_or_default(), budget);
        let mut options = self.options();
        options.max_tokens = Some(options.max_tokens.map_or(SUMMARY_TOKENS, |most| most.min(SUMMARY_TOKENS)));
        ModelRequest { messages, options, ..ModelRequest::default() }
    }

    /// Puts the summary in the place of the older turns. Without one they are left out: the run is about the task, and not
    /// about what was said before.
    pub(super) fn summary_replied(&mut self, result: Result<ModelReply, ModelFailure>, timing: Timing) {
        let Phase::Remembering(Remembering { older, from_tokens, observations }) = self.phase else { return };
        let (summary, error, usage) = match result {
            Ok(reply) => match reply.text.trim() {
                "" => (None, Some("the model wrote no summary".to_owned()), reply.usage),
                text => (Some(text.to_owned()), None, reply.usage),
            },
            Err(failure) => (None, Some(failure.message), Usage::default()),
        };
        self.usage += usage;
        let budget = self.agent.limits.memory_tokens.unwrap_or_default();
        let end = self.messages.len().saturating_sub(1).max(1);
        let history: Vec<Message> = self.messages.drain(1..end).collect();
        let history = replaced(history, older, summary.as_deref(), budget);
        let to_tokens = estimate(&history);
        self.put_history(history);
        self.condensed = true;
        self.emit(EventKind::MemoryCondensed {
            from_tokens,
            to_tokens,
            observations,
            messages: u32::try_from(older).unwrap_or(u32::MAX),
            summary,
            error,
            usage,
            timing,
        });
        self.begin_step();
    }

    /// Puts what was said before between the system prompt and the task.
    fn put_history(&mut self, history: Vec<Message>) {
        let place = self.messages.len().min(1);
        self.messages.splice(place..place, history);
    }
}
