//! How the commands of this machine change something at a running server.
//!
//! Who can read the server's notice may do everything, for all users: it is the one who runs the server. Commands that
//! find no server do the same themselves.

use std::path::Path;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, http};
use martlet::RunId;
use martlet::core::Principal;
use martlet::store::{Answer, ApprovalId, KeyId, ValueId};
use martlet_server::Service;
use martlet_server::keys::{ApiKey, KeyRequest, Scope, Secret};
use martlet_server::problem::{Body, Problem};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use super::notice::Notice;
use crate::client;
use crate::data::now_ms;
use crate::exit::{Exit, Failure};

const PATH: &str = "/control/v1";

/// Something to be done.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub(crate) enum Order {
    Cancel { run: RunId },
    Answer { approval: ApprovalId, digest: ValueId, answer: Answer },
    Fork { run: RunId, step: u32 },
    CreateKey { tenant: String, user: String, scopes: Vec<Scope>, label: String, expires_ms: Option<u64> },
    RevokeKey { id: KeyId },
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "done", rename_all = "snake_case")]
pub(crate) enum Done {
    /// `false`: it had ended.
    Cancelled {
        now: bool,
    },
    Answered,
    Forked {
        run: RunId,
    },
    KeyCreated {
        id: KeyId,
        key: String,
    },
    /// `false`: it was revoked before, or there is none.
    KeyRevoked {
        now: bool,
    },
}

#[derive(Clone)]
struct Control {
    service: Service,
    token: Secret,
}

/// The route for the commands of this machine.
pub(super) fn router(service: Service, token: Secret) -> Router {
    Router::new().route(PATH, post(receive)).with_state(Control { service, token })
}

async fn receive(
    State(control): State<Control>,
    headers: http::HeaderMap,
    Body(order): Body<Order>,
) -> Result<Json<Done>, Response> {
    let shown = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let shown = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    if !bool::from(shown.as_bytes().ct_eq(control.token.expose().as_bytes())) {
        return Err(Problem::unauthorized().into_response());
    }
    obey(&control.service, order).await.map(Json).map_err(Problem::into_response)
}

/// Does it at the server.
async fn obey(service: &Service, order: Order) -> Result<Done, Problem> {
    let store = service.store();
    match order {
        Order::Cancel { run } => Ok(Done::Cancelled { now: service.cancel(&run).await? }),
        Order::Answer { approval, digest, answer } => {
            let row = store.approval(&approval).await?.ok_or_else(|| Problem::not_found("question"))?;
            service.answer(&row, Some(digest), answer, &Principal::local()).await?;
            Ok(Done::Answered)
        }
        Order::Fork { run, step } => {
            let row = store.run(&run).await?.ok_or_else(|| Problem::not_found("run"))?;
            let fork = service.fork(&row.owner.clone(), &row, step).await?;
            Ok(Done::Forked { run: fork.id })
        }
        Order::CreateKey { .. } | Order::RevokeKey { .. } => keys(store, order).await,
    }
}

/// What is done with keys, at the server or without one.
async fn keys(store: &martlet::store::Store, order: Order) -> Result<Done, Problem> {
    match order {
        Order::CreateKey { tenant, user, scopes, label, expires_ms } => {
            let owner = Principal::new(tenant, user).map_err(|error| {
                Problem::new(martlet_server::problem::ProblemKind::BadRequest, error.to_string())
            })?;
            let scopes = scopes.into_iter().collect();
            let request = KeyRequest { owner, scopes, label, created_ms: now_ms(), expires_ms };
            let (key, row) = ApiKey::issue(request).map_err(|error| Problem::internal(&error))?;
            store.create_key(row).await?;
            Ok(Done::KeyCreated { id: key.id().clone(), key: key.text().expose().to_owned() })
        }
        Order::RevokeKey { id } => Ok(Done::KeyRevoked { now: store.revoke_key(&id, now_ms()).await? }),
        _ => Err(Problem::not_found("order")),
    }
}

/// Asks the server of a folder to do something.
pub(crate) async fn ask(folder: &Path, order: &Order) -> Result<Done, Failure> {
    let notice = Notice::read(folder)?;
    let unreachable = |error: reqwest::Error| {
        let message = format!(
            "the server at {} does not answer: see whether it is stopping, and try again",
            notice.url()
        );
        Failure::new(Exit::Unreachable, anyhow::Error::new(error).context(message))
    };
    let body = serde_json::to_string(order).map_err(|error| Failure::host("cannot write JSON", error))?;
    let request = client::client(true)?
        .post(format!("{}{PATH}", notice.url()))
        .bearer_auth(notice.token())
        .header("content-type", "application/json")
        .body(body);
    let reply = request.send().await.map_err(unreachable)?;
    let status = reply.status();
    let text = reply.text().await.map_err(unreachable)?;
    if status.is_success() {
        return serde_json::from_str(&text)
            .map_err(|error| Failure::host("the server's reply is not understood", error));
    }
    Err(client::refused(status, &text))
}

/// The same where there is no server: nobody drives a run meanwhile.
pub(crate) async fn perform(store: &martlet::store::Store, order: Order) -> Result<Done, Failure> {
    match order {
        Order::Cancel { run } => {
            let Some(row) = store.run(&run).await? else {
                return Err(Failure::usage("there is no such run"));
            };
            // The wish first: should the end not be written, the next server knows it.
            if !store.request_cancel(&run).await? {
                return Ok(Done::Cancelled { now: false });
            }
            let end = martlet::store::RunEnd {
                outcome: "cancelled".into(),
                answer: serde_json::Value::Null,
                error: None,
                usage: row.usage,
                ended_ms: now_ms(),
                remember: false,
            };
            Ok(Done::Cancelled { now: store.end_run(&run, end).await? })
        }
        Order::Answer { approval, digest, answer } => {
            use martlet::store::Decided;
            let by = Principal::local();
            match store.decide(&approval, Some(digest), answer, &by, now_ms()).await? {
                Decided::Taken(_) => Ok(Done::Answered),
                Decided::Already(_) => Err(told("somebody has answered this question already")),
                Decided::Expired(_) => {
                    Err(told("the time to answer this question is over: it counts as denied"))
                }
                Decided::Withdrawn(_) => Err(told("the run that asked this has ended")),
                Decided::Changed(_) => Err(told("the call is another one by now: look at it again")),
                Decided::Unknown => Err(Failure::usage("there is no such question")),
            }
        }
        Order::Fork { .. } => Err(told("a run is forked where it is driven")),
        order @ (Order::CreateKey { .. } | Order::RevokeKey { .. }) => keys(store, order)
            .await
            .map_err(|problem| Failure::new(Exit::Usage, anyhow::Error::msg(problem.detail().to_owned()))),
    }
}

fn told(text: &str) -> Failure {
    Failure::new(Exit::Failed, anyhow::Error::msg(text.to_owned()))
}
