//! What a driver drives: a state machine that asks for effects and is told what came of them.

use std::time::Duration;

use crate::effect::{Effect, Settlement};
use crate::event::Event;
use crate::id::{EffectId, RunId};
use crate::run::{SettleError, StopReason};

/// A state machine under a driver: a [`Run`](crate::Run) or a [`GraphRun`](crate::GraphRun).
///
/// It never awaits and reads no clock. The same settlements in the same order always give the same machine.
pub trait Machine {
    /// The name of the run.
    fn id(&self) -> &RunId;

    /// Whether it ended; nothing can be settled any more.
    fn is_finished(&self) -> bool;

    /// The effects that have become possible since the last call. Each is handed out once; all of them may be
    /// performed at the same time.
    fn take_effects(&mut self) -> Vec<(EffectId, Effect)>;

    /// Makes [`take_effects`](Self::take_effects) hand out all open effects again: for a machine that was read back
    /// after the one who performed them is gone.
    fn hand_out_again(&mut self);

    /// Effects that nobody waits for any more since the last call: they are to be stopped, and their outcomes are not
    /// to be settled.
    fn take_abandoned(&mut self) -> Vec<EffectId>;

    /// Whether the effect still waits for its outcome.
    fn is_open(&self, id: &EffectId) -> bool;

    /// How long an open effect may take. Then the driver stops it and settles
    /// [`Outcome::TimedOut`](crate::Outcome::TimedOut).
    fn time_limit(&self, id: &EffectId) -> Option<Duration> {
        let _ = id;
        None
    }

    /// The events since the last call.
    fn take_events(&mut self) -> Vec<Event>;

    /// Settles one effect.
    ///
    /// # Errors
    /// Nothing has changed then: the effect is unknown, was settled before, or the outcome is of another kind.
    fn settle(&mut self, settlement: Settlement) -> Result<(), SettleError>;

    /// Ends it from outside; open effects are abandoned. Does nothing if it has ended.
    fn stop(&mut self, reason: StopReason, at_ms: u64);
}

impl Machine for crate::Run {
    fn id(&self) -> &RunId {
        self.id()
    }

    fn is_finished(&self) -> bool {
        matches!(self.status(), crate::Status::Finished(_))
    }

    fn take_effects(&mut self) -> Vec<(EffectId, Effect)> {
        self.take_effects()
    }

    fn hand_out_again(&mut self) {
        self.hand_out_again();
    }

    fn take_abandoned(&mut self) -> Vec<EffectId> {
        self.take_abandoned()
    }

    fn is_open(&self, id: &EffectId) -> bool {
        self.is_open(id)
    }

    fn take_events(&mut self) -> Vec<Event> {
        self.take_events()
    }

    fn settle(&mut self, settlement: Settlement) -> Result<(), SettleError> {
        self.settle(settlement)
    }

    fn stop(&mut self, reason: StopReason, at_ms: u64) {
        self.stop(reason, at_ms);
    }
}
