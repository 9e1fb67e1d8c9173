//! One rule of a script.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::content_text;
use crate::reply::Reply;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rules: Vec<Rule>,
}

pub(super) fn parse(text: &str) -> Result<Vec<Rule>, serde_json::Error> {
    serde_json::from_str::<File>(text).map(|file| file.rules)
}

/// When a rule fits, and what it answers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    when: Option<String>,
    anywhere: Option<String>,
    model: Option<String>,
    turn: Option<Turns>,
    answer: Option<String>,
    file: Option<String>,
    text: Option<String>,
    code: Option<String>,
    #[serde(default)]
    calls: Vec<Call>,
    reasoning: Option<String>,
    usage: Option<(u64, u64)>,
    finish: Option<String>,
    status: Option<u16>,
    message: Option<String>,
    retry_after: Option<u64>,
    #[serde(default)]
    delay_ms: u64,
    piece_chars: Option<usize>,
    #[serde(default)]
    piece_ms: u64,
    pub(super) cut_after: Option<usize>,
    pub(super) hold: Option<usize>,
    pub(super) gate: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
enum Turns {
    One(usize),
    From(usize, usize),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    name: String,
    #[serde(default)]
    arguments: Map<String, Value>,
}

/// What a request says, as far as rules ask for it.
pub(super) struct Conversation {
    /// The last message of the user in which the `when` of a rule occurs, else the last one at all.
    pub(super) question: String,
    /// The replies of the assistant behind it.
    pub(super) turn: usize,
    model: String,
    texts: Vec<String>,
    writes_programs: bool,
}

impl Conversation {
    pub(super) fn new(body: &Value, rules: &[Rule]) -> Self {
        let messages = body.get("messages").and_then(Value::as_array).cloned().unwrap_or_default();
        let role =
            |message: &Value| message.get("role").and_then(Value::as_str).unwrap_or_default().to_owned();
        let said: Vec<(String, String)> =
            messages.iter().map(|message| (role(message), content_text(message))).collect();
        let is_question = |text: &str| !text.starts_with("Observation:");
        let asked = |known: bool| {
            said.iter().rposition(|(role, text)| {
                let meant =
                    || rules.iter().filter_map(|rule| rule.when.as_ref()).any(|when| text.contains(when));
                role == "user" && is_question(text) && (!known || meant())
            })
        };
        let place = asked(true).or_else(|| asked(false)).unwrap_or_default();
        let behind = said.get(place..).unwrap_or_default();
        let tools = body.get("tools").and_then(Value::as_array).is_some_and(|tools| !tools.is_empty());
        let system = said.iter().any(|(role, text)| role == "system" && text.contains("final_answer("));
        Self {
            question: behind.first().map(|(_, text)| text.clone()).unwrap_or_default(),
            turn: behind.iter().filter(|(role, _)| role == "assistant").count(),
            model: body.get("model").and_then(Value::as_str).unwrap_or_default().to_owned(),
            writes_programs: system && !tools,
            texts: said.into_iter().map(|(_, text)| text).collect(),
        }
    }

    /// The gate that the question names, else the one that the rule names, at this turn.
    pub(super) fn gate(&self, own: Option<&str>) -> Option<String> {
        let named = self.question.split_once("gate:").map(|(_, rest)| {
            rest.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect::<String>()
        });
        let name = named.or_else(|| own.map(str::to_owned)).filter(|name| !name.is_empty())?;
        Some(if self.turn == 0 { name } else { format!("{name}-{}", self.turn) })
    }

    fn filled(&self, text: &str) -> String {
        let last = self.texts.last().map(String::as_str).unwrap_or_default();
        // What is put in is not looked at again: the two long ones come last, and each only where the script has it.
        let text = text.replace("$turn", &self.turn.to_string());
        match text.contains("$last") {
            true => text.replace("$last", last),
            false => text.replace("$question", &self.question),
        }
    }
}

impl Rule {
    /// Takes in the file that it names.
    pub(super) fn load<E>(&mut self, read: impl Fn(&str) -> Result<String, E>) -> Result<(), E> {
        if let Some(file) = &self.file {
            self.answer = Some(read(file)?);
        }
        Ok(())
    }

    pub(super) fn fits(&self, conversation: &Conversation) -> bool {
        let has = |wanted: &Option<String>, test: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(test);
        has(&self.when, &|when| conversation.question.contains(when))
            && has(&self.anywhere, &|text| conversation.texts.iter().any(|said| said.contains(text)))
            && has(&self.model, &|model| conversation.model == model)
            && self.turn.is_none_or(|turns| match turns {
                Turns::One(turn) => conversation.turn == turn,
                Turns::From(first, last) => (first..=last).contains(&conversation.turn),
            })
    }

    /// The answer, without what happens in the middle of a stream.
    pub(super) fn reply(&self, conversation: &Conversation) -> Reply {
        let delay = Duration::from_millis(self.delay_ms);
        if let Some(status) = self.status {
            let message = self.message.as_deref().unwrap_or("asked to fail");
            let reply = Reply::status(status, conversation.filled(message)).delay(delay);
            return match self.retry_after {
                Some(seconds) => reply.retry_after(seconds),
                None => reply,
            };
        }
        let mut text = self.text.as_deref().map(|text| conversation.filled(text)).unwrap_or_default();
        let mut program = self.code.as_deref().map(|code| conversation.filled(code));
        if let Some(answer) = &self.answer {
            let answer = conversation.filled(answer);
            if conversation.writes_programs {
                // JSON's strings are strings of Python as well.
                program = Some(format!("final_answer({})", Value::from(answer)));
            } else {
                text.push_str(&answer);
            }
        }
        if let Some(program) = program {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&format!("```python\n{program}\n```"));
        }
        let calls = self.calls.iter().map(|call| {
            let arguments = Value::Object(call.arguments.clone());
            (call.name.clone(), mapped(arguments, &|text| conversation.filled(text)))
        });
        let mut reply = Reply::text(text)
            .calls(calls)
            .reasoning(self.reasoning.as_deref().map(|text| conversation.filled(text)).unwrap_or_default())
            .delay(delay)
            .pieces(self.piece_chars.unwrap_or(4), Duration::from_millis(self.piece_ms));
        if let Some((input, output)) = self.usage {
            reply = reply.usage(input, output);
        }
        if let Some(finish) = &self.finish {
            reply = reply.finish(finish.clone());
        }
        reply
    }
}

/// A value with all its texts replaced.
fn mapped(value: Value, change: &impl Fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(change(&text)),
        Value::Array(items) => items.into_iter().map(|item| mapped(item, change)).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(name, member)| (name, mapped(member, change))).collect()
        }
        other => other,
    }
}
