//! stand-in
use crate::admission::RefusalKind;
use martlet_store::{ApprovalRow, RunRow};
#[derive(Clone, Default)]
pub struct Metrics;
impl Metrics {
    pub fn new() -> Self {
        Self
    }
    pub fn observe_stored(&self, _event: &[u8]) {}
    pub fn rejected(&self, _kind: RefusalKind) {}
    pub fn admitted(&self, _name: &str) {}
    pub fn started(&self, _row: &RunRow, _now_ms: u64) {}
    pub fn ended(&self, _row: &RunRow, _outcome: &str, _now_ms: u64) {}
    pub fn decided(&self, _row: &ApprovalRow) {}
    pub fn recovered(&self, _state: &str) {}
}
