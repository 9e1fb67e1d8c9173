//! Properties of a run under random replies, failures, orders, re-deliveries and restarts.

use std::collections::HashSet;

use martlet_core::code::{CodeCall, CodeEnd, CodeError, CodeValue};
use martlet_core::graph::{NodeFailure, NodeFailureKind};
use martlet_core::{
    ApprovalPolicy, ApprovalRule, ChildEnd, CodeOutcome, CodeRequest, Decision, Effect, EffectId,
    FinishReason, HostFailure, ModelFailure, ModelFailureKind, ModelReply, Outcome, Run, RunResult,
    SettleError, Settlement, Status, Strategy, Timing, ToolFailure, ToolFailureKind, ToolOutput, ToolSpec,
    Usage,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::managed::with_scout;
use crate::support::{call, settings, start};

/// Decides everything that is random, from the bytes of a test case.
struct Dice {
    bytes: Vec<u8>,
    next: usize,
}

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        let byte = self.bytes[self.next % self.bytes.len()];
        // Another number each time round, or a short tape would repeat one decision for ever.
        let number =
            usize::from(byte).wrapping_mul(31).wrapping_add(self.next / self.bytes.len() * 7 + self.next);
        self.next += 1;
        number % sides
    }
}

/// A sandbox that keeps its word most of the time.
#[derive(Default)]
struct Sandbox {
    calls: u32,
    pending: Vec<u32>,
}

impl Sandbox {
    fn perform(&mut self, request: &CodeRequest, dice: &mut Dice) -> Outcome {
        match request {
            CodeRequest::Start { .. } => (self.calls, self.pending) = (0, Vec::new()),
            CodeRequest::Resume { results } => {
                for result in results {
                    assert!(
                        self.pending.contains(&result.index),
                        "a result that nobody waits for: {result:?}"
                    );
                    self.pending.retain(|index| *index != result.index);
                }
            }
        }
        let outcome = match dice.roll(12) {
            0..=4 if self.calls < 4 => {
                let mut calls: Vec<CodeCall> = Vec::new();
                for _ in 0..=dice.roll(2) {
                    let mut made = call(self.calls, if dice.roll(5) == 0 { "" } else { "a" });
                    match dice.roll(5) {
                        0 => made.name = "send".into(),
                        1 | 2 => made = scout_call(self.calls, dice),
                        _ => {}
                    }
                    self.pending.push(self.calls);
                    self.calls += 1;
                    calls.push(made);
                }
                CodeOutcome::Waiting { calls, awaiting: self.pending.clone() }
            }
            5 => CodeOutcome::lost("gone"),
            6 => CodeOutcome::Waiting { calls: vec![call(9, "x")], awaiting: vec![] },
            7 | 8 => {
                let error =
                    CodeError { kind: "E".into(), message: "m".into(), line: None, source_line: None };
                CodeOutcome::Ended(CodeEnd { error: Some(error), ..CodeEnd::default() })
            }
            9 => {
                let answer = CodeValue { json: json!(dice.roll(3)), repr: String::new() };
                CodeOutcome::Ended(CodeEnd { answer: Some(answer), ..CodeEnd::default() })
            }
            10 if dice.roll(4) == 0 => {
                return Outcome::Code { result: Err(HostFailure { message: "no sandbox".into() }) };
            }
            _ => CodeOutcome::Ended(CodeEnd { stdout: "out".into(), ..CodeEnd::default() }),
        };
        Outcome::Code { result: Ok(outcome) }
    }
}

fn scout_call(index: u32, dice: &mut Dice) -> CodeCall {
    let parameter = if dice.roll(6) == 0 { "tasks" } else { "task" };
    CodeCall {
        index,
        name: "scout".into(),
        arguments: Map::from_iter([(parameter.to_owned(), json!("look"))]),
    }
}

