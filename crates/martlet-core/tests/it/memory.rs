//! Runs that go on with a conversation which is more than they are shown.

use std::sync::Arc;

use martlet_core::memory::estimate;
use martlet_core::{
    AgentSettings, AgentSpec, Effect, Event, EventKind, Message, ModelFailure, ModelFailureKind, Outcome,
    Part, Role, Run, RunId, RunStatus, SettleError, Settlement, Strategy, Task, Timing,
};

use crate::support::*;

fn agent(memory_tokens: Option<u64>) -> Arc<AgentSpec> {
    let mut settings = AgentSettings { strategy: Strategy::ToolCalling, ..AgentSettings::default() };
    settings.limits.memory_tokens = memory_tokens;
    Arc::new(AgentSpec::new(settings).unwrap())
}

/// Six turns, each with something that was observed.
fn history(words: usize) -> Vec<Message> {
    let turn = |number: usize| {
        [
            Message::user(format!("Question {number}?")),
            Message::assistant(format!("I look {number}.")),
            Message::observation(format!("Seen {number}: {}", "word ".repeat(words))),
            Message::assistant(format!("Answer {number}: {}", "because ".repeat(40))),
        ]
    };
    (1..=6).flat_map(turn).collect()
}

fn begin(memory_tokens: Option<u64>, history: Vec<Message>) -> Run {
    let task = Task { history, started_ms: 1_000, ..Task::new("And now?") };
    Run::start(RunId::new("run_test").unwrap(), agent(memory_tokens), task)
}

fn texts(messages: &[Message]) -> Vec<String> {
    messages.iter().skip(1).map(|message| message.joined_text().chars().take(24).collect()).collect()
}

fn condensed(events: &[Event]) -> &EventKind {
    let found =
        events.iter().map(|event| &event.kind).find(|kind| matches!(kind, EventKind::MemoryCondensed { .. }));
    found.unwrap()
}

#[test]
fn what_fits_stays_as_it_is() {
    for memory in [Some(100_000), None] {
        let mut run = begin(memory, history(500));
        let asked = says(&mut run, "Done.");
        assert_eq!(asked.messages.len(), 1 + 24 + 1);
        assert!(
            !run.take_events().iter().any(|event| matches!(event.kind, EventKind::MemoryCondensed { .. }))
        );
    }
}

#[test]
fn old_observations_are_cut_without_asking_a_model() {
    let mut run = begin(Some(2_400), history(500));
    let events = run.take_events();
    let EventKind::MemoryCondensed { from_tokens, to_tokens, observations, messages, summary, .. } =
        condensed(&events)
    else {
        panic!("{events:?}");
    };
    assert!(*from_tokens > 2_400 && *to_tokens <= 2_400, "{events:?}");
    assert_eq!((*observations, *messages, summary), (4, 0, &None));
    let asked = says(&mut run, "Done.");
    let said = &asked.messages[1..25];
    assert!(estimate(said) <= 2_400);
    assert!(said[2].joined_text().contains("left out to keep the conversation short"));
    assert!(!said[22].joined_text().contains("left out"), "the last turn stays");
}

#[test]
fn older_turns_become_a_summary_that_is_an_effect_of_its_own() {
    let mut run = begin(Some(500), history(500));
    let (id, effect) = only_effect(&mut run);
    assert_eq!(id.to_string(), "run_test/0/0");
    let Effect::Model { request } = effect else { panic!("{effect:?}") };
    assert!(request.tools.is_empty() && request.messages.len() == 2);
    let told = request.messages[1].joined_text();
    assert!(
        told.contains("User: Question 1?")
            && told.contains("Observation: Seen 1")
            && !told.contains("Question 6")
    );
    // Whoever takes the run over here has to ask again, and nothing else.
    let mut other: Run = serde_json::from_str(&serde_json::to_string(&run).unwrap()).unwrap();
    other.hand_out_again();
    assert_eq!(only_effect(&mut other), (id.clone(), Effect::Model { request }));
    say(&mut run, &id, "  The user counts things. ");
    let timing = Timing::default();
    let again = Settlement { id: id.clone(), outcome: Outcome::Check { problem: None }, timing };
    assert_eq!(run.settle(again), Err(SettleError::AlreadySettled(id)));
    insta::assert_json_snapshot!("memory_events", run.take_events());
    let asked = says(&mut run, "Done.");
    assert_eq!(
        texts(&asked.messages),
        [
            "This is a summary of the",
            "Question 6?",
            "I look 6.",
            "Seen 6: word word word w",
            "Answer 6: because becaus",
            "And now?"
        ]
    );
    assert!(asked.messages[1].joined_text().ends_with(":\nThe user counts things."));
    assert!(estimate(&asked.messages[1..6]) <= 500);
    let result = run.result().unwrap();
    // What is remembered is what was shown; the summary counts in what the run cost, and is no step.
    assert_eq!(texts(&result.conversation)[0], "Question 6?");
    assert_eq!((result.steps.len(), result.usage.total(), result.status), (1, 30, RunStatus::Succeeded));
}

