//! What every journal promises.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking, also in their helpers")]

mod contract;
