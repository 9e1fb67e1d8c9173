//! A driver without threads and clocks: it performs the effects of a graph in virtual time.
//!
//! What an effect takes and gives is asked of a closure when the effect is handed out. Of what is done at the same
//! moment, the order is drawn from a tape of bytes. Whatever must hold of every run under every driver is checked
//! here, at every settlement.

use std::collections::HashSet;

use martlet_core::{
    Effect, EffectId, Event, EventKind, GraphResult, GraphRun, GraphSpec, GraphTask, Machine, Outcome, RunId,
    SettleError, Settlement, StopReason, Timing,
};
use serde_json::{Map, Value};
use std::sync::Arc;

/// When the clock starts, in milliseconds.
pub(crate) const START: u64 = 1_000_000;

/// Something that happened, and when.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    Began {
        id: EffectId,
        effect: Effect,
    },
    Settled {
        settlement: Settlement,
    },
    Abandoned {
        id: EffectId,
    },
    Told(Event),
    /// Everything that has become possible so far has begun; the clock goes on.
    Idle {
        at: u64,
    },
}

/// An effect that is being performed.
#[derive(Debug, Clone)]
struct Performing {
    ends: u64,
    tie: u8,
    id: EffectId,
    effect: Effect,
    settlement: Settlement,
}

/// How many milliseconds an effect takes, and what comes of it.
type World<'a> = dyn FnMut(&Effect) -> (u64, Outcome) + 'a;

/// A run of a graph in virtual time.
pub(crate) struct Simulation<'a> {
    pub(crate) run: GraphRun,
    pub(crate) now: u64,
    pub(crate) trace: Vec<Happening>,
    world: Box<World<'a>>,
    tape: Vec<u8>,
    drawn: usize,
    performing: Vec<Performing>,
    seen: HashSet<EffectId>,
    next_seq: u64,
}

impl<'a> Simulation<'a> {
    /// Starts the run. `world` says how many milliseconds an effect takes, and what comes of it; waits and time limits
    /// are not its business.
    pub(crate) fn new(
        run: GraphRun,
        tape: Vec<u8>,
        world: impl FnMut(&Effect) -> (u64, Outcome) + 'a,
    ) -> Self {
        let mut simulation = Self {
            run,
            now: START,
            trace: Vec::new(),
            world: Box::new(world),
            tape,
            drawn: 0,
            performing: Vec::new(),
            seen: HashSet::new(),
            next_seq: 0,
        };
        simulation.collect();
        simulation
    }

    /// The next number from the tape.
    pub(crate) fn draw(&mut self) -> u8 {
        let round = self.drawn.checked_div(self.tape.len()).unwrap_or_default();
        let drawn = self.tape.get(self.drawn.checked_rem(self.tape.len()).unwrap_or_default()).copied();
        self.drawn += 1;
        // Another number each time round, or a short tape would repeat one decision for ever.
        drawn.unwrap_or_default().wrapping_add(u8::try_from(round % 256).unwrap().wrapping_mul(31))
    }

    /// Begins what has become possible, and stops what nobody waits for.
    fn collect(&mut self) {
        for event in self.run.take_events() {
            assert_eq!(event.seq, self.next_seq, "events have no gaps");
            assert_eq!(event.at_ms, self.now, "an event bears the time at which it happened: {event:?}");
            self.next_seq += 1;
            self.trace.push(Happening::Told(event));
        }
        for (id, effect) in self.run.take_effects() {
            assert!(self.seen.insert(id.clone()), "{id} was handed out twice");
            assert!(self.run.is_open(&id), "{id} is handed out and not open");
            let settlement = self.perform(&id, &effect);
            let tie = self.draw();
            self.trace.push(Happening::Began { id: id.clone(), effect: effect.clone() });
            let ends = self.now + settlement.timing.elapsed_us / 1_000;
            self.performing.push(Performing { ends, tie, id, effect, settlement });
        }
        for id in self.run.take_abandoned() {
            let before = self.performing.len();
            self.performing.retain(|performing| performing.id != id);
            assert_eq!(self.performing.len() + 1, before, "{id} is abandoned and was not being performed");
            assert!(!self.run.is_open(&id), "{id} is abandoned and open");
            self.trace.push(Happening::Abandoned { id });
        }
        assert!(self.run.take_effects().is_empty() && self.run.take_abandoned().is_empty());
        if self.run.is_finished() {
            assert!(self.performing.is_empty(), "effects outlive their run: {:?}", self.performing);
        } else {
            assert!(!self.performing.is_empty(), "the run waits for nothing: {:#?}", self.run.status());
        }
        self.trace.push(Happening::Idle { at: self.now });
    }

    fn perform(&mut self, id: &EffectId, effect: &Effect) -> Settlement {
        let (mut ms, mut outcome) = match effect {
            Effect::Wait { ms } => (*ms, Outcome::Wait),
            effect => (self.world)(effect),
        };
        if let Some(limit) = self.run.time_limit(id) {
            let limit_ms = u64::try_from(limit.as_millis()).unwrap();
            if ms > limit_ms {
                (ms, outcome) = (limit_ms, Outcome::TimedOut { limit_ms });
            }
        }
        let timing = Timing { started_ms: self.now, elapsed_us: ms * 1_000 };
        Settlement { id: id.clone(), outcome, timing }
    }

