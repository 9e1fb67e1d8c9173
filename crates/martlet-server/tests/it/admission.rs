//! The scheduler: its promises one by one. What must hold whatever happens is in [`properties`].

mod properties;
mod starvation;

use std::collections::{BTreeMap, HashMap};

use martlet_core::{Principal, RunId};
use martlet_server::admission::{Admission, Limits, Load, Offer, Refusal, RefusalKind, Standing};
use martlet_store::{Lane, SessionId};

fn user(name: &str) -> Principal {
    Principal::new("acme", name).unwrap()
}

fn run(name: &str) -> RunId {
    RunId::new(name).unwrap()
}

fn offer(run_name: &str, user_name: &str) -> Offer {
    Offer::new(run(run_name), user(user_name))
}

fn batch(run_name: &str, user_name: &str) -> Offer {
    Offer { lane: Lane::Batch, ..offer(run_name, user_name) }
}

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

/// A scheduler with so many slots, of which all are open, and no other limit that matters.
fn slots(max_running: u32) -> Admission {
    Admission::new(limits(|limits| {
        limits.max_running = max_running;
        limits.max_running_per_user = max_running;
        limits.max_queued_per_user = 100_000;
        limits.max_queued = 100_000;
        limits.interactive_percent = 0;
    }))
    .unwrap()
}

fn starts(admission: &mut Admission, now_ms: u64) -> Vec<String> {
    std::iter::from_fn(|| admission.next(now_ms)).map(|run| run.to_string()).collect()
}

#[test]
fn who_comes_after_a_hundred_runs_of_another_starts_at_the_next_free_slot() {
    for (slot_count, weight) in [(1, 1), (4, 1), (4, 3)] {
        let mut admission = slots(slot_count);
        for index in 0..100 {
            admission.offer(Offer { weight, ..offer(&format!("a{index}"), "ann") }, 0).unwrap();
        }
        let started = starts(&mut admission, 0);
        assert_eq!(started.len(), slot_count as usize);
        admission.offer(Offer { weight, ..offer("b", "bob") }, 10).unwrap();
        assert_eq!(admission.place(&run("b")).unwrap().position, 1);
        assert!(starts(&mut admission, 10).is_empty());
        admission.ended(&run(&started[0]), 20);
        assert_eq!(starts(&mut admission, 20), ["b"], "{slot_count} slots");
    }
}

/// Users who always have runs waiting, for 60 simulated seconds; runs take from 100 ms to 900 ms.
fn served(weights: &[u32]) -> Vec<u64> {
    let mut admission = Admission::new(limits(|limits| limits.max_running_per_user = 4)).unwrap();
    let (mut ending, mut offered, mut served) = (BTreeMap::new(), 0_u64, vec![0; weights.len()]);
    let mut draw = 1_u64;
    for now_ms in (0..60_000).step_by(10) {
        for ended in ending.remove(&now_ms).unwrap_or_default() {
            admission.ended(&ended, now_ms);
        }
        for (index, weight) in weights.iter().enumerate() {
            // A queue that is full says no; that is what keeps it full.
            let name = format!("{index}-{offered}");
            let _ = admission.offer(Offer { weight: *weight, ..offer(&name, &index.to_string()) }, now_ms);
            offered += 1;
        }
        while let Some(started) = admission.next(now_ms) {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let took_ms = 100 + (draw >> 33) % 80 * 10;
            ending.entry(now_ms + took_ms).or_insert_with(Vec::new).push(started.clone());
            let index: usize = started.as_str().split('-').next().unwrap().parse().unwrap();
            served[index] += 1;
        }
    }
    served
}

/// Jain's index: 1 if all have the same, 1/n if one has all.
fn jain(shares: impl Iterator<Item = f64> + Clone) -> f64 {
    let (sum, squares): (f64, f64) = (shares.clone().sum(), shares.clone().map(|share| share * share).sum());
    sum * sum / (shares.count() as f64 * squares)
}

