//! What the fake server answers, as a file says.

mod rule;

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use self::rule::{Conversation, Rule};
use crate::captured::CapturedRequest;
use crate::gate::{Gates, Moment};
use crate::reply::{Body, Reply, Step};

/// How a script is written, for the help of programs.
pub const SCRIPT_FORM: &str = "\
A script is JSON: {\"rules\": [RULE, …]}. The first rule that fits a request answers it. Only the last message of the
user in which a rule's `when` occurs counts as the question, so that the same rules serve conversations of many questions.
Observations of agents are no questions.

When a rule fits (without any of these it always does):
  \"when\": TEXT          the question has this text, capital and small letters as they are
  \"anywhere\": TEXT      any message has this text, the system's included
  \"model\": NAME         the request is for this model
  \"turn\": N or [N, M]   so many replies of the assistant stand behind the question (M included)

What it answers:
  \"answer\": TEXT        a final answer in the form in which the agent gives one: as a program that calls `final_answer`
                        if the system prompt asks for programs, else as text
  \"text\": TEXT          text
  \"file\": PATH          the text of this file, relative to the script, as the answer
  \"code\": TEXT          a Python block, behind the text
  \"calls\": [{\"name\": NAME, \"arguments\": {…}}, …]   tool calls
  \"reasoning\": TEXT     what a reasoning model shows of its thoughts
  \"usage\": [IN, OUT]    tokens (default: 10 and 5)
  \"finish\": REASON      the finish reason
  \"status\": N           an error with this status; `message` says what, `retry_after` when to try again

In texts, `$turn` is the number of replies behind the question, `$question` the question, `$last` the last message.

How it does it:
  \"delay_ms\": N         waits before it answers
  \"piece_chars\": N      characters of a piece of a stream (default: 4)
  \"piece_ms\": N         waits before each piece
  \"cut_after\": N        closes the connection after N pieces, in the middle of the message
  \"hold\": N             waits at a gate after N pieces, if the question names one with `gate:NAME`, or the rule with
                        `gate`; N is 0 for an answer that is not streamed. At turn 0 the gate is NAME, at turn 1 it is
                        NAME-1, and so on.

Gates are for whoever tests:
  POST /gates/NAME        opens it for good
  GET /gates/NAME         answers when somebody waits there, or has passed
  GET /gates/NAME/left    answers when the client of somebody who waited there has gone away";

/// Answers requests by rules. [`SCRIPT_FORM`] says how they are written.
#[derive(Debug)]
pub struct Script {
    rules: Vec<Rule>,
    gates: Gates,
}

/// Why a script cannot be used.
#[derive(Debug)]
pub struct ScriptError {
    path: PathBuf,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot use the script {}: {}", self.path.display(), self.source)
    }
}

impl std::error::Error for ScriptError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

impl Script {
    /// Reads a script, and the files that it names.
    ///
    /// # Errors
    /// If a file cannot be read, or the script is not as [`SCRIPT_FORM`] says.
    pub fn read(path: &Path) -> Result<Self, ScriptError> {
        let failed = |path: &Path, source| ScriptError { path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(|error| failed(path, error.into()))?;
        let mut rules = rule::parse(&text).map_err(|error| failed(path, error.into()))?;
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        for rule in &mut rules {
            rule.load(|file| {
                let file = folder.join(file);
                std::fs::read_to_string(&file).map_err(|error| failed(&file, error.into()))
            })?;
        }
        Ok(Self { rules, gates: Gates::default() })
    }

    /// Makes a script from its text. It can name no files.
    ///
    /// # Errors
    /// If it is not as [`SCRIPT_FORM`] says.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let mut rules = rule::parse(text)?;
        for rule in &mut rules {
            rule.load(|_| Err(serde::de::Error::custom("a script without a place has no files")))?;
        }
        Ok(Self { rules, gates: Gates::default() })
    }

    /// The answer to a request, also to one that opens a gate.
    pub fn reply(&self, request: &CapturedRequest) -> Reply {
        if let Some(path) = request.path.strip_prefix("/gates/") {
            return self.gate_reply(&request.method, path);
        }
        let body = request.json();
        let conversation = Conversation::new(&body, &self.rules);
        match self.rules.iter().find(|rule| rule.fits(&conversation)) {
            Some(rule) => self.made(rule, &conversation, request.wants_stream()),
            None => Reply::status(
                500,
                format!(
                    "no rule of the script fits `{}` at turn {}",
                    conversation.question, conversation.turn
                ),
            ),
        }
    }

    fn gate_reply(&self, method: &str, path: &str) -> Reply {
        let (name, moment) = match path.strip_suffix("/left") {
            Some(name) => (name, Moment::Left),
            None => (path, Moment::Reached),
        };
        let gate = self.gates.named(name);
        let reply = Reply::json(json!({"gate": name}));
        match method {
            "POST" => {
                gate.open();
                reply
            }
            _ => reply.until(gate, moment),
        }
    }

    fn made(&self, rule: &Rule, conversation: &Conversation, stream: bool) -> Reply {
        let reply = rule.reply(conversation);
        let gate = rule.hold.and_then(|pieces| {
            let name = conversation.gate(rule.gate.as_deref())?;
            Some((pieces, self.gates.named(&name)))
        });
        let Body::Completion(completion) = &reply.body else {
            return match gate {
                Some((_, gate)) => reply.until(gate, Moment::Open),
                None => reply,
            };
        };
        if !stream {
            let reply = match rule.cut_after {
                // The start of an answer that says to be longer.
                Some(_) => Reply::raw("HTTP/1.1 200 Fake\r\ncontent-length: 1000\r\n\r\n{\"choices\":")
                    .delay(reply.delay),
                None => reply,
            };
            return match gate {
                Some((_, gate)) => reply.until(gate, Moment::Open),
                None => reply,
            };
        }
        let mut steps = Vec::new();
        // The first event has no text.
        for (pieces, event) in completion.to_events().into_iter().enumerate() {
            if let Some((at, gate)) = &gate
                && pieces == at + 1
            {
                steps.push(Step::Until(gate.clone()));
            }
            if rule.cut_after.is_some_and(|at| pieces == at + 1) {
                steps.push(Step::Cut);
            }
            if !completion.piece_delay.is_zero() {
                steps.push(Step::Pause(completion.piece_delay));
            }
            steps.push(Step::Bytes(event));
        }
        Reply { body: Body::Pieces { content_type: "text/event-stream".into(), steps }, ..reply }
    }
}

/// A text that is part of a message's content, whichever form that has.
fn content_text(message: &Value) -> String {
    match message.get("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts = parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str));
            texts.collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}