fn model(dice: &mut Dice) -> Outcome {
    let replies = [
        "```python\nprint(1)\n```",
        "prose",
        "",
        "x = 1\nprint(x)",
        "{\"name\": \"lookup\", \"arguments\": {\"key\": \"a\"}}",
        "[{\"name\": \"lookup\", \"arguments\": {\"key\": \"a\"}}, {\"name\": \"send\", \"arguments\": {\"text\": \"b\"}}]",
        "[{\"name\": \"nothing\", \"arguments\": {}}, {\"name\": \"lookup\", \"arguments\": {\"k\": 1}}]",
        "{\"name\": \"final_answer\", \"arguments\": {\"answer\": 1}}",
        "{\"name\": \"final_answer\", \"arguments\": {}}",
        "[{\"name\": \"scout\", \"arguments\": {\"task\": \"a\"}}, {\"name\": \"scout\", \"arguments\": {\"task\": \"b\"}}]",
        "{\"has_sufficient_info\": true, \"reasoning\": \"r\", \"tasks\": []}",
        "{\"has_sufficient_info\": false, \"tasks\": []}",
        "{'tasks': [{'description': 'a', 'tool_name': 'lookup', 'depends_on': []}, {'description': 'b', 'tool_name': None}, \
         {'description': 'c', 'tool_name': 'send', 'depends_on': [1]}, {'description': 'd', 'tool_name': 'scout', 'depends_on': []}]}",
        "{\"tasks\": [{\"description\": \"a\", \"tool_name\": \"gone\", \"depends_on\": [2]}, {\"description\": \"b\", \
         \"depends_on\": [1, 9]}]}",
        "{\"key\": \"a\", \"text\": \"b\"}",
        "{\"key\": \"a\"}",
        "{\"text\": \"b\"}",
        "{\"task\": \"b\"}",
        "{\"is_complete\": true}",
        "{\"is_complete\": false, \"next_action\": \"more\", \"missing_steps\": [\"x\"]}",
        "1",
    ];
    let result = match dice.roll(60) {
        0 => Err(ModelFailure { kind: ModelFailureKind::Unavailable, message: "down".into() }),
        1 => Err(ModelFailure { kind: ModelFailureKind::Request, message: "no forms".into() }),
        2 => Err(ModelFailure { kind: ModelFailureKind::ContextLength, message: "too long".into() }),
        roll => {
            let mut reply = ModelReply::text(replies[roll % replies.len()]);
            reply.usage.input_tokens = 3;
            if roll % 7 == 0 {
                reply.finish = FinishReason::Length;
            }
            Ok(reply)
        }
    };
    Outcome::Model { result }
}

fn perform(id: &EffectId, effect: &Effect, sandbox: &mut Sandbox, dice: &mut Dice) -> Outcome {
    match effect {
        Effect::Model { .. } => model(dice),
        Effect::Tool { .. } | Effect::Child { .. } if dice.roll(8) == 0 => Outcome::TimedOut { limit_ms: 5 },
        Effect::Child { .. } => {
            let result = match dice.roll(3) {
                0 => Err(NodeFailure::new(NodeFailureKind::Failed, "lost")),
                value => Ok(json!({"found": value})),
            };
            let usage = Usage { output_tokens: 2, ..Usage::default() };
            Outcome::Child { end: ChildEnd { run: id.child_run(), result, usage } }
        }
        Effect::Tool { .. } => Outcome::Tool {
            result: match dice.roll(3) {
                0 => Err(ToolFailure::new(ToolFailureKind::Failed, "broken")),
                value => Ok(ToolOutput::from(json!(value))),
            },
        },
        Effect::Approve { arguments, .. } => Outcome::Approve {
            decision: match dice.roll(4) {
                0 => Decision::Approved,
                1 => Decision::Edited { arguments: edited(arguments) },
                2 => Decision::Edited { arguments: Map::from_iter([("nothing".into(), json!(1))]) },
                _ => Decision::Denied { reason: "no".into() },
            },
        },
        Effect::Code { request } => sandbox.perform(request, dice),
        Effect::Check { .. } => {
            Outcome::Check { problem: if dice.roll(2) == 0 { Some("no".into()) } else { None } }
        }
        other => panic!("unknown effect {other:?}"),
    }
}