#[test]
fn equal_users_are_served_equally_and_others_by_weight() {
    let equal = served(&[1; 20]);
    let index = jain(equal.iter().map(|count| *count as f64));
    assert!(index >= 0.95, "Jain {index} of {equal:?}");

    let weights = [1, 1, 2, 3, 1, 2, 1, 1, 3, 1];
    let weighted = served(&weights);
    let shares = weighted.iter().zip(weights).map(|(count, weight)| *count as f64 / f64::from(weight));
    let index = jain(shares);
    assert!(index >= 0.95, "Jain {index} of {weighted:?}");
    assert!(weighted[3] > 2 * weighted[0], "{weighted:?}");
}

#[test]
fn full_queues_refuse_with_a_time_to_come_back() {
    let mut admission = Admission::new(limits(|limits| {
        limits.max_running = 1;
        limits.max_queued = 3;
        limits.max_queued_per_user = 2;
    }))
    .unwrap();
    let refused = |admission: &mut Admission, offer| admission.offer(offer, 0).unwrap_err();
    admission.offer(offer("a0", "ann"), 0).unwrap();
    assert_eq!(starts(&mut admission, 0), ["a0"]);
    admission.offer(offer("a1", "ann"), 0).unwrap();
    assert_eq!(admission.allowance(&user("ann")).remaining, 1);
    admission.offer(offer("a2", "ann"), 0).unwrap();
    let allowance = admission.allowance(&user("ann"));
    assert_eq!((allowance.limit, allowance.remaining), (2, 0));
    assert!((1..=120).contains(&allowance.reset_s));

    let refusal = refused(&mut admission, offer("a3", "ann"));
    assert_eq!((refusal.kind, refusal.limit, refusal.remaining), (RefusalKind::UserLimit, 2, 0));
    assert_eq!(
        refusal.to_string(),
        "2 of your runs are waiting, which is the most that may; try again in 10 s"
    );
    admission.offer(offer("b1", "bob"), 0).unwrap();
    let refusal = refused(&mut admission, offer("b2", "bob"));
    assert_eq!((refusal.kind, refusal.limit), (RefusalKind::QueueFull, 3));
    assert_eq!(refusal.to_string(), "the server's queue of 3 runs is full; try again in 10 s");
    assert_eq!(admission.load(), Load { queued: 3, running: 1, parked: 0 });

    // Nothing was kept of those that were refused, and one that is known is not taken in twice.
    assert_eq!(admission.standing(&run("b2")), None);
    admission.offer(offer("b1", "bob"), 0).unwrap();
    admission.drain();
    let Refusal { kind, limit, retry_after_s, .. } = refused(&mut admission, offer("c", "cyd"));
    assert_eq!((kind, limit, retry_after_s), (RefusalKind::Draining, 0, 10));
    admission.ended(&run("a0"), 5);
    assert!(admission.is_draining() && admission.next(5).is_none());
    assert_eq!(admission.load().queued, 3);
}

#[test]
fn interactive_runs_have_a_quarter_of_the_slots_for_themselves() {
    let mut admission = Admission::new(limits(|limits| limits.max_running_per_user = 16)).unwrap();
    for user in 0..3 {
        for index in 0..10 {
            admission.offer(batch(&format!("b{user}-{index}"), &user.to_string()), 0).unwrap();
        }
    }
    assert_eq!(starts(&mut admission, 0).len(), 12);
    for index in 0..5 {
        admission.offer(offer(&format!("chat{index}"), "ann"), 0).unwrap();
    }
    assert_eq!(starts(&mut admission, 0), ["chat0", "chat1", "chat2", "chat3"]);
    // The slot of a batch run is open to both; the lanes take turns.
    admission.ended(&run("b0-0"), 10);
    assert_eq!(starts(&mut admission, 10), ["chat4"]);
    admission.ended(&run("b1-0"), 10);
    assert!(starts(&mut admission, 10)[0].starts_with('b'));
}

#[test]
fn interactive_runs_that_fill_all_slots_do_not_keep_batch_runs_out() {
    let mut admission = Admission::new(limits(|limits| limits.max_running_per_user = 16)).unwrap();
    for user in 0..8 {
        for index in 0..10 {
            admission.offer(offer(&format!("chat{user}-{index}"), &user.to_string()), 0).unwrap();
        }
    }
    let mut running = starts(&mut admission, 0);
    assert_eq!(running.len(), 16);
    for index in 0..4 {
        admission.offer(batch(&format!("b{index}"), "bob"), 0).unwrap();
    }
    for turn in 0..8 {
        admission.ended(&run(&running.remove(0)), 10);
        let started = starts(&mut admission, 10);
        assert_eq!(started[0].starts_with('b'), turn % 2 == 0, "turn {turn}: {started:?}");
    }
}

