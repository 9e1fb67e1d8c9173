//! Files that come in a message, and what was said before.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use martlet_core::{Message, Principal};
use martlet_store::FileId;

use crate::api::files::keep;
use crate::api::upload::{clean_name, media_type};
use crate::problem::{Problem, ProblemKind};
use crate::router::Api;
use crate::service::bad_request;

/// Files that may come with one message.
pub(crate) const MAX_FILES: usize = 10;

/// A file of a message: `url` is a `data:` URL, whose content is kept, or names a file that was uploaded. Nothing is ever
/// fetched.
pub(crate) async fn attached(
    api: &Api,
    owner: &Principal,
    param: &str,
    name: Option<&str>,
    url: &str,
) -> Result<FileId, Problem> {
    let Some(data) = url.strip_prefix("data:") else { return uploaded(api, owner, param, url).await };
    let broken = || bad_request(param, "this is no `data:` URL: it reads `data:TYPE;base64,CONTENT`");
    let (head, content) = data.split_once(',').ok_or_else(broken)?;
    let claim = head.strip_suffix(";base64").ok_or_else(broken)?;
    embedded(api, owner, param, name, Some(claim).filter(|claim| !claim.is_empty()), content).await
}

/// A file whose content is here as base64.
pub(crate) async fn embedded(
    api: &Api,
    owner: &Principal,
    param: &str,
    name: Option<&str>,
    claim: Option<&str>,
    content: &str,
) -> Result<FileId, Problem> {
    let content = STANDARD.decode(content.trim()).map_err(|_| bad_request(param, "this is no base64"))?;
    let media_type = media_type(claim, &content)?;
    let name = clean_name(name.unwrap_or_else(|| default_name(&media_type)));
    Ok(keep(api, owner, name, media_type, content.into()).await?.id)
}

fn default_name(media_type: &str) -> &'static str {
    match media_type {
        "image/png" => "image.png",
        "image/jpeg" => "image.jpg",
        "image/gif" => "image.gif",
        "image/webp" => "image.webp",
        "application/pdf" => "document.pdf",
        "text/csv" => "table.csv",
        "text/plain" => "text.txt",
        "application/json" => "data.json",
        _ => "file",
    }
}

/// A file that was uploaded before: its name, or its address here.
pub(crate) async fn uploaded(
    api: &Api,
    owner: &Principal,
    param: &str,
    given: &str,
) -> Result<FileId, Problem> {
    let last = given.rsplit(['/', '=']).next().unwrap_or_default();
    let id = FileId::new(last).map_err(|_| {
        let text = "upload the file first and give its name here: addresses are not fetched";
        Problem::new(ProblemKind::BadRequest, text).param(param)
    })?;
    let known = api.store().of(owner).file(&id).await.map_err(|error| api.failed(error))?;
    known.map(|row| row.id).ok_or_else(|| Problem::not_found("file").param(param))
}

/// A message of an earlier turn; nothing for what an agent is not told by those who ask it.
pub(crate) fn said_before(role: &str, text: &str) -> Option<Message> {
    match role {
        _ if text.trim().is_empty() => None,
        "user" => Some(Message::user(text)),
        "assistant" => Some(Message::assistant(text)),
        _ => None,
    }
}
