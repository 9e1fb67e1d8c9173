//! The time of this server.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The time of the machine when this was first asked, and since when.
static BEGAN: LazyLock<(u64, Instant)> = LazyLock::new(|| {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (u64::try_from(since.as_millis()).unwrap_or(u64::MAX), Instant::now())
});

/// Milliseconds since 1970-01-01 UTC. It goes on steadily from the start of the process: when somebody sets the clock of
/// the machine, no question and no key expires by that.
pub(crate) fn now_ms() -> u64 {
    let (began_ms, began) = *BEGAN;
    began_ms.saturating_add(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX))
}