#[test]
fn a_run_that_has_waited_long_goes_before_younger_ones_of_its_user() {
    let one_slot = |ageing_ms| {
        let mut admission = Admission::new(limits(|limits| {
            limits.max_running = 4;
            limits.max_running_per_user = 1;
            limits.ageing_ms = ageing_ms;
        }))
        .unwrap();
        admission.offer(batch("old", "ann"), 0).unwrap();
        admission.offer(offer("young", "ann"), 500).unwrap();
        starts(&mut admission, 1_000)
    };
    assert_eq!(one_slot(1_000), ["old"]);
    assert_eq!(one_slot(1_001), ["young"]);
}

#[test]
fn the_runs_of_a_session_run_one_after_another() {
    let session = SessionId::from_bits(1);
    let of_session = |name| Offer { session: Some(session.clone()), ..offer(name, "ann") };
    let mut admission = slots(8);
    for name in ["s1", "s2", "s3"] {
        admission.offer(of_session(name), 0).unwrap();
    }
    admission.offer(offer("other", "ann"), 0).unwrap();
    assert_eq!(starts(&mut admission, 0), ["s1", "other"]);

    // A parked run frees its slot and keeps the turn.
    admission.parked(&run("s1"), 10);
    assert_eq!(admission.load(), Load { queued: 2, running: 1, parked: 1 });
    assert!(starts(&mut admission, 10).is_empty());
    admission.woken(&run("s1"), 20);
    assert_eq!(starts(&mut admission, 30), ["s1"]);
    assert_eq!(admission.waited_ms(&run("s1")), Some(10));

    // One that is withdrawn lets the next one have the turn.
    assert!(admission.withdraw(&run("s2")));
    assert!(!admission.withdraw(&run("s1")), "it runs");
    admission.ended(&run("s1"), 40);
    assert_eq!(starts(&mut admission, 40), ["s3"]);
    // A run that is cancelled while it is parked passes the turn on, too.
    admission.offer(of_session("s4"), 40).unwrap();
    admission.parked(&run("s3"), 50);
    admission.ended(&run("s3"), 60);
    assert_eq!(starts(&mut admission, 60), ["s4"]);
}

#[test]
fn a_woken_run_goes_before_the_others_of_its_user_and_is_never_refused() {
    let mut admission = Admission::new(limits(|limits| {
        limits.max_running = 1;
        limits.max_queued_per_user = 2;
        limits.max_queued = 2;
    }))
    .unwrap();
    admission.offer(offer("a1", "ann"), 0).unwrap();
    assert_eq!(starts(&mut admission, 0), ["a1"]);
    admission.parked(&run("a1"), 10);
    for name in ["a2", "a3", "a4"] {
        admission.offer(offer(name, "ann"), 10).unwrap();
        assert_eq!(starts(&mut admission, 10).len(), usize::from(name == "a2"));
    }
    admission.woken(&run("a1"), 20);
    assert_eq!(admission.load(), Load { queued: 3, running: 1, parked: 0 });
    assert_eq!(admission.place(&run("a1")).unwrap().position, 1);
    admission.ended(&run("a2"), 30);
    assert_eq!(starts(&mut admission, 30), ["a1"]);
}

#[test]
fn what_a_restart_finds_goes_on_as_it_stood() {
    let session = SessionId::from_bits(7);
    let of_session = |name| Offer { session: Some(session.clone()), ..offer(name, "ann") };
    let mut admission = Admission::new(limits(|limits| limits.max_queued = 1)).unwrap();
    admission.restore(offer("queued", "ann"), Standing::Queued, 0);
    admission.restore(offer("running", "ann"), Standing::Running, 0);
    admission.restore(offer("queued2", "ann"), Standing::Queued, 0);
    // The order of creation may lie: who had begun has the turn.
    admission.restore(of_session("s2"), Standing::Queued, 0);
    admission.restore(of_session("s1"), Standing::Parked, 0);
    assert_eq!(starts(&mut admission, 0), ["running", "queued"]);
    assert_eq!(admission.load(), Load { queued: 2, running: 2, parked: 1 });
    admission.ended(&run("running"), 5);
    admission.ended(&run("queued"), 5);
    assert_eq!(starts(&mut admission, 5), ["queued2"]);
    admission.woken(&run("s1"), 6);
    assert_eq!(starts(&mut admission, 6), ["s1"]);
    admission.ended(&run("s1"), 7);
    assert_eq!(starts(&mut admission, 7), ["s2"]);
}

