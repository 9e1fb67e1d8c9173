//! `martlet run`.

use std::process::Stdio;

use martlet_testkit::{FakeServer, Reply};
use serde_json::{Value, json};

use crate::support::{Done, Place, code, done, fed};

/// Two steps: one that prints and one that answers.
fn two_steps() -> FakeServer {
    FakeServer::with_replies([
        format!("I add the numbers first.\n{}", code("total = sum(range(10))\nprint('total:', total)")),
        code("final_answer(total * 2)"),
    ])
}

fn answered(place: &Place, server: &FakeServer, arguments: &[&str]) -> Done {
    let done = done(place.with(server, arguments));
    assert_eq!(done.code, Some(0), "{done:?}");
    done
}

/// What differs from one run to the next.
fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\d+\.\d s", "[time]");
    settings.add_filter(r"run_[0-9a-z]{26}", "[run]");
    settings.add_filter(r"127\.0\.0\.1:\d+", "[address]");
    settings
}

#[test]
fn a_code_agent_answers_on_stdout_and_shows_its_steps_on_stderr() {
    let (place, server) = (Place::new(), two_steps());
    let done = answered(&place, &server, &["run", "Twice the sum?"]);
    assert_eq!(done.stdout, "90\n");
    settings().bind(|| insta::assert_snapshot!(done.stderr));
}

#[test]
fn a_tool_calling_agent_uses_its_tools() {
    let place = Place::new();
    let server = FakeServer::with_replies([
        Reply::tool_call("python", json!({"code": "print('hi')\n6 * 7"})),
        Reply::tool_call("python", json!({"code": "1 / 0"})),
        Reply::tool_call("final_answer", json!({"answer": "It is 42."})),
    ]);
    let arguments = ["run", "--action-type", "tool_calling", "--tools", "python", "--", "6 times 7?"];
    let done = answered(&place, &server, &arguments);
    assert_eq!(done.stdout, "It is 42.\n");
    settings().bind(|| insta::assert_snapshot!(done.stderr));
}

#[test]
fn a_reasoning_agent_shows_its_plan() {
    let place = Place::new();
    let plan = json!({"has_sufficient_info": true, "reasoning": "Compute, then say it.", "tasks": [
        {"description": "Compute 6 times 7", "tool_name": "python", "depends_on": [], "requires_user_input": false},
        {"description": "Divide it by 0", "tool_name": "python", "depends_on": [1], "requires_user_input": false},
        {"description": "Say it", "tool_name": null, "depends_on": [2], "requires_user_input": false},
    ]});
    let check = |complete: bool, missing: &[&str]| {
        Reply::text(json!({"is_complete": complete, "reasoning": "I looked.", "missing_steps": missing, "next_action": ""}).to_string())
    };
    let again = json!({"has_sufficient_info": true, "reasoning": "It is there.", "tasks": []});
    let server = FakeServer::with_replies([
        Reply::text(plan.to_string()),
        Reply::text("{\"code\": \"6 * 7\"}"),
        Reply::text("{\"code\": \"1 / 0\"}"),
        check(false, &["the division"]),
        Reply::text(again.to_string()),
    ]);
    let arguments = ["run", "--action-type", "reasoning", "--tools", "python", "--", "6 times 7?"];
    let done = answered(&place, &server, &arguments);
    assert!(done.stdout.contains("42"), "{done:?}");
    settings().bind(|| insta::assert_snapshot!(done.stderr));
}

#[test]
fn quiet_shows_nothing_and_verbose_more() {
    let place = Place::new();
    let quiet = answered(&place, &two_steps(), &["run", "-q", "Twice the sum?"]);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("90\n", ""));
    let verbose = answered(&place, &two_steps(), &["run", "--verbosity-level", "2", "Twice the sum?"]);
    assert!(verbose.stderr.starts_with("run run_"), "{verbose:?}");
}

#[test]
fn json_is_one_object_on_stdout() {
    let (place, server) = (Place::new(), two_steps());
    let done = answered(&place, &server, &["run", "--json", "Twice the sum?"]);
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["schema"], 1);
    assert_eq!(report["status"], "succeeded");
    assert_eq!(report["answer"], 90);
    assert_eq!(report["usage"], json!({"input_tokens": 20, "output_tokens": 10}));
    assert_eq!(report["steps"].as_array().unwrap().len(), 2);
    assert_eq!(report["steps"][0]["stdout"], "total: 45\n");
    assert_eq!(report["error"], Value::Null);
    assert!(report["run_id"].as_str().unwrap().starts_with("run_"), "{report}");
    assert!(report["model"].as_str().unwrap().ends_with("/fake"), "{report}");
    assert!(report["elapsed_ms"].is_u64(), "{report}");
}

#[test]
fn jsonl_is_the_events_in_order() {
    let (place, server) = (Place::new(), two_steps());
    let done = answered(&place, &server, &["run", "--output", "jsonl", "-q", "Twice the sum?"]);
    let events: Vec<Value> = done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (seq, event) in events.iter().enumerate() {
        assert_eq!((&event["seq"], &event["schema"]), (&json!(seq), &json!(1)));
    }
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds.first(), Some(&"run.started"));
    assert_eq!(kinds.last(), Some(&"run.ended"));
    assert!(kinds.contains(&"code.ended"), "{kinds:?}");
}

