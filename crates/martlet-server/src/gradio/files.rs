//! Files: `/gradio_api/upload` and `/gradio_api/file=…`.
//!
//! What a client takes for a path is the name of a file here. There are no others.

use axum::Json;
use axum::extract::multipart::MultipartRejection;
use axum::extract::{Multipart, State};
use axum::response::Response;
use martlet_store::FileId;

use crate::api::files::{Upload, content, keep_form};
use crate::auth::{Reader, Runner};
use crate::problem::{Path, Problem};
use crate::router::Api;

/// Keeps files, and gives their names, which clients take for paths.
#[utoipa::path(
    post, path = "/gradio_api/upload", operation_id = "gradio_upload", tag = "gradio",
    request_body(content = Upload, content_type = "multipart/form-data"),
    responses((status = 200, description = "The names.", body = Vec<String>)),
)]
pub(super) async fn upload(
    Runner(caller): Runner,
    State(api): State<Api>,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Json<Vec<String>>, Problem> {
    let kept = keep_form(&api, &caller.principal, form).await?;
    Ok(Json(kept.into_iter().map(|row| row.id.to_string()).collect()))
}

/// Gives the content of a file of one's own.
#[utoipa::path(
    get, path = "/gradio_api/file={id}", operation_id = "gradio_file", tag = "gradio", params(("id" = String, Path)),
    responses(
        (status = 200, description = "The content.", content_type = "*/*", body = Vec<u8>),
        (status = 404, description = "There is no such file."),
    ),
)]
pub(super) async fn file(
    Reader(caller): Reader,
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    // Whatever else it names, it is not there.
    let id = FileId::new(id).map_err(|_| Problem::not_found("file"))?;
    content(&api, &caller.principal, &id).await
}
