//! Waiting for a run, and what becomes of it when the one who waits goes away.

use std::time::Duration;

use http::HeaderMap;
use martlet_core::{Principal, RunId};
use martlet_store::{RunRow, RunState};
use tokio::time::timeout;

use crate::hub::Frame;
use crate::problem::Problem;
use crate::router::Api;
use crate::service::Service;

/// The longest time that a request waits for a run.
const MAX_WAIT_S: u64 = 300;

/// The seconds of `Prefer: wait=N` (RFC 7240).
pub(crate) fn preferred(headers: &HeaderMap) -> Option<Duration> {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let seconds = values.flat_map(|value| value.split([',', ';'])).find_map(|preference| {
        let (name, value) = preference.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("wait")
            .then(|| value.trim().trim_matches('"').parse::<u64>().ok())?
    })?;
    Some(Duration::from_secs(seconds.min(MAX_WAIT_S)))
}

/// Cancels a run when it is dropped: nobody waits for it any more.
pub(crate) struct Ephemeral {
    service: Service,
    run: Option<RunId>,
}

impl Ephemeral {
    pub(crate) fn new(service: &Service, run: &RunId) -> Self {
        Self { service: service.clone(), run: Some(run.clone()) }
    }

    /// Lets the run go on by itself.
    pub(crate) fn detach(mut self) {
        self.run = None;
    }
}

impl Drop for Ephemeral {
    fn drop(&mut self) {
        let Some(run) = self.run.take() else { return };
        let service = self.service.clone();
        self.service.spawn(async move {
            if let Err(problem) = service.cancel(&run).await {
                tracing::warn!(%run, %problem, "a run that nobody waits for could not be cancelled");
            }
        });
    }
}

/// Waits until a run has ended, waits for a person, or the time is over or the server ends, and says where it stands then.
pub(crate) async fn settled(
    api: &Api,
    owner: &Principal,
    run: &RunId,
    limit: Duration,
) -> Result<RunRow, Problem> {
    let service = api.service();
    let mut watch = service.watch(run);
    let waiting = async {
        loop {
            let row = api.run(owner, run).await?;
            if matches!(row.state, RunState::Ended | RunState::Waiting) {
                return Ok(row);
            }
            // Until its state is another one, or something was missed.
            while let Ok(frame) = watch.next().await {
                if matches!(frame, Frame::Passing { name: "state", .. }) {
                    break;
                }
            }
        }
    };
    tokio::select! {
        settled = timeout(limit, waiting) => match settled {
            Ok(settled) => settled,
            Err(_) => api.run(owner, run).await,
        },
        () = service.drained() => api.run(owner, run).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preference_is_read_as_the_standard_writes_it() {
        let wait = |value: &'static str| {
            preferred(&HeaderMap::from_iter([(
                http::HeaderName::from_static("prefer"),
                value.parse().unwrap(),
            )]))
        };
        assert_eq!(wait("wait=10"), Some(Duration::from_secs(10)));
        assert_eq!(wait("respond-async, wait=\"10\""), Some(Duration::from_secs(10)));
        assert_eq!(wait("Wait = 9999"), Some(Duration::from_secs(300)));
        assert_eq!([wait("respond-async"), wait("wait=soon"), wait("wait")], [None, None, None]);
    }
}