#[test]
fn the_output_may_go_to_a_file() {
    let (place, server) = (Place::new(), two_steps());
    let path = place.write("answer.txt", "a longer text that was here before");
    let done = answered(&place, &server, &["run", "-q", "-o", path.to_str().unwrap(), "Twice the sum?"]);
    assert_eq!(done.stdout, "");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "90\n");
}

#[test]
fn the_task_may_come_from_stdin() {
    let place = Place::new();
    for arguments in [&["run", "-q"][..], &["run", "-q", "-"]] {
        let server = FakeServer::with_replies([code("final_answer('done')")]);
        let done = fed(place.with(&server, arguments), "The piped task\n");
        assert_eq!((done.code, done.stdout.as_str()), (Some(0), "done\n"), "{done:?}");
        assert!(server.requests()[0].last_text().contains("The piped task"));
    }
}

#[test]
fn stdin_beside_a_task_is_context() {
    let (place, server) = (Place::new(), FakeServer::with_replies([code("final_answer('done')")]));
    let done = fed(place.with(&server, &["run", "-q", "Summarise this"]), "first line\nsecond line\n");
    assert_eq!(done.code, Some(0), "{done:?}");
    let body = server.requests()[0].json().to_string();
    assert!(body.contains("Summarise this") && body.contains("first line\\nsecond line"), "{body}");
}

#[test]
fn files_and_images_come_along() {
    let (place, server) = (Place::new(), FakeServer::with_replies([code("final_answer('done')")]));
    place.write("sales.csv", "month,sum\nMay,7\n");
    std::fs::write(place.path().join("dot.png"), b"\x89PNG\r\n\x1a\nrest").unwrap();
    let arguments = ["run", "-q", "-f", "sales.csv", "--image", "dot.png", "Which month?"];
    answered(&place, &server, &arguments);
    let body = server.requests()[0].json().to_string();
    assert!(body.contains("sales.csv") && body.contains("May,7"), "{body}");
    assert!(body.contains("data:image/png;base64,"), "{body}");
}

#[test]
fn what_cannot_be_sent_is_said() {
    let (place, server) = (Place::new(), FakeServer::always("never asked"));
    std::fs::write(place.path().join("binary"), [0xff, 0xfe, 0]).unwrap();
    place.write("long.txt", &"x".repeat((1 << 20) + 1));
    place.write("schema.json", "{");
    for (arguments, text) in [
        (&["run", "-f", "binary", "t"][..], "binary is not UTF-8 text"),
        (&["run", "-f", "long.txt", "t"], "long.txt is longer than 1 MiB"),
        (&["run", "-f", "missing", "t"], "cannot read missing"),
        (&["run", "--image", "binary", "t"], "no PNG, JPEG, GIF or WebP"),
        (&["run", "--output-schema", "schema.json", "t"], "it is not JSON"),
        (
            &["run", "--tools", "web_serch", "--", "t"],
            "there are ask_user, download_images, python, read_file, visit_webpage",
        ),
        (&["run", "--tools", "python", "--", "t"], "--action-type tool_calling"),
        (&["run", "--imports", "numpy", "--", "t"], "no module `numpy`"),
        (&["run", "--model", "gpt-4o", "t"], "write openai/gpt-4o"),
        (&["run", "--model", "q", "--model-type", "MLXModel", "t"], "--model local"),
        (&["run", "-o", "no/such/place", "t"], "cannot write no/such/place"),
        (&["run"], "there is no task"),
    ] {
        let done = done(place.with(&server, arguments));
        assert_eq!(done.code, Some(2), "{arguments:?}: {done:?}");
        assert!(done.error().contains(text), "{arguments:?}: {done:?}");
        assert_eq!(done.stdout, "", "{arguments:?}");
    }
}

