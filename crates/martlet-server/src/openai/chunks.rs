//! Chat completions as they are written: whole, and in chunks.

use bytes::Bytes;
use martlet_core::Usage;
use serde_json::{Value, json};

use super::fault::Fault;
use super::models::{Wishes, now_s};

/// The end of a stream that says all that there was to say.
pub(super) const DONE: &[u8] = b"data: [DONE]\n\n";

/// Writes one completion.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    id: String,
    created: u64,
    model: String,
    wishes: Wishes,
    /// `<think>` was written, and `</think>` was not.
    is_thinking: bool,
}

impl Writer {
    pub(super) fn new(id: String, model: String, wishes: Wishes) -> Self {
        Self { id, created: now_s(), model, wishes, is_thinking: false }
    }

    /// A whole completion.
    pub(super) fn completion(self, thoughts: &str, content: &str, finish: &str, usage: Usage) -> Value {
        let thoughts = thoughts.trim();
        let mut message = json!({"role": "assistant", "content": content, "refusal": null});
        if !thoughts.is_empty() {
            if self.wishes.think_tags {
                message["content"] = format!("<think>\n{thoughts}\n</think>\n\n{content}").into();
            } else {
                message["reasoning_content"] = thoughts.into();
            }
        }
        let choice = json!({"index": 0, "message": message, "finish_reason": finish, "logprobs": null});
        json!({
            "id": self.id, "object": "chat.completion", "created": self.created, "model": self.model,
            "choices": [choice], "usage": usage_json(usage),
        })
    }

    /// The first chunk.
    pub(super) fn role(&self) -> Bytes {
        self.delta(&json!({"role": "assistant", "content": ""}), None)
    }

    pub(super) fn thought(&mut self, text: &str) -> Bytes {
        if !self.wishes.think_tags {
            return self.delta(&json!({"reasoning_content": text}), None);
        }
        // A thought must not end the thoughts.
        let text = text.replace("</think>", "< /think>");
        let begin = if std::mem::replace(&mut self.is_thinking, true) { "" } else { "<think>\n" };
        self.delta(&json!({"content": format!("{begin}{text}")}), None)
    }

    pub(super) fn content(&mut self, text: &str) -> Bytes {
        let end = if std::mem::take(&mut self.is_thinking) { "\n</think>\n\n" } else { "" };
        self.delta(&json!({"content": format!("{end}{text}")}), None)
    }

    pub(super) fn finish(&self, reason: &str) -> Bytes {
        self.delta(&json!({}), Some(reason))
    }

    pub(super) fn usage(&self, usage: Usage) -> Bytes {
        frame(&json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
            "choices": [], "usage": usage_json(usage),
        }))
    }

    fn delta(&self, delta: &Value, finish: Option<&str>) -> Bytes {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish, "logprobs": null});
        frame(&json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
            "choices": [choice],
        }))
    }
}

/// What a client takes for the failure of the whole, which a stream that just ends is not to it.
pub(super) fn failure(fault: &Fault) -> Bytes {
    format!("data: {}\n\n", fault.body().to_json()).into()
}

/// A line that programs skip.
pub(super) fn comment(text: &str) -> Bytes {
    format!(": {}\n\n", text.replace(['\r', '\n'], " ")).into()
}

fn frame(data: &Value) -> Bytes {
    format!("data: {data}\n\n").into()
}

fn usage_json(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total(),
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    })
}
