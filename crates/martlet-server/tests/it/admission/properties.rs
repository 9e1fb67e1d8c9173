//! What must hold whatever happens: a plain model keeps book of every run, and is asked after each operation.

use std::collections::{BTreeSet, HashMap};

use martlet_core::RunId;
use martlet_server::admission::{Admission, Limits, Offer, RefusalKind, Standing};
use martlet_store::{Lane, SessionId};
use proptest::prelude::*;

use super::{limits, run, slots, user};

#[derive(Debug, Clone)]
enum Op {
    Offer { user: u8, batch: bool, session: Option<u8>, weight: u32 },
    Restore { user: u8, batch: bool, session: Option<u8>, standing: Standing },
    Park(usize),
    Wake(usize),
    End(usize),
    Withdraw(usize),
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let session = || proptest::option::weighted(0.4, 0..4_u8);
    let standing = prop_oneof![Just(Standing::Queued), Just(Standing::Running), Just(Standing::Parked)];
    prop_oneof![
        8 => (0..5_u8, any::<bool>(), session(), 1..4_u32)
            .prop_map(|(user, batch, session, weight)| Op::Offer { user, batch, session, weight }),
        1 => (0..5_u8, any::<bool>(), session(), standing)
            .prop_map(|(user, batch, session, standing)| Op::Restore { user, batch, session, standing }),
        2 => any::<usize>().prop_map(Op::Park),
        2 => any::<usize>().prop_map(Op::Wake),
        6 => any::<usize>().prop_map(Op::End),
        1 => any::<usize>().prop_map(Op::Withdraw),
        2 => (0..100_000_u64).prop_map(Op::Pass),
    ]
}

