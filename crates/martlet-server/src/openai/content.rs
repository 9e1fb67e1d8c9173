//! Messages as clients send them: texts, images, files; and what is made of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use martlet::{Message, Part, Role};
use martlet_core::Principal;
use martlet_store::{FileId, NewFile, ValueId};
use serde_json::Value;

use super::fault::Fault;
use crate::api::files::keep_as;
use crate::api::upload::{clean_name, media_type};
use crate::clock;
use crate::problem::Problem;
use crate::router::Api;

/// Files that can come with a run.
const MAX_FILES: usize = 10;

/// A message.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    pub(super) role: Role,
    pub(super) pieces: Vec<Piece>,
}

/// A piece of a message.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Piece {
    Text(String),
    /// An image or a file.
    File {
        name: Option<String>,
        media_type: String,
        data: Bytes,
    },
    /// A file that was uploaded before.
    Kept(FileId),
    /// An image somewhere else.
    Url(String),
}

impl Said {
    pub(super) fn text(&self) -> String {
        let texts = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect::<Vec<_>>().join("\n")
    }

    /// Reads a message of a chat; nothing for one that says nothing.
    pub(super) fn read(message: &Value, at: &str) -> Result<Option<Self>, Fault> {
        let param = |name: &str| format!("{at}.{name}");
        let Some(role) = message["role"].as_str() else {
            return Err(Fault::invalid(
                &param("role"),
                "missing_required_parameter",
                "a message needs a `role`",
            ));
        };
        let mut pieces = pieces(&message["content"], &param("content"))?;
        let role = match role {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" | "function" => {
                // The call that it belongs to was one of the client's tools, which are not known here.
                pieces.insert(0, Piece::Text("The result of a tool:".into()));
                Role::User
            }
            other => {
                let text = format!("`{}` is no role", other.chars().take(40).collect::<String>());
                return Err(Fault::invalid(&param("role"), "invalid_value", text));
            }
        };
        Ok((!pieces.is_empty()).then_some(Self { role, pieces }))
    }
}

/// Reads the content of a message: a text, or pieces.
pub(super) fn pieces(content: &Value, at: &str) -> Result<Vec<Piece>, Fault> {
    match content {
        Value::Null => Ok(Vec::new()),
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        Value::String(text) => Ok(vec![Piece::Text(text.clone())]),
        Value::Array(items) => {
            let read = |(place, item)| piece(item, &format!("{at}[{place}]"));
            items.iter().enumerate().map(read).collect()
        }
        _ => Err(Fault::invalid(at, "invalid_type", "the content of a message is a text or a list of parts")),
    }
}

fn piece(item: &Value, at: &str) -> Result<Piece, Fault> {
    let text = |name: &str| match item[name].as_str() {
        Some(text) => Ok(Piece::Text(text.to_owned())),
        None => {
            let param = format!("{at}.{name}");
            Err(Fault::invalid(&param, "missing_required_parameter", format!("this part needs a `{name}`")))
        }
    };
    match item["type"].as_str().unwrap_or_default() {
        "text" | "input_text" | "output_text" => text("text"),
        "refusal" => text("refusal"),
        "image_url" => {
            let url = item["image_url"]["url"].as_str().or_else(|| item["image_url"].as_str());
            image(url, &format!("{at}.image_url"))
        }
        "input_image" if item["file_id"].is_string() => kept(&item["file_id"], &format!("{at}.file_id")),
        "input_image" => image(item["image_url"].as_str(), &format!("{at}.image_url")),
        "file" => file(&item["file"], &format!("{at}.file")),
        "input_file" => file(item, at),
        other => {
            let kind: String = other.chars().take(40).collect();
            let text = format!("parts of the type `{kind}` are not read here: send text, images or files");
            Err(Fault::unsupported(&format!("{at}.type"), text))
        }
    }
}

fn image(url: Option<&str>, at: &str) -> Result<Piece, Fault> {
    let Some(url) = url else {
        return Err(Fault::invalid(at, "missing_required_parameter", "an image needs its `url`"));
    };
    if !url.starts_with("data:") {
        return Ok(Piece::Url(url.to_owned()));
    }
    let (claim, data) = data_url(url, at)?;
    checked(None, Some(claim), data, at)
}

fn file(file: &Value, at: &str) -> Result<Piece, Fault> {
    if file["file_id"].is_string() {
        return kept(&file["file_id"], &format!("{at}.file_id"));
    }
    let Some(text) = file["file_data"].as_str() else {
        let text = "send a file as `file_data` (a data: URL) or as the `file_id` of an upload to /api/v1/files; nothing \
                    is fetched from elsewhere";
        return Err(Fault::invalid(at, "invalid_value", text));
    };
    let at = format!("{at}.file_data");
    let name = file["filename"].as_str().map(str::to_owned);
    match text.starts_with("data:") {
        true => {
            let (claim, data) = data_url(text, &at)?;
            checked(name, Some(claim), data, &at)
        }
        false => checked(name, None, decoded(text, &at)?, &at),
    }
}

