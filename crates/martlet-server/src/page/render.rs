//! `/api/v1/render`: Markdown as HTML that can do nothing and loads nothing.
//!
//! There are two walls. The writer here makes HTML of Markdown and writes no tag and no attribute that it does not know; HTML
//! in the Markdown is text to it. Then [`sanitise`](super::sanitise) lets through what is on a list, and nothing else.

mod address;
mod writer;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::sanitise;
use crate::auth::Reader;
use crate::problem::{Body, Problem, ProblemKind};
use crate::router::Api;
use crate::service::bad_request;

/// The most texts at once.
const TEXTS: usize = 64;
/// The most bytes of all of them.
const BYTES: usize = 1024 * 1024;
/// From so many bytes on it takes longer than others should wait for the thread.
const LONG: usize = 16 * 1024;

/// Texts to be shown.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Render {
    /// Markdown: at most 64 texts, of at most 1 MiB in all.
    #[schema(max_items = 64)]
    texts: Vec<String>,
}

/// Texts as they can be shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Rendered {
    /// HTML, for each text.
    html: Vec<String>,
}

/// Makes HTML of Markdown. It has no scripts, no styles, and no pictures from elsewhere; its links lead to the web and to
/// mailboxes. What is HTML in the text is shown as text.
#[utoipa::path(
    post, path = "/api/v1/render", tag = "page", request_body = Render,
    responses(
        (status = 200, body = Rendered),
        (status = 413, description = "The texts are too long together."),
    ),
)]
pub(crate) async fn render(
    Reader(_caller): Reader,
    State(api): State<Api>,
    Body(asked): Body<Render>,
) -> Result<Json<Rendered>, Problem> {
    let texts = asked.texts;
    if texts.len() > TEXTS {
        return Err(bad_request("texts", format!("send at most {TEXTS} texts at once")));
    }
    let bytes: usize = texts.iter().map(String::len).sum();
    if bytes > BYTES {
        let text = format!("the texts have more than {BYTES} bytes together: send fewer at once");
        return Err(Problem::new(ProblemKind::PayloadTooLarge, text).param("texts"));
    }
    let all = move || texts.iter().map(|text| html_of(text)).collect();
    let html = if bytes < LONG {
        all()
    } else {
        let turn = api.rendering().await?;
        let rendering = tokio::task::spawn_blocking(move || {
            // It ends with the work, also if the one who asked has gone away.
            let _turn = turn;
            all()
        });
        rendering.await.map_err(|error| Problem::internal(&error))?
    };
    Ok(Json(Rendered { html }))
}

/// Markdown as harmless HTML.
pub(crate) fn html_of(markdown: &str) -> String {
    sanitise::sanitise(&writer::write(markdown))
}

#[cfg(test)]
mod tests;