fn some_limits() -> impl Strategy<Value = Limits> {
    (1..6_u32, 1..4_u32, 1..5_u32, 1..12_u32, 0..101_u32).prop_map(
        |(max_running, max_running_per_user, max_queued_per_user, max_queued, interactive_percent)| {
            limits(|limits| {
                limits.max_running = max_running;
                limits.max_running_per_user = max_running_per_user;
                limits.max_queued_per_user = max_queued_per_user;
                limits.max_queued = max_queued;
                limits.interactive_percent = interactive_percent;
            })
        },
    )
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Where {
    /// The number tells who came first.
    Queued(u64),
    Running,
    Parked,
}

/// The book that the model keeps of a run.
#[derive(Debug, Clone)]
struct Kept {
    user: u8,
    batch: bool,
    session: Option<u8>,
    at: Where,
    /// Whether it ran before: then it goes before those that did not.
    begun: bool,
}

struct Model {
    limits: Limits,
    runs: HashMap<RunId, Kept>,
    clock: u64,
}

impl Model {
    fn count(&self, test: impl Fn(&Kept) -> bool) -> u32 {
        self.runs.values().filter(|kept| test(kept)).count() as u32
    }

    fn running(&self, test: impl Fn(&Kept) -> bool) -> u32 {
        self.count(|kept| kept.at == Where::Running && test(kept))
    }

    fn in_state(&self, test: impl Fn(Where) -> bool) -> Vec<RunId> {
        let mut names: Vec<_> =
            self.runs.iter().filter(|(_, kept)| test(kept.at)).map(|(run, _)| run.clone()).collect();
        names.sort();
        names
    }

    /// Whether limits let this run start now, its session aside.
    fn fits(&self, kept: &Kept) -> bool {
        self.running(|_| true) < self.limits.max_running
            && self.running(|other| other.user == kept.user) < self.limits.max_running_per_user
            && (!kept.batch || self.running(|other| other.batch) < self.limits.open_slots())
    }

    /// Whether another run of its session is at its turn.
    fn is_held(&self, kept: &Kept) -> bool {
        kept.session.is_some()
            && self.count(|other| {
                other.session == kept.session && matches!(other.at, Where::Running | Where::Parked)
            }) > 0
    }
}

fn check_start(model: &Model, started: &RunId) -> Result<(), TestCaseError> {
    let kept = &model.runs[started];
    let Where::Queued(spot) = kept.at else {
        return Err(TestCaseError::fail(format!("{started} started while it was {:?}", kept.at)));
    };
    prop_assert!(model.fits(kept), "{started} exceeds a limit");
    prop_assert!(!model.is_held(kept), "{started} is not at its session's turn");
    // First come, first served within a user and a lane.
    for (name, other) in &model.runs {
        let Where::Queued(before) = other.at else { continue };
        let same_line = other.user == kept.user && other.batch == kept.batch;
        let first = (!other.begun, before) < (!kept.begun, spot);
        // Of the same session the order is that of its turns.
        if same_line && first && other.session.is_none() {
            return Err(TestCaseError::fail(format!("{started} started before {name}")));
        }
        let same_session = other.session.is_some() && other.session == kept.session;
        if same_session && before < spot && !other.begun && !kept.begun {
            return Err(TestCaseError::fail(format!("{started} started before {name} of its session")));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn limits_hold_order_holds_and_no_run_is_lost_or_started_twice(
        limits in some_limits(),
        ops in proptest::collection::vec(op(), 1..120),
    ) {
        let mut admission = Admission::new(limits.clone()).unwrap();
        let mut model = Model { limits, runs: HashMap::new(), clock: 0 };
        // At the end everything is woken and ended until nothing is left.
        let rest = (0..2_000).flat_map(|index| [Op::Wake(index), Op::End(index)]);
        let mut now_ms = 0;
        for (step, op) in ops.iter().cloned().chain(rest).enumerate() {
            if step >= ops.len() && model.runs.is_empty() {
                break;
            }
            let pick = |names: Vec<RunId>, index: usize| {
                (!names.is_empty()).then(|| names[index % names.len()].clone())
            };
            let make = |user_number: u8, batch: bool, session: Option<u8>, weight: u32| Offer {
                lane: if batch { Lane::Batch } else { Lane::Interactive },
                session: session.map(|session| SessionId::from_bits(session.into())),
                weight,
                ..Offer::new(run(&format!("r{step}")), user(&user_number.to_string()))
            };
            match op {
                Op::Pass(ms) => now_ms += ms,
                Op::Offer { user, batch, session, weight } => {
                    let queued = |at| matches!(at, Where::Queued(_));
                    let own = model.count(|kept| kept.user == user && queued(kept.at));
                    let all = model.count(|kept| queued(kept.at));
                    let offer = make(user, batch, session, weight);
                    let name = offer.run.clone();
                    let refusal = admission.offer(offer, now_ms).err();
                    let expected = if own >= model.limits.max_queued_per_user {
                        Some(RefusalKind::UserLimit)
                    } else {
                        (all >= model.limits.max_queued).then_some(RefusalKind::QueueFull)
                    };
                    prop_assert_eq!(refusal.map(|refusal| refusal.kind), expected);
                    if let Some(refusal) = refusal {
                        prop_assert!((1..=120).contains(&refusal.retry_after_s));
                    } else {
                        let at = Where::Queued(model.clock);
                        model.runs.insert(name, Kept { user, batch, session, at, begun: false });
                    }
                }
                Op::Restore { user, batch, session, standing } => {
                    let offer = make(user, batch, session, 1);
                    // A store cannot hold two runs of a session that have both begun.
                    let begun = model.count(|kept| {
                        let waits = matches!(kept.at, Where::Queued(_)) && !kept.begun;
                        session.is_some() && kept.session == session && !waits
                    });
                    if standing != Standing::Queued && begun > 0 {
                        continue;
                    }
                    let name = offer.run.clone();
                    admission.restore(offer, standing, now_ms);
                    let at = if standing == Standing::Parked {
                        Where::Parked
                    } else {
                        Where::Queued(model.clock)
                    };
                    let begun = standing != Standing::Queued;
                    model.runs.insert(name, Kept { user, batch, session, at, begun });
                }
                Op::Park(index) => {
                    if let Some(name) = pick(model.in_state(|at| at == Where::Running), index) {
                        admission.parked(&name, now_ms);
                        model.runs.get_mut(&name).unwrap().at = Where::Parked;
                    }
                }
                Op::Wake(index) => {
                    if let Some(name) = pick(model.in_state(|at| at == Where::Parked), index) {
                        admission.woken(&name, now_ms);
                        let kept = model.runs.get_mut(&name).unwrap();
                        (kept.at, kept.begun) = (Where::Queued(model.clock), true);
                    }
                }
                Op::End(index) => {
                    if let Some(name) = pick(model.in_state(|at| at == Where::Running), index) {
                        admission.ended(&name, now_ms);
                        model.runs.remove(&name);
                    }
                }
                Op::Withdraw(index) => {
                    if let Some(name) = pick(model.in_state(|_| true), index) {
                        let queued = matches!(model.runs[&name].at, Where::Queued(_));
                        prop_assert_eq!(admission.withdraw(&name), queued);
                        if queued {
                            model.runs.remove(&name);
                        }
                    }
                }
            }
            model.clock += 1;
            while let Some(started) = admission.next(now_ms) {
                prop_assert!(model.runs.contains_key(&started), "{started} is not there any more");
                check_start(&model, &started)?;
                model.runs.get_mut(&started).unwrap().at = Where::Running;
            }

            // No slot stays empty while a run could take it.
            for (name, kept) in &model.runs {
                let first_of_session = kept.session.is_none();
                let idle = matches!(kept.at, Where::Queued(_)) && first_of_session && model.fits(kept);
                prop_assert!(!idle, "{name} could start and does not");
            }
            // It knows what the model knows.
            for (name, kept) in &model.runs {
                let expected = match kept.at {
                    Where::Queued(_) => Standing::Queued,
                    Where::Running => Standing::Running,
                    Where::Parked => Standing::Parked,
                };
                prop_assert_eq!(admission.standing(name), Some(expected));
            }
            let load = admission.load();
            prop_assert_eq!((load.queued + load.running + load.parked) as usize, model.runs.len());
            // Positions are the numbers from 1, each once in its lane, and what is told of them is so.
            for lane in [false, true] {
                let places: Vec<_> = model
                    .runs
                    .iter()
                    .filter(|(_, kept)| kept.batch == lane && matches!(kept.at, Where::Queued(_)))
                    .map(|(name, _)| admission.place(name).unwrap())
                    .collect();
                let positions: BTreeSet<_> = places.iter().map(|place| place.position).collect();
                prop_assert_eq!(positions, (1..=places.len() as u32).collect::<BTreeSet<_>>());
                prop_assert!(places.iter().all(|place| place.of as usize == places.len()));
            }
            for (name, place) in admission.changed() {
                prop_assert_eq!(admission.place(&name), Some(place));
            }
        }
        prop_assert!(model.runs.is_empty(), "never ended: {:?}", model.runs);
    }

    /// With nothing that holds runs back, they start in the order of their positions: also when the line was joined,
    /// left and moved before.
    #[test]
    fn runs_start_in_the_order_of_their_positions(
        before in proptest::collection::vec((0..6_u8, 1..5_u32, any::<bool>()), 0..60),
        then in proptest::collection::vec((0..6_u8, 1..5_u32), 1..60),
    ) {
        let mut admission = slots(1);
        let offer = |name: &str, number: u8, weight| Offer {
            weight,
            ..Offer::new(run(name), user(&number.to_string()))
        };
        let mut running = None;
        for (index, (number, weight, moves)) in before.into_iter().enumerate() {
            admission.offer(offer(&format!("b{index}"), number, weight), 0).unwrap();
            if moves && let Some(run) = running.take() {
                admission.ended(&run, 0);
            }
            running = running.or_else(|| admission.next(0));
        }
        for (index, (number, weight)) in then.into_iter().enumerate() {
            admission.offer(offer(&format!("t{index}"), number, weight), 0).unwrap();
        }
        let mut told: Vec<_> = (0..60)
            .flat_map(|index| [run(&format!("b{index}")), run(&format!("t{index}"))])
            .filter_map(|run| admission.place(&run).map(|place| (place.position, run)))
            .collect();
        told.sort();
        let mut started = Vec::new();
        loop {
            if let Some(run) = running.take() {
                admission.ended(&run, 0);
            }
            let Some(run) = admission.next(0) else { break };
            started.push(run.clone());
            running = Some(run);
        }
        prop_assert_eq!(told.into_iter().map(|(_, run)| run).collect::<Vec<_>>(), started);
    }
}