fn kept(id: &Value, at: &str) -> Result<Piece, Fault> {
    let id = id.as_str().and_then(|id| FileId::new(id).ok());
    let missing =
        || Fault::invalid(at, "not_found", "there is no such file: upload it to /api/v1/files first");
    id.map(Piece::Kept).ok_or_else(missing)
}

/// The media type and the bytes of a `data:` URL (RFC 2397).
fn data_url<'a>(url: &'a str, at: &str) -> Result<(&'a str, Bytes), Fault> {
    let bad = || Fault::invalid(at, "invalid_value", "use a data: URL in base64: `data:image/png;base64,…`");
    let (head, data) = url.strip_prefix("data:").and_then(|rest| rest.split_once(',')).ok_or_else(bad)?;
    let claim = head.strip_suffix(";base64").ok_or_else(bad)?;
    Ok((claim, decoded(data, at)?))
}

fn decoded(text: &str, at: &str) -> Result<Bytes, Fault> {
    let bad = |_| Fault::invalid(at, "invalid_value", "this is not base64");
    STANDARD.decode(text.trim()).map(Into::into).map_err(bad)
}

fn checked(name: Option<String>, claim: Option<&str>, data: Bytes, at: &str) -> Result<Piece, Fault> {
    let claim = claim.filter(|claim| !claim.is_empty());
    let media_type = media_type(claim, &data).map_err(|problem| Fault::from(problem).of(at))?;
    Ok(Piece::File { name: name.as_deref().map(clean_name), media_type, data })
}

/// What is asked, taken apart: the last message of the user is the task.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Conversation {
    pub(super) instructions: Option<String>,
    pub(super) history: Vec<Said>,
    pub(super) task: Said,
}

impl Conversation {
    pub(super) fn of(messages: Vec<Said>, at: &str) -> Result<Self, Fault> {
        let (system, mut said): (Vec<_>, Vec<_>) =
            messages.into_iter().partition(|message| message.role == Role::System);
        let Some(task) = said.pop().filter(|last| last.role == Role::User) else {
            let text = "the last message must be one of the user: it is what is to be done";
            return Err(Fault::invalid(at, "invalid_value", text));
        };
        let instructions = system.iter().map(Said::text).filter(|text| !text.trim().is_empty());
        let instructions: Vec<_> = instructions.collect();
        let instructions = (!instructions.is_empty()).then(|| instructions.join("\n\n"));
        Ok(Self { instructions, history: said, task })
    }
}

/// The words of a task, which may be an image alone.
pub(super) fn task_text(task: &Said) -> String {
    let text = task.text();
    let has_more = task.pieces.iter().any(|piece| !matches!(piece, Piece::Text(_)));
    if text.trim().is_empty() && has_more { "Look at what is attached.".into() } else { text }
}

/// Keeps the images and files of a message for the run that it begins.
///
/// The same file of the same owner is kept once: clients send again what they sent before.
pub(super) async fn keep(api: &Api, owner: &Principal, said: &Said, at: &str) -> Result<Vec<FileId>, Fault> {
    let mut ids = Vec::new();
    for piece in &said.pieces {
        let id = match piece {
            Piece::Text(_) => continue,
            Piece::Url(_) => return Err(elsewhere(at)),
            Piece::Kept(id) => id.clone(),
            Piece::File { name, media_type, data } => {
                keep_one(api, owner, name.as_deref(), media_type, data).await?
            }
        };
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    if ids.len() > MAX_FILES {
        let text = format!("at most {MAX_FILES} images and files can come with a task");
        return Err(Fault::invalid(at, "too_many_files", text));
    }
    Ok(ids)
}

async fn keep_one(
    api: &Api,
    owner: &Principal,
    name: Option<&str>,
    media_type: &str,
    data: &Bytes,
) -> Result<FileId, Fault> {
    let extension = media_type.rsplit_once('/').map_or("bin", |(_, extension)| extension);
    let name = name.map_or_else(|| format!("attachment.{extension}"), str::to_owned);
    let digest = ValueId::of(data);
    let place = format!("{}\0{}\0{name}\0{media_type}\0{digest}", owner.tenant, owner.user);
    let place = ValueId::of(place.as_bytes());
    let bits = place.as_bytes().iter().take(16).fold(0, |bits: u128, byte| bits << 8 | u128::from(*byte));
    let id = FileId::from_bits(bits);
    let failed = |error| Fault::from(api.failed(error));
    if api.store().of(owner).file(&id).await.map_err(failed)?.is_some() {
        return Ok(id);
    }
    let new = NewFile {
        id: id.clone(),
        owner: owner.clone(),
        name,
        media_type: media_type.to_owned(),
        created_ms: clock::now_ms(),
        data: data.clone(),
    };
    match keep_as(api, new).await {
        Ok(_) => Ok(id),
        // Another request of the same owner was quicker.
        Err(_) if api.store().of(owner).file(&id).await.map_err(failed)?.is_some() => Ok(id),
        Err(problem) => Err(problem.into()),
    }
}

/// Whether images elsewhere may be named: then it is the model's provider that fetches them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Elsewhere {
    Refused,
    Passed,
}