#[test]
fn places_come_with_an_estimate_and_changes_are_told_once() {
    let mut admission = slots(2);
    for index in 0..6 {
        admission.offer(offer(&format!("a{index}"), "ann"), 0).unwrap();
    }
    assert_eq!(admission.place(&run("a1")).unwrap().eta_ms, 0, "a slot is free for it");
    assert_eq!(starts(&mut admission, 0), ["a0", "a1"]);
    let places = |admission: &mut Admission| -> HashMap<String, (u32, u32, u64)> {
        let changed = admission.changed();
        for (run, place) in &changed {
            assert_eq!(admission.place(run), Some(*place));
        }
        changed
            .into_iter()
            .map(|(run, place)| (run.to_string(), (place.position, place.of, place.eta_ms)))
            .collect()
    };
    let before = places(&mut admission);
    assert_eq!(before["a2"], (1, 4, 5_000));
    assert_eq!(before["a5"], (4, 4, 20_000));
    assert!(places(&mut admission).is_empty());

    // Runs take 2 s: the estimate learns it.
    admission.ended(&run("a0"), 2_000);
    assert_eq!(starts(&mut admission, 2_000), ["a2"]);
    let after = places(&mut admission);
    assert_eq!(after.len(), 3);
    assert_eq!(after["a3"], (1, 3, 1_000));
    assert_eq!(after["a5"], (3, 3, 3_000));
    assert!(admission.withdraw(&run("a3")));
    assert_eq!(places(&mut admission).len(), 2);
}

#[test]
fn the_estimate_knows_the_limit_of_the_user() {
    let mut admission = Admission::new(Limits::default()).unwrap();
    for index in 0..6 {
        admission.offer(offer(&format!("a{index}"), "ann"), 0).unwrap();
    }
    assert_eq!(starts(&mut admission, 0).len(), 2);
    // Fourteen slots are free, but not for ann: two of hers at a time, 10 s each.
    let eta = |name: &str| admission.place(&run(name)).unwrap().eta_ms;
    assert_eq!([eta("a2"), eta("a3"), eta("a5")], [5_000, 10_000, 20_000]);
}

#[test]
fn what_is_not_known_is_left_alone() {
    let mut admission = slots(1);
    let nobody = run("nobody");
    admission.parked(&nobody, 1);
    admission.woken(&nobody, 1);
    admission.ended(&nobody, 1);
    assert!(!admission.withdraw(&nobody));
    assert_eq!(admission.place(&nobody), None);
    assert_eq!(admission.load(), Load::default());
    admission.offer(offer("a", "ann"), 0).unwrap();
    admission.parked(&run("a"), 0);
    admission.woken(&run("a"), 0);
    assert_eq!(admission.standing(&run("a")), Some(Standing::Queued));
}

#[test]
fn a_hundred_thousand_offers_are_a_matter_of_a_moment() {
    let mut admission = slots(16);
    let started = std::time::Instant::now();
    let mut ended = 0;
    let mut running = std::collections::VecDeque::new();
    for index in 0..100_000_u32 {
        let offer = Offer::new(RunId::from_bits(index.into()), user(&(index % 1_000).to_string()));
        admission.offer(offer, index.into()).unwrap();
        running.extend(admission.next(index.into()));
    }
    let _ = admission.changed();
    while let Some(run) = running.pop_front() {
        admission.ended(&run, 200_000);
        ended += 1;
        while let Some(run) = admission.next(200_000) {
            running.push_back(run);
        }
    }
    assert_eq!(ended, 100_000);
    let took = started.elapsed();
    assert!(took.as_secs() < 5, "{took:?} for 100,000 runs offered, started and ended");
    println!("100,000 runs offered, started and ended in {took:?}");
}
