//! `/api/v1/files`: files that people bring.

use std::time::Duration;

use axum::Json;
use axum::extract::multipart::{Field, MultipartError, MultipartRejection};
use axum::extract::{Multipart, State};
use axum::response::{IntoResponse as _, Response};
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use martlet_core::Principal;
use martlet_store::{FileId, FileRow, NewFile};
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::upload::{clean_name, media_type};
use crate::auth::{Reader, Runner};
use crate::clock;
use crate::ids::random_bits;
use crate::problem::{Path, Problem, ProblemKind};
use crate::router::Api;
use crate::service::bad_request;

/// The most bytes of a file.
const MAX_FILE: usize = 25 * 1024 * 1024;
/// The most files of one request.
const MAX_FILES: usize = 10;
/// How long a client may take to send the next piece.
const PIECE_TIME: Duration = Duration::from_secs(30);
/// How long it may take to send all.
const TOTAL_TIME: Duration = Duration::from_secs(15 * 60);

/// A file.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = File)]
pub(crate) struct FileView {
    /// Its name here.
    id: String,
    /// What its owner calls it.
    name: String,
    /// What it is.
    media_type: String,
    /// Its bytes.
    size: u64,
    /// When it came, in milliseconds since 1970-01-01 UTC.
    created_ms: u64,
}

impl From<FileRow> for FileView {
    fn from(row: FileRow) -> Self {
        Self {
            id: row.id.to_string(),
            name: row.name,
            media_type: row.media_type,
            size: row.size,
            created_ms: row.created_ms,
        }
    }
}

/// Files, the newest first; after an upload in the order in which they came.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Files {
    /// The files.
    files: Vec<FileView>,
}

/// Files to be kept.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is for the document alone")]
pub(crate) struct Upload {
    /// The files, at most 10, each of at most 25 MiB.
    #[schema(value_type = Vec<String>, format = Binary)]
    file: Vec<String>,
}

/// Keeps files, as `multipart/form-data`. Either all of them are kept or none.
#[utoipa::path(
    post, path = "/api/v1/files", tag = "files",
    request_body(content = Upload, content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "They are kept.", body = Files),
        (status = 413, description = "One is too large, they are too many, or you have too many already."),
        (status = 415, description = "An image is not what its type says, or this is no form."),
    ),
)]
pub(crate) async fn create_files(
    Runner(caller): Runner,
    State(api): State<Api>,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, Problem> {
    let rows = keep_form(&api, &caller.principal, form).await?;
    let files = rows.into_iter().map(Into::into).collect();
    Ok((StatusCode::CREATED, Json(Files { files })).into_response())
}

/// Keeps all files of a form, or none.
pub(crate) async fn keep_form(
    api: &Api,
    owner: &Principal,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Vec<FileRow>, Problem> {
    let mut form = form.map_err(|_| {
        let text = "send the files as a form: `Content-Type: multipart/form-data; boundary=…`";
        Problem::new(ProblemKind::UnsupportedMediaType, text)
    })?;
    let mut kept = Kept { api: api.clone(), rows: Vec::new() };
    let keeping = timeout(TOTAL_TIME, keep_all(api, owner, &mut form, &mut kept.rows));
    keeping.await.unwrap_or_else(|_| Err(too_slow()))?;
    if kept.rows.is_empty() {
        return Err(bad_request("file", "there is no file in the form"));
    }
    Ok(std::mem::take(&mut kept.rows))
}

/// What was kept of an upload so far. It is removed if the upload fails, or its client goes away.
struct Kept {
    api: Api,
    rows: Vec<FileRow>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        for row in std::mem::take(&mut self.rows) {
            let api = self.api.clone();
            self.api.service().spawn(async move {
                if let Err(error) = api.store().delete_file(&row.id).await {
                    drop(api.failed(error));
                }
            });
        }
    }
}

async fn keep_all(
    api: &Api,
    owner: &Principal,
    form: &mut Multipart,
    kept: &mut Vec<FileRow>,
) -> Result<(), Problem> {
    while let Some(field) = in_time(form.next_field()).await? {
        let Some(name) = field.file_name().map(clean_name) else {
            // A path or an address of a file is none.
            let text = "every part of the form must be a file: give it a `filename`";
            return Err(bad_request("file", text));
        };
        if kept.len() == MAX_FILES {
            return Err(too_large(format!("send at most {MAX_FILES} files at once")));
        }
        let claim = field.content_type().map(str::to_owned);
        let data = read(field).await?;
        let media_type = media_type(claim.as_deref(), &data)?;
        kept.push(keep(api, owner, name, media_type, data).await?);
    }
    Ok(())
}

async fn in_time<T>(reading: impl Future<Output = Result<T, MultipartError>>) -> Result<T, Problem> {
    let read = timeout(PIECE_TIME, reading).await.map_err(|_| too_slow())?;
    read.map_err(|_| Problem::new(ProblemKind::BadRequest, "the form is broken, or broke off: send it again"))
}

async fn read(mut field: Field<'_>) -> Result<Bytes, Problem> {
    let mut data = BytesMut::new();
    while let Some(piece) = in_time(field.chunk()).await? {
        if data.len() + piece.len() > MAX_FILE {
            return Err(too_large(format!("a file has more than {MAX_FILE} bytes: send a smaller one")));
        }
        data.extend_from_slice(&piece);
    }
    Ok(data.freeze())
}

pub(crate) async fn keep(
    api: &Api,
    owner: &Principal,
    name: String,
    media_type: String,
    data: Bytes,
) -> Result<FileRow, Problem> {
    keep_as(
        api,
        NewFile {
            id: FileId::from_bits(random_bits()),
            owner: owner.clone(),
            name,
            media_type,
            created_ms: clock::now_ms(),
            data,
        },
    )
    .await
}

/// Keeps a file, if its owner may have that much.
pub(crate) async fn keep_as(api: &Api, new: NewFile) -> Result<FileRow, Problem> {
    let (owner, data) = (&new.owner, &new.data);
    // One at a time, so that many at once cannot get around the limit.
    let _turn = api.uploading().await;
    let used = api.store().bytes_of(owner).await.map_err(|error| api.failed(error))?;
    let limit = api.options().max_file_bytes;
    if used.saturating_add(data.len() as u64) > limit {
        let text = format!("you have {used} bytes of files here, and may have {limit}: delete some first");
        return Err(too_large(text));
    }
    api.store().put_file(new).await.map_err(|error| api.failed(error))
}

fn too_large(text: String) -> Problem {
    Problem::new(ProblemKind::PayloadTooLarge, text)
}

fn too_slow() -> Problem {
    Problem::new(ProblemKind::RequestTimeout, "the files did not come in time: send them again")
}

/// Lists files, the newest first.
#[utoipa::path(get, path = "/api/v1/files", tag = "files", responses((status = 200, body = Files)))]
pub(crate) async fn list_files(
    Reader(caller): Reader,
    State(api): State<Api>,
) -> Result<Json<Files>, Problem> {
    let rows = api.store().of(&caller.principal).files().await.map_err(|error| api.failed(error))?;
    Ok(Json(Files { files: rows.into_iter().map(Into::into).collect() }))
}

/// Gives the content of a file, to be saved and never to be shown by a browser.
#[utoipa::path(
    get, path = "/api/v1/files/{id}", tag = "files",
    params(("id" = String, Path, pattern = "^[A-Za-z0-9_-]{1,128}$")),
    responses(
        (status = 200, description = "The content.", content_type = "*/*", body = Vec<u8>),
        (status = 404, description = "There is no such file."),
    ),
)]
pub(crate) async fn get_file(
    Reader(caller): Reader,
    State(api): State<Api>,
    Path(id): Path<FileId>,
) -> Result<Response, Problem> {
    content(&api, &caller.principal, &id).await
}

