//! Conditions in Rust.

use std::fmt::Display;
use std::sync::Arc;

use martlet_core::graph::State;

/// A condition that the host evaluates.
pub(crate) type HostCondition = Arc<dyn Fn(&State) -> Result<bool, String> + Send + Sync>;

/// What a condition says: `bool`, or `Result<bool, E>` with an error that fails the node which waits for it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a condition may return",
    label = "this condition returns `{Self}`",
    note = "return a `bool`, or a `Result<bool, E>` where `E: Display`"
)]
pub trait Verdict {
    /// Whether the condition holds, or why that cannot be told.
    ///
    /// # Errors
    /// The condition's own.
    fn into_result(self) -> Result<bool, String>;
}

impl Verdict for bool {
    fn into_result(self) -> Result<bool, String> {
        Ok(self)
    }
}

impl<E: Display> Verdict for Result<bool, E> {
    fn into_result(self) -> Result<bool, String> {
        self.map_err(|error| error.to_string())
    }
}

pub(super) fn condition<F, V>(holds: F) -> HostCondition
where
    F: Fn(&State) -> V + Send + Sync + 'static,
    V: Verdict,
{
    Arc::new(move |state| holds(state).into_result())
}
