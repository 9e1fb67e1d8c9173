//! Nothing waits for ever, however many come and however they come.

use martlet_server::admission::{Admission, Offer};
use martlet_store::{Lane, SessionId};

use super::{limits, offer, run, slots};

/// Lets so many turns go by; each ends the running run and takes in what `come` gives. Returns the turn in which the
/// run `patient` started.
fn turns_until_patient_starts(admission: &mut Admission, mut come: impl FnMut(u64) -> Vec<Offer>) -> u64 {
    let mut running = Vec::new();
    for turn in 1..=10_000 {
        for offer in come(turn) {
            // Full queues are part of the flood.
            let patient = offer.run == run("patient");
            let taken = admission.offer(offer, turn * 100).is_ok();
            assert!(taken || !patient);
        }
        if turn > 1 {
            admission.ended(&running.remove(0), turn * 100);
        }
        while let Some(started) = admission.next(turn * 100) {
            if started == run("patient") {
                return turn;
            }
            running.push(started);
        }
    }
    panic!("it waited for 10,000 turns");
}

#[test]
fn a_flood_of_new_users_does_not_pass_those_who_wait() {
    let mut admission = slots(1);
    admission.offer(offer("first", "ann"), 0).unwrap();
    assert_eq!(admission.next(0), Some(run("first")));
    admission.offer(offer("patient", "ann"), 0).unwrap();
    admission.ended(&run("first"), 0);
    admission.offer(offer("other", "bob"), 0).unwrap();
    let turns = turns_until_patient_starts(&mut admission, |turn| {
        (0..3).map(|index| offer(&format!("f{turn}-{index}"), &format!("u{turn}-{index}"))).collect()
    });
    assert!(turns <= 70, "it waited for {turns} turns");
}

#[test]
fn a_heavy_user_does_not_starve_a_light_one() {
    let mut admission = slots(1);
    let heavy = |turn| Offer { weight: 50, ..offer(&format!("h{turn}"), "heavy") };
    for turn in 100_000..100_100 {
        admission.offer(heavy(turn), 0).unwrap();
    }
    admission.offer(offer("light", "light"), 0).unwrap();
    admission.offer(offer("patient", "light"), 0).unwrap();
    let turns = turns_until_patient_starts(&mut admission, |turn| vec![heavy(turn)]);
    assert!(turns <= 53, "it waited for {turns} turns");
}

#[test]
fn chats_do_not_starve_a_batch_run_whoever_has_them() {
    for (own, slot_count) in [(true, 1), (true, 4), (false, 1), (false, 4)] {
        let mut admission = Admission::new(limits(|limits| {
            limits.max_running = slot_count;
            limits.max_running_per_user = 1;
        }))
        .unwrap();
        let turns = turns_until_patient_starts(&mut admission, |turn| {
            let chat = |name: &str| offer(&format!("c-{name}-{turn}"), name);
            let mut come: Vec<_> = (0..8).map(|index| chat(&format!("u{index}"))).collect();
            if own {
                come.push(chat("ann"));
            }
            // When it comes, chats fill the slots and the queue.
            if turn == 5 {
                come.push(Offer { lane: Lane::Batch, ..offer("patient", "ann") });
            }
            come
        });
        assert!((5..30).contains(&turns), "own {own}, {slot_count} slots: it waited for {turns} turns");
    }
}

#[test]
fn turns_that_went_by_while_a_session_was_held_are_not_made_up_for() {
    let session = SessionId::from_bits(1);
    let mut admission = slots(1);
    for index in 0..4 {
        let held = Offer { session: Some(session.clone()), ..offer(&format!("held{index}"), "ann") };
        admission.offer(held, 0).unwrap();
    }
    assert_eq!(admission.next(0), Some(run("held0")));
    admission.parked(&run("held0"), 0);
    for turn in 0..50 {
        admission.offer(offer(&format!("b{turn}"), "bob"), 0).unwrap();
    }
    for turn in 0..20 {
        assert_eq!(admission.next(0), Some(run(&format!("b{turn}"))));
        admission.ended(&run(&format!("b{turn}")), 0);
    }
    // The person decides: from here on the two take turns again.
    admission.ended(&run("held0"), 0);
    let mut started = Vec::new();
    for _ in 0..4 {
        let run = admission.next(0).unwrap();
        admission.ended(&run, 0);
        started.push(run.to_string());
    }
    assert_eq!(started, ["held1", "b20", "held2", "b21"]);
}