/// The arguments with a person's words in each of them.
fn edited(arguments: &Map<String, Value>) -> Map<String, Value> {
    arguments.keys().map(|name| (name.clone(), json!("a person's"))).collect()
}

/// What the policy of an agent is to be.
fn policy(kind: u8) -> ApprovalPolicy {
    let rules: &[ApprovalRule] = match kind {
        0 => &[],
        1 => &[ApprovalRule::ask()],
        2 => &[
            ApprovalRule::deny().when("arguments.key == 'a'".parse().unwrap()).reason("not that one"),
            ApprovalRule::allow().tool("send".parse().unwrap()),
        ],
        _ => &[ApprovalRule::deny()],
    };
    ApprovalPolicy::new(rules.iter().cloned())
}

/// The tokens that a settlement tells of.
fn tokens_of(settlement: &Settlement) -> u64 {
    match &settlement.outcome {
        Outcome::Model { result: Ok(reply) } => reply.usage.total(),
        Outcome::Child { end } => end.usage.total(),
        _ => 0,
    }
}

fn read_back(run: &Run) -> Run {
    let text = serde_json::to_string(run).unwrap();
    let read: Run = serde_json::from_str(&text).unwrap();
    assert_eq!(&read, run, "a run that is read back is the run that was written");
    read
}

/// Drives a run to its end in a random order, and gives its result and the settlements in their order.
fn drive(mut run: Run, dice: &mut Dice) -> (RunResult, Vec<Settlement>) {
    let mut sandbox = Sandbox::default();
    let mut seen: HashSet<EffectId> = HashSet::new();
    let mut waiting: Vec<(EffectId, Effect)> = Vec::new();
    let mut journal: Vec<Settlement> = Vec::new();
    let mut next_seq = 0;
    for _ in 0..2_000 {
        for event in run.take_events() {
            assert_eq!(event.seq, next_seq, "events have no gaps");
            next_seq += 1;
        }
        for (id, effect) in run.take_effects() {
            assert!(seen.insert(id.clone()), "{id} was handed out twice");
            waiting.push((id, effect));
        }
        let abandoned = run.take_abandoned();
        waiting.retain(|(id, _)| !abandoned.contains(id));
        if let Some(result) = run.result() {
            assert!(waiting.is_empty(), "effects outlive their run: {waiting:?}");
            return (result, journal);
        }
        assert!(!waiting.is_empty(), "the run waits for nothing: {run:?}");
        let (id, effect) = waiting.remove(dice.roll(waiting.len()));
        let outcome = perform(&id, &effect, &mut sandbox, dice);
        let timing = Timing { started_ms: 1_000 + u64::try_from(journal.len()).unwrap(), elapsed_us: 500 };
        let settlement = Settlement { id, outcome, timing };
        if dice.roll(3) == 0 {
            run = read_back(&run);
        }
        run.settle(settlement.clone()).unwrap();
        if dice.roll(4) == 0 {
            let before = run.clone();
            let again = run.settle(settlement.clone());
            assert!(
                matches!(again, Err(SettleError::AlreadySettled(_) | SettleError::Finished)),
                "{again:?}"
            );
            assert_eq!(run, before, "what is delivered again changes nothing");
        }
        journal.push(settlement);
    }
    panic!("the run does not end: {run:?}");
}