/// Messages as a model is given them.
pub(super) async fn messages(
    api: &Api,
    owner: &Principal,
    said: &[Said],
    elsewhere_is: Elsewhere,
) -> Result<Vec<Message>, Fault> {
    let kept =
        said.iter().flat_map(|one| &one.pieces).filter(|piece| matches!(piece, Piece::Kept(_))).count();
    if kept > MAX_FILES {
        let text = format!("at most {MAX_FILES} files that were uploaded before can be named in a request");
        return Err(Fault::invalid("messages", "too_many_files", text));
    }
    let mut messages = Vec::with_capacity(said.len());
    for (place, one) in said.iter().enumerate() {
        let mut parts = Vec::with_capacity(one.pieces.len());
        for piece in &one.pieces {
            parts.push(match piece {
                Piece::Text(text) => Part::text(text.as_str()),
                Piece::File { media_type, data, .. } if media_type.starts_with("image/") => {
                    Part::image(media_type.as_str(), data.clone())
                }
                Piece::File { name, media_type, data } => {
                    Part::file(name.as_deref().unwrap_or("file"), media_type.as_str(), data.clone())
                }
                Piece::Url(url) if elsewhere_is == Elsewhere::Passed && url.starts_with("https://") => {
                    Part::image_url("image/*", url.as_str())
                }
                Piece::Url(_) => return Err(elsewhere(&format!("messages[{place}]"))),
                Piece::Kept(id) => kept_part(api, owner, id).await?,
            });
        }
        messages.push(Message::new(one.role, parts));
    }
    Ok(messages)
}

async fn kept_part(api: &Api, owner: &Principal, id: &FileId) -> Result<Part, Fault> {
    let owned = api.store().of(owner);
    let failed = |error| Fault::from(api.failed(error));
    let (row, data) = (owned.file(id).await.map_err(failed)?, owned.file_data(id).await.map_err(failed)?);
    let (Some(row), Some(data)) = (row, data) else { return Err(Problem::not_found("file").into()) };
    Ok(match row.media_type.starts_with("image/") {
        true => Part::image(row.media_type, data),
        false => Part::file(row.name, row.media_type, data),
    })
}

fn elsewhere(at: &str) -> Fault {
    let text = "this server fetches no images from elsewhere: send the image itself, as a data: URL";
    Fault::invalid(at, "image_url_not_fetched", text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(message: Value) -> Result<Option<Said>, Fault> {
        Said::read(&message, "messages[0]")
    }

    #[test]
    fn contents_are_texts_or_parts() {
        let said = read(json!({"role": "user", "content": "hi"})).unwrap().unwrap();
        assert_eq!((said.role, said.text()), (Role::User, "hi".into()));
        let parts = json!([{"type": "text", "text": "a"}, {"type": "input_text", "text": "b"}]);
        assert_eq!(read(json!({"role": "developer", "content": parts})).unwrap().unwrap().text(), "a\nb");
        assert_eq!(read(json!({"role": "assistant", "content": null})).unwrap(), None);
    }

    #[test]
    fn an_image_is_what_its_data_url_holds() {
        let url = format!("data:image/png;base64,{}", STANDARD.encode(b"\x89PNG\r\n\x1a\n...."));
        let part = json!([{"type": "image_url", "image_url": {"url": url, "detail": "auto"}}]);
        let said = read(json!({"role": "user", "content": part})).unwrap().unwrap();
        assert!(matches!(&said.pieces[..], [Piece::File { media_type, .. }] if media_type == "image/png"));
        assert_eq!(task_text(&said), "Look at what is attached.");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            (json!({"content": "x"}), "messages[0].role"),
            (json!({"role": "robot", "content": "x"}), "messages[0].role"),
            (json!({"role": "user", "content": 3}), "messages[0].content"),
            (json!({"role": "user", "content": [{"type": "text"}]}), "messages[0].content[0].text"),
            (json!({"role": "user", "content": [{"type": "input_audio"}]}), "messages[0].content[0].type"),
            (
                json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}),
                "messages[0].content[0].image_url",
            ),
            (
                json!({"role": "user", "content": [{"type": "file", "file": {"file_data": "%"}}]}),
                "messages[0].content[0].file.file_data",
            ),
        ];
        for (message, param) in cases {
            let fault = read(message.clone()).unwrap_err();
            let body: Value = serde_json::from_str(&fault.body().to_json()).unwrap();
            assert_eq!(body["error"]["param"], param, "{message}");
        }
    }

    #[test]
    fn the_last_message_of_the_user_is_the_task() {
        let said = |role, text: &str| Said { role, pieces: vec![Piece::Text(text.into())] };
        let all = vec![
            said(Role::System, "be brief"),
            said(Role::User, "one"),
            said(Role::Assistant, "two"),
            said(Role::User, "three"),
        ];
        let conversation = Conversation::of(all.clone(), "messages").unwrap();
        assert_eq!(conversation.instructions.as_deref(), Some("be brief"));
        assert_eq!((conversation.history.len(), conversation.task.text()), (2, "three".into()));
        assert!(Conversation::of(all[..3].to_vec(), "messages").is_err());
        assert!(Conversation::of(Vec::new(), "messages").is_err());
    }
}
