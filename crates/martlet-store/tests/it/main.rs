//! What every journal promises.

mod contract;
