//! The whole HTTP API as a router of axum.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};
use martlet_core::{Principal, RunId};
use martlet_store::{KeyId, RunRow, Store, StoreError, StoreErrorKind};
use tower_http::catch_panic::CatchPanicLayer;

use crate::gradio::Lobby;
use crate::options::HttpOptions;
use crate::problem::{Problem, ProblemKind};
use crate::service::Service;
use crate::{api, auth, clock, cross_site, openai, openapi, page};

/// The HTTP API. It can be served by [`serve`](crate::serve), or be mounted below a path of another application with
/// [`Router::nest`].
pub fn router(service: Service, options: HttpOptions) -> Router {
    let state = Api::new(service, options);
    let (protected, _) = openapi::routes().split_for_parts();
    let (open, _) = openapi::open_routes().split_for_parts();
    protected
        .route_layer(from_fn_with_state(state.clone(), auth::authenticate))
        .merge(open)
        .merge(api::health::routes())
        .merge(openapi::route())
        .merge(page::routes())
        .fallback(async || Problem::not_found("address"))
        .method_not_allowed_fallback(async || {
            Problem::new(ProblemKind::MethodNotAllowed, "this address knows no such method")
        })
        .layer(from_fn_with_state(page::routes(), page::front))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(state.clone(), cross_site::guard))
        .layer(from_fn(openai::translate))
        .layer(map_response(harmless))
        .with_state(state)
}

/// What all handlers share. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Api(Arc<Inner>);

struct Inner {
    service: Service,
    options: HttpOptions,
    /// When the use of a key was noted last.
    noted: Mutex<HashMap<KeyId, u64>>,
    uploading: tokio::sync::Mutex<()>,
    planning: tokio::sync::Semaphore,
    rendering: Arc<tokio::sync::Semaphore>,
    began_ms: u64,
    gradio: Lobby,
}

impl Api {
    fn new(service: Service, options: HttpOptions) -> Self {
        let slots = usize::try_from(service.options().limits.max_running).unwrap_or(1);
        let planning = tokio::sync::Semaphore::new(slots.min(tokio::sync::Semaphore::MAX_PERMITS));
        Self(Arc::new(Inner {
            planning,
            // Half of the processors at most: the other half is for those who wait for something else.
            rendering: Arc::new(tokio::sync::Semaphore::new(
                available_parallelism().map_or(1, |all| (all.get() / 2).max(1)),
            )),
            began_ms: clock::now_ms(),
            service,
            options,
            noted: Mutex::default(),
            uploading: tokio::sync::Mutex::default(),
            gradio: Lobby::default(),
        }))
    }

    pub(crate) fn service(&self) -> &Service {
        &self.0.service
    }

    /// What Gradio's clients have not seen yet.
    pub(crate) fn gradio(&self) -> &Lobby {
        &self.0.gradio
    }

    pub(crate) fn store(&self) -> &Store {
        self.0.service.store()
    }

    pub(crate) fn options(&self) -> &HttpOptions {
        &self.0.options
    }

    /// When this began to be served.
    pub(crate) fn began_ms(&self) -> u64 {
        self.0.began_ms
    }

    /// What the caller is told of a failure of the storage.
    pub(crate) fn failed(&self, error: StoreError) -> Problem {
        match error.kind() {
            StoreErrorKind::Full | StoreErrorKind::Unavailable => self.0.service.storage(&error),
            _ => error.into(),
        }
    }

    /// The answer to a request that something be deleted: whether it was there says the store.
    pub(crate) fn gone(&self, deleted: Result<bool, StoreError>, what: &str) -> Result<StatusCode, Problem> {
        match deleted.map_err(|error| self.failed(error))? {
            true => Ok(StatusCode::NO_CONTENT),
            false => Err(Problem::not_found(what)),
        }
    }

    /// A run of this owner.
    pub(crate) async fn run(&self, owner: &Principal, run: &RunId) -> Result<RunRow, Problem> {
        let row = self.store().of(owner).run(run).await.map_err(|error| self.failed(error))?;
        row.ok_or_else(|| Problem::not_found("run"))
    }

    /// The turn to put a file into the store.
    pub(crate) async fn uploading(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.0.uploading.lock().await
    }

    /// A turn to ask a model outside of a run: there are as many as runs may run at once.
    pub(crate) async fn planning(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Problem> {
        self.0.planning.acquire().await.map_err(|error| Problem::internal(&error))
    }

    /// A turn to render long texts.
    pub(crate) async fn rendering(&self) -> Result<tokio::sync::OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.0.rendering).acquire_owned().await.map_err(|error| Problem::internal(&error))
    }

    /// Whether the use of a key is to be noted now: of many requests at once, one notes it.
    pub(crate) fn note_use(&self, key: &KeyId, now_ms: u64, interval_ms: u64) -> bool {
        let mut noted = self.0.noted.lock().unwrap_or_else(PoisonError::into_inner);
        let last_ms = noted.entry(key.clone()).or_default();
        let is_due = now_ms.saturating_sub(*last_ms) >= interval_ms;
        if is_due {
            *last_ms = now_ms;
        }
        is_due
    }
}

/// Nothing that is answered is to be taken for a page, to be kept, or to be guessed at.
async fn harmless(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.entry(X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static("default-src 'none'; sandbox"));
    response
}

/// What a panic said goes to the log, and to nobody else.
fn panicked(panic: Box<dyn Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
    let error = std::io::Error::other(format!("a request panicked: {text}"));
    Problem::internal(&error).into_response()
}