/// The content of a file of this owner, to be saved.
pub(crate) async fn content(api: &Api, owner: &Principal, id: &FileId) -> Result<Response, Problem> {
    let owned = api.store().of(owner);
    let row = owned.file(id).await.map_err(|error| api.failed(error))?;
    let data = owned.file_data(id).await.map_err(|error| api.failed(error))?;
    let (Some(row), Some(data)) = (row, data) else { return Err(Problem::not_found("file")) };
    let headers = [(CONTENT_TYPE, row.media_type), (CONTENT_DISPOSITION, attachment(&row.name))];
    Ok((headers, data).into_response())
}

/// A header that names a file in letters that every client knows, and in its own (RFC 6266).
fn attachment(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|char| {
            if char.is_ascii_graphic() && !matches!(char, '"' | '\\' | '%') || char == ' ' {
                char
            } else {
                '_'
            }
        })
        .collect();
    let own: String = name
        .bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{own}")
}

/// Deletes a file. Runs that began with it keep what they read.
#[utoipa::path(
    delete, path = "/api/v1/files/{id}", tag = "files",
    params(("id" = String, Path, pattern = "^[A-Za-z0-9_-]{1,128}$")),
    responses((status = 204, description = "It is gone."), (status = 404, description = "There is no such file.")),
)]
pub(crate) async fn delete_file(
    Runner(caller): Runner,
    State(api): State<Api>,
    Path(id): Path<FileId>,
) -> Result<StatusCode, Problem> {
    let deleted = api.store().of(&caller.principal).delete_file(&id).await;
    api.gone(deleted, "file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_get_out_of_its_header() {
        let header = attachment("a\"; x=\"b\\c %0d é.txt");
        assert_eq!(
            header,
            "attachment; filename=\"a_; x=_b_c _0d _.txt\"; filename*=UTF-8''a%22%3B%20x%3D%22b%5Cc%20%250d%20%C3%A9.txt"
        );
    }
}
