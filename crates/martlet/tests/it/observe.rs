//! Watching a run.

use martlet::core::Delta;
use martlet::{Agent, EventKind, Observer, Update};
use martlet_testkit::{ScriptedModel, ScriptedReply};

fn agent() -> Agent {
    let model = ScriptedModel::new([
        ScriptedReply::text("I count.\n```python\nfor i in range(3): print(i)\n```").pieces(4),
        ScriptedReply::text("```python\nfinal_answer('three')\n```").pieces(4),
    ]);
    Agent::code(model).build().unwrap()
}

async fn all(mut observer: Observer) -> Vec<Update> {
    let mut seen = Vec::new();
    while let Some(update) = observer.next().await {
        seen.push(update);
    }
    seen
}

fn kinds(updates: &[Update]) -> Vec<String> {
    let mut kinds = Vec::new();
    for update in updates {
        if let Update::Event { event } = update {
            let value = serde_json::to_value(event).unwrap();
            kinds.push(value["type"].as_str().unwrap().to_owned());
        }
    }
    kinds
}

#[tokio::test]
async fn every_observer_sees_every_event_in_order_and_what_streams_between_them() {
    let run = agent().run("Count.").start();
    let (first, second) = (run.observe(), run.observe());
    let (first, second, result) = tokio::join!(all(first), all(second), run.result());
    result.unwrap();
    assert_eq!(kinds(&first), kinds(&second));
    assert_eq!(
        kinds(&first),
        [
            "run.started",
            "step.started",
            "model.replied",
            "code.started",
            "code.ended",
            "step.ended",
            "step.started",
            "model.replied",
            "code.started",
            "code.ended",
            "step.ended",
            "run.ended",
        ]
    );
    for (number, update) in first.iter().filter(|update| matches!(update, Update::Event { .. })).enumerate() {
        let Update::Event { event } = update else { unreachable!() };
        assert_eq!(event.seq, u64::try_from(number).unwrap());
    }
    let text: String = first
        .iter()
        .filter_map(|update| match update {
            Update::Delta { step: 1, delta: Delta::Text { text } } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert!(text.starts_with("I count."), "{text}");
    let printed: String = first
        .iter()
        .filter_map(|update| match update {
            Update::Printed { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(printed, "0\n1\n2\n");
    let place = |wanted: &dyn Fn(&Update) -> bool| first.iter().position(wanted).unwrap();
    let delta = place(&|update| matches!(update, Update::Delta { .. }));
    let replied = place(
        &|update| matches!(update, Update::Event { event } if matches!(event.kind, EventKind::ModelReplied { .. })),
    );
    assert!(delta < replied, "a reply streams before it is there");
}

#[tokio::test]
async fn an_observer_that_never_looks_holds_nothing_up_and_misses_no_event() {
    let flood = "```python\nfor i in range(5000): print(i)\nfinal_answer('done')\n```";
    let run = Agent::code(ScriptedModel::new([ScriptedReply::text(flood).pieces(1)]))
        .build()
        .unwrap()
        .run("Go.")
        .start();
    let lazy = run.observe();
    run.result().await.unwrap();
    let seen = all(lazy).await;
    assert_eq!(kinds(&seen).last().unwrap(), "run.ended");
    assert_eq!(kinds(&seen).len(), 7);
    assert!(seen.len() < 1_100, "what streams is bounded: {}", seen.len());
}
