//! What the model is asked: the conversation, in a form that this model can use.

use std::sync::Arc;

use super::Run;
use crate::agent::Strategy;
use crate::message::{Message, Part, Source};
use crate::model::{ModelOptions, ModelRequest};
use crate::tool::READ_FILE;

/// A file of text of at most so many bytes is shown as it is, though there is a tool that could read it.
const SMALL_FILE: usize = 8_000;
/// Characters that are shown of a longer one.
const HEAD: usize = 500;

impl Run {
    pub(super) fn request(&self) -> ModelRequest {
        let agent = &self.agent;
        let mut options = self.options();
        if self.repeats {
            // The same question at temperature 0 gives the same wrong program again.
            options.temperature = Some(options.temperature.unwrap_or_default().max(0.7));
        }
        let mut request = ModelRequest {
            messages: self.shown_to_model(self.messages.clone()),
            options,
            ..ModelRequest::default()
        };
        if self.step.last_call {
            return request;
        }
        match agent.strategy {
            Strategy::Code => {
                request.prefill = self.prefill();
                if request.prefill.is_some() {
                    request.stop.push("```".into());
                }
                request.stop.push("\nObservation:".into());
            }
            Strategy::ToolCalling if agent.profile.native_tools => {
                request.tools = agent.offered_tools().clone()
            }
            Strategy::ToolCalling | Strategy::Reasoning => {}
        }
        request
    }

    pub(super) fn options(&self) -> ModelOptions {
        let mut options = self.agent.options.clone();
        if self.agent.profile.small && options.temperature.is_none() {
            options.temperature = Some(0.0);
        }
        options
    }

    /// The text with which we begin the model's turn: small models stay in the form when it is begun for them.
    pub(super) fn prefill(&self) -> Option<Arc<str>> {
        let profile = self.agent.profile;
        (self.agent.strategy == Strategy::Code && profile.small && profile.prefill)
            .then(|| "```python\n".into())
    }

    /// The messages as this model is shown them: in the place of an image that it could not see, and of a large file that
    /// it can read with a tool, it is told what is there.
    pub(super) fn shown_to_model(&self, mut messages: Vec<Message>) -> Vec<Message> {
        let reads_files = self.agent.tool(READ_FILE).is_some();
        let sees = self.agent.profile.vision;
        for message in &mut messages {
            for part in &mut message.parts {
                let told = match part {
                    Part::Image { media_type, source } if !sees => Some(unseen(media_type, source)),
                    Part::File { name, media_type, source: Source::Data { data } } if reads_files => {
                        told_of_file(name, media_type, &data.0)
                    }
                    _ => None,
                };
                if let Some(told) = told {
                    *part = Part::text(told);
                }
            }
        }
        messages
    }
}

fn unseen(media_type: &str, source: &Source) -> String {
    let size = match source {
        Source::Data { data } => format!(", {}", size(data.0.len())),
        _ => String::new(),
    };
    format!("[here is an image ({media_type}{size}), but you cannot see images: if it matters, say so]")
}

/// What is said of a file instead of showing it; `None` if it can be shown.
fn told_of_file(name: &str, media_type: &str, data: &[u8]) -> Option<String> {
    // A file that was cut in the middle of a character is none that we have; one in another encoding is for the tool.
    let text = std::str::from_utf8(data).ok().filter(|text| !text.contains('\0'));
    let what = format!("file {name} ({media_type}, {})", size(data.len()));
    match text {
        Some(_) if data.len() <= SMALL_FILE => None,
        Some(text) => {
            let head: String = text.chars().take(HEAD).collect();
            Some(format!("[{what}: read it with {READ_FILE}(name={name:?}). It begins:\n{head}…]"))
        }
        None => Some(format!("[{what}: read it with {READ_FILE}(name={name:?})]")),
    }
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1_024 => format!("{bytes} bytes"),
        1_024..1_048_576 => format!("{} KiB", bytes.div_ceil(1_024)),
        _ => format!("{} MiB", bytes.div_ceil(1_048_576)),
    }
}
