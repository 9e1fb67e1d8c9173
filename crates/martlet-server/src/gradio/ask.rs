//! What is asked: the values of a call.

use martlet_core::{Message, Principal};
use serde_json::Value;

use super::describe::Endpoint;
use crate::adapter::attach::{MAX_FILES, said_before, uploaded};
use crate::adapter::{WEB_TOOLS, session};
use crate::problem::Problem;
use crate::router::Api;
use crate::service::{NewTask, bad_request};

/// The task that the values `[message, history, web_search]` ask for. The conversation of `visitor`, a client's name for
/// itself, is remembered unless the client sends one along.
pub(super) async fn task(
    api: &Api,
    owner: &Principal,
    endpoint: &Endpoint,
    values: &[Value],
    visitor: Option<&str>,
) -> Result<NewTask, Problem> {
    let (history, web_search) = match values {
        [] => return Err(bad_request("data", "the first value is the message: send `[message]`")),
        // A chat interface with a switch for the web, and no history.
        [_, switch @ Value::Bool(_)] => (&Value::Null, switch),
        [_] => (&Value::Null, &Value::Null),
        [_, history] => (history, &Value::Null),
        [_, history, web_search] => (history, web_search),
        _ => return Err(bad_request("data", "send at most three values: `[message, history, web_search]`")),
    };
    let message = values.first().unwrap_or(&Value::Null);
    let text = text_of(message)
        .ok_or_else(|| bad_request("data[0]", "the message is a text, or `{\"text\": …, \"files\": […]}`"))?;
    let mut task = NewTask::words(text);
    task.agent = Some(endpoint.agent.clone());
    task.history = self::history(history)?;
    for file in files_of(message)? {
        task.files.push(uploaded(api, owner, "data[0].files", file).await?);
    }
    match web_search {
        Value::Null | Value::Bool(true) => {}
        Value::Bool(false) => task.without_tools = WEB_TOOLS.map(str::to_owned).to_vec(),
        _ => return Err(bad_request("data[2]", "whether to search the web is `true` or `false`")),
    }
    if endpoint.remembers
        && task.history.is_empty()
        && let Some(visitor) = visitor
    {
        let name = format!("gradio {visitor} {}", endpoint.agent);
        task.session = Some(session(api, owner, Some(&endpoint.agent), &name).await?);
    }
    Ok(task)
}

fn text_of(message: &Value) -> Option<&str> {
    match message {
        Value::String(text) => Some(text),
        Value::Object(message) => message.get("text")?.as_str(),
        _ => None,
    }
}

/// The names of the files of a message, as an upload gave them.
fn files_of(message: &Value) -> Result<Vec<&str>, Problem> {
    let files = match message.get("files") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(files)) => files,
        Some(_) => return Err(bad_request("data[0].files", "the files are a list")),
    };
    if files.len() > MAX_FILES {
        return Err(bad_request(
            "data[0].files",
            format!("at most {MAX_FILES} files can come with a message"),
        ));
    }
    let names = files.iter().map(|file| {
        // Where else the file may be, which a client says in `url`, is nothing that is looked at.
        let name = file.as_str().or_else(|| file.get("path")?.as_str());
        name.ok_or_else(|| bad_request("data[0].files", "a file is the path that an upload gave"))
    });
    names.collect()
}

/// A history: messages with `role` and `content`, or pairs of what the user and what the agent said.
fn history(given: &Value) -> Result<Vec<Message>, Problem> {
    let turns = match given {
        Value::Null => return Ok(Vec::new()),
        Value::Array(turns) => turns,
        _ => return Err(bad_request("data[1]", "the history is a list")),
    };
    let mut messages = Vec::new();
    for turn in turns {
        match turn {
            Value::Object(message) => {
                let role = message.get("role").and_then(Value::as_str);
                let role = role.ok_or_else(|| bad_request("data[1]", "a message has a `role`"))?;
                // What an agent did on the way has a title, and was not said.
                let is_aside = message.get("metadata").and_then(|metadata| metadata.get("title"));
                if is_aside.is_none_or(Value::is_null) {
                    messages.extend(said_before(role, &content(message.get("content"))));
                }
            }
            Value::Array(pair) if pair.len() == 2 => {
                messages.extend(said_before("user", &content(pair.first())));
                messages.extend(said_before("assistant", &content(pair.last())));
            }
            _ => {
                let text = "the history has messages with `role` and `content`, or pairs of texts";
                return Err(bad_request("data[1]", text));
            }
        }
    }
    Ok(messages)
}

/// The text of a content: a text, or a list with parts that have one.
fn content(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts = parts.iter().filter_map(|part| part.as_str().or_else(|| part.get("text")?.as_str()));
            texts.collect::<Vec<_>>().join("\n")
        }
        Some(Value::Object(part)) => part.get("text").and_then(Value::as_str).unwrap_or_default().into(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_history_is_read_in_both_of_gradios_forms() {
        let expected = vec![Message::user("hi"), Message::assistant("hello")];
        let messages = json!([
            { "role": "user", "content": "hi" },
            { "role": "assistant", "content": "looking", "metadata": { "title": "a tool" } },
            { "role": "assistant", "content": [{ "type": "text", "text": "hello" }], "metadata": null },
        ]);
        assert_eq!(history(&messages).unwrap(), expected);
        assert_eq!(history(&json!([["hi", "hello"]])).unwrap(), expected);
        assert_eq!(history(&json!([["hi", null], [["file.png"], "hello"]])).unwrap().len(), 3);
        assert_eq!(history(&json!([])).unwrap(), []);
        for odd in [json!("x"), json!(["x"]), json!([{ "content": "x" }]), json!([["x"]]), json!({})] {
            assert!(history(&odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_message_is_a_text_with_or_without_files() {
        assert_eq!(text_of(&json!("x")), Some("x"));
        assert_eq!(text_of(&json!({ "text": "x", "files": [] })), Some("x"));
        assert_eq!(text_of(&json!(1)), None);
        let files = json!({ "text": "", "files": ["a", { "path": "b", "url": "http://x" }] });
        assert_eq!(files_of(&files).unwrap(), ["a", "b"]);
        assert!(files_of(&json!({ "files": [{ "url": "http://x" }] })).is_err());
    }
}