#[test]
fn without_a_summary_the_older_turns_are_left_out_and_the_run_goes_on() {
    for reply in [
        Ok(martlet_core::ModelReply::text(" ")),
        Err(ModelFailure { kind: ModelFailureKind::ContextLength, message: "too long".into() }),
    ] {
        let mut run = begin(Some(500), history(500));
        let (id, _) = only_effect(&mut run);
        settle(&mut run, &id, Outcome::Model { result: reply });
        let events = run.take_events();
        let EventKind::MemoryCondensed { summary, error, messages, .. } = condensed(&events) else {
            panic!()
        };
        assert!(summary.is_none() && error.is_some() && *messages == 20, "{events:?}");
        let asked = says(&mut run, "Done.");
        assert_eq!(
            asked.messages[1].joined_text(),
            "[20 earlier messages were left out to keep the conversation short.]"
        );
        assert_eq!(asked.messages.last().unwrap().joined_text(), "And now?");
    }
}

#[test]
fn where_somebody_else_keeps_the_conversation_no_summary_is_made() {
    let task = Task { history: history(500), without_summary: true, ..Task::new("And now?") };
    let mut run = Run::start(RunId::new("run_test").unwrap(), agent(Some(500)), task);
    let events = run.take_events();
    let EventKind::MemoryCondensed { messages, summary, error, .. } = condensed(&events) else { panic!() };
    assert_eq!((*messages, summary, error), (20, &None, &None));
    let asked = says(&mut run, "Done.");
    assert_eq!(texts(&asked.messages)[..2], ["[20 earlier messages wer", "Question 6?"]);
}

#[test]
fn a_run_that_is_stopped_meanwhile_forgets_nothing() {
    let mut run = begin(Some(500), history(500));
    only_effect(&mut run);
    run.stop(martlet_core::run::StopReason::Cancelled, 2_000);
    let result = run.result().unwrap();
    assert_eq!((result.conversation.len(), result.steps.len()), (25, 0));
    assert!(result.conversation[4].joined_text() == "Question 2?");
}

#[test]
fn images_are_only_told_of_where_the_model_does_not_see_and_large_files_where_it_can_read_them() {
    let mut settings = AgentSettings { strategy: Strategy::ToolCalling, ..AgentSettings::default() };
    settings.profile.vision = false;
    let read = martlet_core::ToolSpec::new("read_file", "Reads.");
    let task = Task {
        parts: vec![
            Part::image("image/png", vec![0; 2_000]),
            Part::file("small.csv", "text/csv", &b"a,b\n"[..]),
            Part::file("large.csv", "text/csv", "1,2\n".repeat(5_000).into_bytes()),
            Part::file("book.xlsx", "application/x", vec![0; 2_000]),
        ],
        tools: Arc::from([read]),
        ..Task::new("What is it?")
    };
    let agent = Arc::new(AgentSpec::new(settings).unwrap());
    let mut run = Run::start(RunId::new("r").unwrap(), agent, task.clone());
    let asked = says(&mut run, "Done.");
    assert!(asked.tools.iter().any(|tool| tool.name == "read_file"));
    let parts = &asked.messages[1].parts;
    let told = |place: usize| parts[place].as_text().unwrap();
    assert_eq!(
        told(1),
        "[here is an image (image/png, 2 KiB), but you cannot see images: if it matters, say so]"
    );
    assert_eq!(parts[2], task.parts[1]);
    assert!(told(3).starts_with(
        "[file large.csv (text/csv, 20 KiB): read it with read_file(name=\"large.csv\"). It begins:\n1,2\n"
    ));
    assert_eq!(
        told(4),
        "[file book.xlsx (application/x, 2 KiB): read it with read_file(name=\"book.xlsx\")]"
    );
    // The conversation keeps them.
    assert_eq!(run.result().unwrap().conversation[0].parts[1..5], task.parts[..]);
    assert_eq!(asked.messages[1].role, Role::User);
}