    /// Settles what is done next. `false` if the run has ended.
    pub(crate) fn step(&mut self) -> bool {
        let next = self.performing.iter().enumerate().min_by_key(|(_, next)| (next.ends, next.tie));
        let Some((place, _)) = next else { return false };
        let next = self.performing.remove(place);
        assert!(next.ends >= self.now);
        self.now = next.ends;
        self.run.settle(next.settlement.clone()).unwrap();
        assert!(!self.run.is_open(&next.id));
        self.trace.push(Happening::Settled { settlement: next.settlement });
        self.collect();
        true
    }

    /// Runs on to the end.
    pub(crate) fn finish(mut self) -> (GraphResult, Vec<Happening>) {
        let mut steps = 0;
        while self.step() {
            steps += 1;
            assert!(steps < 100_000, "the run does not end");
        }
        assert_eq!(self.run.status(), Some(self.run.clone().into_result().unwrap().status));
        (self.run.into_result().unwrap(), self.trace)
    }

    /// Stops the run from outside, `ms` later.
    pub(crate) fn stop(&mut self, reason: StopReason) {
        self.run.stop(reason, self.now);
        self.collect();
    }

    /// The machine is gone; what it wrote down is read again, and hands out exactly what was being performed.
    pub(crate) fn crash(&mut self) {
        let text = serde_json::to_string(&self.run).unwrap();
        let mut read: GraphRun = serde_json::from_str(&text).unwrap();
        assert_eq!(read, self.run, "a run that is read back is the run that was written");
        assert!(read.take_effects().is_empty());
        let limits = |run: &GraphRun, ids: &[(EffectId, Effect)]| {
            ids.iter().map(|(id, _)| run.time_limit(id)).collect::<Vec<_>>()
        };
        read.hand_out_again();
        let mut again = read.take_effects();
        again.sort_by(|(left, _), (right, _)| left.cmp(right));
        let mut open: Vec<_> = self
            .performing
            .iter()
            .map(|performing| (performing.id.clone(), performing.effect.clone()))
            .collect();
        open.sort_by(|(left, _), (right, _)| left.cmp(right));
        assert_eq!(again, open, "what is open is handed out again");
        assert_eq!(limits(&read, &again), limits(&self.run, &open));
        self.run = read;
    }

    /// Tries settlements that must be refused, each of which must change nothing.
    pub(crate) fn try_nonsense(&mut self) {
        let before = self.run.clone();
        let ended = self.run.is_finished();
        let timing = Timing { started_ms: self.now, elapsed_us: 0 };
        let unknown = EffectId { run: self.run.id().clone(), step: 1, index: 4_000_000 };
        let refused = self.run.settle(Settlement { id: unknown, outcome: Outcome::Wait, timing });
        assert!(matches!(refused, Err(SettleError::Unknown(_) | SettleError::Finished)), "{refused:?}");
        let unknown = EffectId { run: RunId::new("another").unwrap(), step: 1, index: 0 };
        let refused = self.run.settle(Settlement { id: unknown, outcome: Outcome::Wait, timing });
        assert!(matches!(refused, Err(SettleError::Unknown(_) | SettleError::Finished)), "{refused:?}");
        let done: Vec<Settlement> = self
            .trace
            .iter()
            .filter_map(|happening| match happening {
                Happening::Settled { settlement, .. } => Some(settlement.clone()),
                _ => None,
            })
            .collect();
        for settlement in done {
            let refused = self.run.settle(settlement);
            let right = if ended {
                matches!(refused, Err(SettleError::Finished))
            } else {
                matches!(refused, Err(SettleError::AlreadySettled(_)))
            };
            assert!(right, "{refused:?}");
        }
        if let Some(open) = self.performing.first() {
            let wrong = Settlement { id: open.id.clone(), outcome: Outcome::Check { problem: None }, timing };
            let refused = self.run.settle(wrong);
            assert!(matches!(refused, Err(SettleError::Mismatch(_))), "{refused:?}");
        }
        assert_eq!(self.run, before, "what is refused changes nothing");
        assert!(self.run.take_effects().is_empty() && self.run.take_events().is_empty());
    }

    /// How many effects are being performed.
    pub(crate) fn open(&self) -> usize {
        self.performing.len()
    }
}

/// Starts a graph's run at [`START`].
pub(crate) fn start(spec: &Arc<GraphSpec>, input: Map<String, Value>) -> GraphRun {
    let task = GraphTask { input, started_ms: START, ..GraphTask::default() };
    GraphRun::start(RunId::new("run_test").unwrap(), spec.clone(), task)
}

/// The events of a trace.
pub(crate) fn events(trace: &[Happening]) -> impl Iterator<Item = &EventKind> {
    trace.iter().filter_map(|happening| match happening {
        Happening::Told(event) => Some(&event.kind),
        _ => None,
    })
}

/// Gives a fresh run the settlements of a trace, and nothing else: recovery from a journal.
pub(crate) fn fold(mut run: GraphRun, trace: &[Happening]) -> GraphRun {
    for happening in trace {
        if let Happening::Settled { settlement, .. } = happening {
            let _ = (run.take_effects(), run.take_abandoned(), run.take_events());
            run.settle(settlement.clone()).unwrap();
        }
    }
    let _ = (run.take_effects(), run.take_abandoned(), run.take_events());
    run
}
