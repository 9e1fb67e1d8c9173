//! A request as the text that the model continues, in ChatML.

use martlet_core::message::{Message, Part, Role, Source};
use martlet_core::model::{ResponseFormat, ToolChoice};
use martlet_core::{ModelFailureKind, ModelRequest};
use serde_json::json;

use super::vocabulary::Vocabulary;
use crate::error::ModelError;

/// Refuses what the embedded model cannot do.
pub(super) fn check(request: &ModelRequest) -> Result<(), ModelError> {
    let refused = |message: &str| Err(ModelError::new(ModelFailureKind::Request, message));
    if !request.tools.is_empty() && request.tool_choice != ToolChoice::None {
        return refused(
            "the embedded model does not make structured tool calls; use a code agent, or choose a model that calls \
             tools",
        );
    }
    if let Some(ResponseFormat::JsonSchema { strict: true, .. }) = request.response_format {
        return refused(
            "the embedded model cannot enforce a schema; ask for `strict: false` and check the reply, or choose a \
             model that enforces it",
        );
    }
    let parts = request.messages.iter().flat_map(|message| &message.parts);
    if parts.into_iter().any(|part| matches!(part, Part::Image { .. })) {
        return refused("the embedded model reads text only; choose a model that sees images");
    }
    Ok(())
}

/// The tokens of `request`, up to where the model's turn goes on.
pub(super) fn render(request: &ModelRequest, vocabulary: &Vocabulary) -> Result<Vec<u32>, ModelError> {
    let mut tokens: Vec<u32> = vocabulary.first.into_iter().collect();
    for message in &request.messages {
        tokens.push(vocabulary.start_of_message);
        encode(&format!("{}\n{}", role(message), text(message)), vocabulary, &mut tokens)?;
        tokens.push(vocabulary.end_of_message);
        encode("\n", vocabulary, &mut tokens)?;
    }
    tokens.push(vocabulary.start_of_message);
    encode(
        &format!("assistant\n{}", request.prefill.as_deref().unwrap_or_default()),
        vocabulary,
        &mut tokens,
    )?;
    Ok(tokens)
}

fn encode(text: &str, vocabulary: &Vocabulary, tokens: &mut Vec<u32>) -> Result<(), ModelError> {
    vocabulary.encode(text, tokens).map_err(|error| {
        ModelError::new(ModelFailureKind::Local, "the embedded model could not read the conversation's text")
            .with_source(error)
    })
}

/// Results of tools come from the user's side: the models know no fourth role.
fn role(message: &Message) -> &'static str {
    match message.role {
        Role::System => "system",
        Role::User | Role::Tool => "user",
        Role::Assistant => "assistant",
    }
}

/// What a file says, if it is here and is text.
fn text_of(source: &Source) -> Option<&str> {
    match source {
        Source::Data { data } => std::str::from_utf8(&data.0).ok(),
        _ => None,
    }
}

/// Tool calls and results of an earlier, more capable model are written as Qwen's template writes them.
fn text(message: &Message) -> String {
    let mut text = String::new();
    for part in &message.parts {
        if !text.is_empty() {
            text.push('\n');
        }
        match part {
            Part::Text { text: piece } => text.push_str(piece),
            Part::File { name, media_type, source } => match text_of(source) {
                Some(contents) => {
                    let end = if contents.ends_with('\n') { "" } else { "\n" };
                    text.push_str(&format!("[file {name}]\n{contents}{end}[end of file {name}]"));
                }
                None => text.push_str(&format!("[file {name}, {media_type}]")),
            },
            _ => {}
        }
    }
    for call in &message.tool_calls {
        let call = json!({ "name": call.name, "arguments": call.arguments });
        text.push_str(&format!("\n<tool_call>\n{call}\n</tool_call>"));
    }
    if message.role == Role::Tool { format!("<tool_response>\n{text}\n</tool_response>") } else { text }
}
