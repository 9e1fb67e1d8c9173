//! Why a run could not be driven to its end.

use martlet_core::HostFailure;
use martlet_store::StoreError;

/// Why a run could not be driven to its end. The errors that callers see are made of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DriveError {
    #[error("it could not be recorded: {0}")]
    Journal(#[from] StoreError),
    #[error("{0}")]
    Unreadable(String),
    #[error(transparent)]
    Host(#[from] HostFailure),
    #[error("it waits for nothing and has not ended")]
    Stuck,
    #[error("it waits for people")]
    Parked,
}