fn strategy() -> impl proptest::strategy::Strategy<Value = Strategy> {
    prop_oneof![Just(Strategy::Code), Just(Strategy::ToolCalling), Just(Strategy::Reasoning)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_any_outcomes_gives_a_run_that_ends_and_can_be_replayed(
        bytes in proptest::collection::vec(any::<u8>(), 1..200),
        strategy in strategy(),
        native: bool,
        checks: bool,
        own_answer: bool,
        schema: bool,
        rules in 0u8..4,
        max_steps in 1u32..6,
        max_tokens in proptest::option::of(10u64..100),
    ) {
        let mut agent = with_scout(strategy);
        if own_answer && strategy == Strategy::Reasoning {
            let own = ToolSpec::new("final_answer", "Ends the task.").parameters(json!({
                "type": "object", "properties": {"answer": {}}, "required": ["answer"],
            }));
            agent.tools = agent.tools.iter().cloned().chain([own]).collect();
        }
        if schema && strategy == Strategy::Reasoning {
            agent.answer_schema = Some(json!({"type": "integer"}));
        }
        agent.limits.max_tokens = max_tokens;
        agent.profile.native_tools = native;
        agent.answer_checks = checks;
        agent.approvals = policy(rules);
        agent.limits.max_steps = max_steps;
        let run = start(agent);
        let fresh = run.clone();
        let (result, journal) = drive(run, &mut Dice { bytes, next: 0 });
        prop_assert!(result.steps.len() <= max_steps as usize + 1);
        prop_assert_eq!(result.usage.total(), journal.iter().map(tokens_of).sum::<u64>());

        // The journal alone gives the same run again.
        let mut again = fresh;
        for settlement in journal {
            let _ = again.take_effects();
            again.settle(settlement).unwrap();
        }
        prop_assert_eq!(again.result().unwrap(), result);
    }

    #[test]
    fn a_run_that_lost_its_driver_hands_out_exactly_what_is_open(
        bytes in proptest::collection::vec(any::<u8>(), 1..60),
        strategy in strategy(),
        settled in 0usize..12,
    ) {
        let mut dice = Dice { bytes, next: 0 };
        let mut sandbox = Sandbox::default();
        let mut run = start(with_scout(strategy));
        let mut waiting = Vec::new();
        for _ in 0..settled {
            waiting.extend(run.take_effects());
            let abandoned = run.take_abandoned();
            waiting.retain(|(id, _)| !abandoned.contains(id));
            if waiting.is_empty() { break; }
            let (id, effect) = waiting.remove(dice.roll(waiting.len()));
            let outcome = perform(&id, &effect, &mut sandbox, &mut dice);
            run.settle(Settlement { id, outcome, timing: Timing::default() }).unwrap();
        }
        waiting.extend(run.take_effects());
        let abandoned = run.take_abandoned();
        waiting.retain(|(id, _)| !abandoned.contains(id));
        waiting.sort_by(|(left, _), (right, _)| left.cmp(right));
        let mut read = read_back(&run);
        prop_assert!(read.take_effects().is_empty());
        read.hand_out_again();
        let again = read.take_effects();
        prop_assert_eq!(again, waiting);
    }

    #[test]
    fn an_outcome_of_another_kind_changes_nothing(kind in 0usize..6) {
        let mut run = start(settings(Strategy::Code));
        let (id, _) = run.take_effects().remove(0);
        let outcome = [
            Outcome::Check { problem: None },
            Outcome::Approve { decision: Decision::Approved },
            Outcome::Tool { result: Ok(ToolOutput::from(json!(1))) },
            Outcome::Code { result: Ok(CodeOutcome::lost(String::new())) },
            Outcome::TimedOut { limit_ms: 1 },
            Outcome::Child { end: ChildEnd { run: id.child_run(), result: Ok(json!(1)), usage: Usage::default() } },
        ][kind].clone();
        let before = run.clone();
        let refused = run.settle(Settlement { id, outcome, timing: Timing::default() });
        prop_assert!(matches!(refused, Err(SettleError::Mismatch(_))));
        prop_assert_eq!(run, before);
    }
}

#[test]
fn a_stopped_run_ends_at_once_and_settles_nothing_more() {
    let mut run = start(settings(Strategy::Code));
    let (id, _) = run.take_effects().remove(0);
    run.stop(martlet_core::StopReason::Cancelled, 5_000);
    assert_eq!(run.status(), Status::Finished(martlet_core::RunStatus::Cancelled));
    assert_eq!(run.take_abandoned(), std::slice::from_ref(&id));
    let late = Settlement { id, outcome: Outcome::Check { problem: None }, timing: Timing::default() };
    assert_eq!(run.settle(late), Err(SettleError::Finished));
}