#[test]
fn an_answer_may_have_to_fit_a_schema() {
    let place = Place::new();
    let server = FakeServer::with_replies([code("final_answer('many')"), code("final_answer(3)")]);
    place.write("schema.json", r#"{"type": "integer"}"#);
    let done = answered(&place, &server, &["run", "-q", "--output-schema", "schema.json", "How many?"]);
    assert_eq!(done.stdout, "3\n");
}

#[test]
fn the_flags_reach_the_model() {
    let place = Place::new();
    let server = FakeServer::with_replies([code("final_answer(1)")]);
    let base = server.base_url();
    let mut command = place.martlet(&[
        "run",
        "-q",
        "--model-type",
        "OpenAIModel",
        "--model-id",
        "some-model",
        "--api-base",
        &base,
        "--api-key",
        "sk-from-the-flag",
        "--temperature",
        "0.5",
        "--instructions",
        "Answer in French.",
        "t",
    ]);
    command.env("OPENAI_API_KEY", "sk-from-the-environment");
    let done = done(command);
    assert_eq!(done.code, Some(0), "{done:?}");
    let request = &server.requests()[0];
    assert_eq!(request.header("authorization"), Some("Bearer sk-from-the-flag"));
    let body = request.json();
    assert_eq!((&body["model"], &body["temperature"]), (&json!("some-model"), &json!(0.5)));
    assert!(body["messages"][0].to_string().contains("Answer in French."), "{body}");
}

#[test]
fn the_prompt_can_be_chosen() {
    let place = Place::new();
    let mut lengths = Vec::new();
    for prompt in ["compact", "full"] {
        let server = FakeServer::with_replies([code("final_answer(1)")]);
        answered(&place, &server, &["run", "-q", "--prompt", prompt, "t"]);
        lengths.push(server.requests()[0].json()["messages"][0].to_string().len());
    }
    assert!(lengths[0] < lengths[1], "{lengths:?}");
}

#[test]
fn exit_codes_tell_what_happened() {
    let place = Place::new();
    let exit = |server: FakeServer, arguments: &[&str]| {
        let done = done(place.with(&server, arguments));
        assert!(done.error().len() > 20, "{done:?}");
        done.code.unwrap()
    };
    let endless = || FakeServer::always(code("x = 1"));
    assert_eq!(exit(FakeServer::always(Reply::status(401, "bad key")), &["run", "t"]), 5);
    assert_eq!(exit(FakeServer::always(Reply::status(400, "bad request")), &["run", "t"]), 1);
    assert_eq!(exit(endless(), &["run", "--max-steps", "2", "t"]), 4);
    assert_eq!(exit(endless(), &["run", "--max-tokens", "20", "t"]), 4);
    assert_eq!(exit(FakeServer::always(Reply::never()), &["run", "--timeout", "0.2", "t"]), 124);
}

#[test]
fn the_answer_of_a_last_call_is_given_with_its_reason() {
    let place = Place::new();
    let server = FakeServer::with_replies([code("1 / 0"), "I could not find out.".into()]);
    let done = done(place.with(&server, &["run", "--max-steps", "1", "t"]));
    assert_eq!((done.code, done.stdout.as_str()), (Some(4), "I could not find out.\n"), "{done:?}");
    settings().bind(|| insta::assert_snapshot!(done.stderr));
}

#[test]
fn a_last_call_that_fails_is_told_and_has_its_code() {
    let place = Place::new();
    for (status, expected) in [(401, 5), (400, 4)] {
        let replies = [Reply::from(code("x = 1")), Reply::status(status, "the reason of the provider")];
        let server = FakeServer::with_replies(replies);
        let done = done(place.with(&server, &["run", "-q", "--max-steps", "1", "t"]));
        assert_eq!(done.code, Some(expected), "{done:?}");
        assert!(done.error().contains("the last call for an answer failed: "), "{done:?}");
        assert!(done.error().contains("the reason of the provider"), "{done:?}");
    }
}

#[test]
fn a_failed_run_is_also_an_object() {
    let (place, server) = (Place::new(), FakeServer::always(Reply::status(401, "bad key")));
    let done = done(place.with(&server, &["run", "-q", "--json", "t"]));
    assert_eq!(done.code, Some(5), "{done:?}");
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&report["status"], &report["answer"]), (&json!("failed"), &Value::Null));
    assert_eq!(report["error"]["kind"], "auth");
}

#[test]
fn keys_are_in_no_output() {
    let place = Place::new();
    const KEY: &str = "sk-very-secret-key";
    for arguments in
        [&["run", "-v", "t"][..], &["run", "--json", "t"], &["doctor"], &["doctor", "--output", "json"]]
    {
        let server = FakeServer::with(|_| Reply::status(401, format!("Incorrect API key provided: {KEY}.")));
        let mut command = place.with(&server, arguments);
        command.env("MARTLET_API_KEY", KEY);
        let done = done(command);
        assert_ne!(done.code, Some(0), "{done:?}");
        assert_eq!(server.requests()[0].header("authorization"), Some("Bearer sk-very-secret-key"));
        assert!(!done.stdout.contains(KEY) && !done.stderr.contains(KEY), "{done:?}");
    }
}

#[test]
fn colours_only_where_they_are_wanted() {
    let place = Place::new();
    let colored = |variables: &[(&str, &str)]| {
        let mut command = place.with(&two_steps(), &["run", "t"]);
        command.envs(variables.iter().copied());
        done(command).stderr.contains('\u{1b}')
    };
    assert!(!colored(&[]));
    assert!(colored(&[("CLICOLOR_FORCE", "1")]));
    assert!(!colored(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    for output in ["text", "json", "jsonl"] {
        let server = two_steps();
        let mut child = place
            .with(&server, &["run", "-q", "--output", output, "t"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let done = crate::support::finish(child);
        assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{output}");
    }
}

#[test]
fn both_sandboxes_work() {
    let place = Place::new();
    for sandbox in ["worker", "in-process"] {
        let done = answered(&place, &two_steps(), &["run", "-q", "--sandbox", sandbox, "t"]);
        assert_eq!(done.stdout, "90\n", "{sandbox}");
    }
}
