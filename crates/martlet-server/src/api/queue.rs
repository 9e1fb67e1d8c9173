//! `/api/v1/queue`: how long the line is.

use axum::Json;
use axum::extract::State;
use martlet_store::RunState;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Reader;
use crate::keys::Scope;
use crate::problem::Problem;
use crate::router::Api;

/// The caller's runs, and what may still be asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Queue {
    /// Own runs that wait for their turn.
    queued: u64,
    /// Own runs that run.
    running: u64,
    /// Own runs that wait for a person.
    waiting: u64,
    /// Own runs that may run at once.
    max_running: u32,
    /// Own runs that may wait at once.
    max_queued: u32,
    /// Runs that may be asked for now.
    remaining: u32,
    /// Seconds until, by estimate, one more may be asked for.
    reset_s: u32,
    /// Of all users; for administrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<Total>,
}

/// The runs of all users.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Total {
    /// Runs that wait for their turn.
    queued: u32,
    /// Runs that hold a slot.
    running: u32,
    /// Runs that wait for a person.
    waiting: u32,
    /// Runs that may run at once.
    max_running: u32,
    /// Runs that may wait at once.
    max_queued: u32,
}

/// Says how many runs wait and run, and how many more may be asked for.
#[utoipa::path(get, path = "/api/v1/queue", tag = "runs", responses((status = 200, body = Queue)))]
pub(crate) async fn get_queue(
    Reader(caller): Reader,
    State(api): State<Api>,
) -> Result<Json<Queue>, Problem> {
    let owned = api.store().of(&caller.principal);
    let mut counts = [RunState::Queued, RunState::Running, RunState::Waiting].map(|state| (state, 0));
    for (state, count) in &mut counts {
        *count = owned.count(*state).await.map_err(|error| api.failed(error))?;
    }
    let [(_, queued), (_, running), (_, waiting)] = counts;
    let (limits, allowance) = (&api.service().options().limits, api.service().allowance(&caller.principal));
    let total = caller.scopes.allow(Scope::Admin).then(|| {
        let load = api.service().load();
        Total {
            queued: load.queued,
            running: load.running,
            waiting: load.parked,
            max_running: limits.max_running,
            max_queued: limits.max_queued,
        }
    });
    Ok(Json(Queue {
        queued,
        running,
        waiting,
        max_running: limits.max_running_per_user,
        max_queued: allowance.limit,
        remaining: allowance.remaining,
        reset_s: allowance.reset_s,
        total,
    }))
}
