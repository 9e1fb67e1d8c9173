//! What goes well.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[test]
fn a_run_over_http_is_seen_by_the_commands() {
    let (place, model) = (Place::new(), FakeServer::always(code("print('hi')\nfinal_answer(42)")));
    let server = Server::starts(place.with(&model, &["serve"]));
    let notice = place.path().join("data/server.json");
    assert_eq!(notice.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let run = server.runs("What is 6 * 7?\u{1b}]0;owned");
    assert_eq!((run["state"].as_str(), &run["answer"]), (Some("ended"), &json!(42)), "{run}");
    let id = run["id"].as_str().unwrap();

    let list = on_data(&place, &["runs", "list"]);
    let line = list.stdout.lines().nth(1).unwrap();
    assert!(line.starts_with(&format!("{id}  succeeded  assistant  local/local")), "{list:?}");
    assert!(!list.stdout.contains('\u{1b}'), "{list:?}");
    let listed = parsed(&on_data(&place, &["runs", "list", "--json", "--state", "ended"]));
    assert_eq!(listed[0]["id"], run["id"]);
    assert_eq!(listed[0]["usage"], run["usage"], "the names are those of the API");
    assert_eq!(parsed(&on_data(&place, &["runs", "list", "--json", "--state", "queued"])), json!([]));
    assert_eq!(parsed(&on_data(&place, &["runs", "list", "--json", "--user", "ann"])), json!([]));

    // Names may be cut, and the beginning that all have left out.
    for name in [id, &id[..12], &id[4..12]] {
        let shown = on_data(&place, &["runs", "show", name]);
        assert!(shown.stdout.starts_with(&format!("run       {id}\nstate     succeeded\n")), "{shown:?}");
        assert!(shown.stdout.ends_with("answer\n  42\n"), "{shown:?}");
        assert!(!shown.stdout.contains('\u{1b}'), "{shown:?}");
    }
    let logs = on_data(&place, &["runs", "logs", "-f", id]);
    assert_eq!(logs.code, Some(0), "{logs:?}");
    assert!(logs.stdout.starts_with("step 1\n  python\n  | print('hi')\n"), "{logs:?}");
    assert!(logs.stdout.contains("\ndone: "), "{logs:?}");
    let events = on_data(&place, &["runs", "logs", "--json", id]);
    let events: Vec<Value> = events.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len() as u64, run["last_event"].as_u64().unwrap());
    assert_eq!(events.last().unwrap()["type"], "run.ended");

    let export = parsed(&on_data(&place, &["runs", "export", id]));
    assert_eq!(
        (&export["run"]["id"], export["events"].as_array().unwrap().len()),
        (&run["id"], events.len())
    );
    let markdown = on_data(&place, &["runs", "export", id, "--format", "markdown", "-o", "run.md"]);
    assert_eq!((markdown.code, markdown.stdout.as_str()), (Some(0), ""), "{markdown:?}");
    let markdown = std::fs::read_to_string(place.path().join("run.md")).unwrap();
    assert!(markdown.contains("```python\nprint('hi')\nfinal_answer(42)\n```"), "{markdown}");

    let over = on_data(&place, &["runs", "cancel", id]);
    assert_eq!(over.code, Some(1), "{over:?}");
    assert!(over.error().ends_with("has ended already"), "{over:?}");
    assert_eq!(server.ends(libc::SIGTERM).code, Some(0));
    assert!(!notice.exists());
    assert_eq!(
        parsed(&on_data(&place, &["runs", "show", "--json", id]))["answer"],
        42,
        "also without a server"
    );
}

#[test]
fn keys_are_made_and_revoked_beside_the_server_and_without_one() {
    let (place, model) = (Place::new(), FakeServer::always(code("final_answer(1)")));
    let create = |user: &str| {
        let done =
            on_data(&place, &["keys", "create", "--user", user, "--expires", "90d", "--label", "of a test"]);
        assert_eq!(done.code, Some(0), "{done:?}");
        assert!(done.stderr.contains("keep this key"), "{done:?}");
        done.stdout.trim_end().to_owned()
    };
    let ann = create("ann");
    let server = Server::starts(place.with(&model, &["serve", "--auth", "keys"]));
    let bob = create("bob");
    let task = json!({"task": "t"});
    let ask = |key: Option<&str>| server.posts("/api/v1/runs", key, &task).0;
    assert_eq!((ask(Some(&ann)), ask(Some(&bob)), ask(None), ask(Some("mrt_x"))), (200, 200, 401, 401));

    let list = on_data(&place, &["keys", "list"]);
    assert_eq!(list.stdout.lines().count(), 3, "{list:?}");
    assert!(list.stdout.contains("local/ann") && list.stdout.contains("of a test"), "{list:?}");
    let secret = ann.rsplit('_').next().unwrap();
    assert!(!list.stdout.contains(secret), "{list:?}");
    let store = std::fs::read(place.path().join("data/martlet.db")).unwrap();
    let log = std::fs::read(place.path().join("data/martlet.db-wal")).unwrap_or_default();
    for file in [store, log] {
        assert!(!file.windows(secret.len()).any(|part| part == secret.as_bytes()), "a secret is stored");
    }
    let runs = parsed(&on_data(&place, &["runs", "list", "--json", "--user", "ann"]));
    assert_eq!(runs.as_array().unwrap().len(), 1, "{runs}");

    let id = ann.split('_').nth(1).unwrap();
    assert_eq!(on_data(&place, &["keys", "revoke", &id[..6]]).code, Some(0));
    assert_eq!((ask(Some(&ann)), ask(Some(&bob))), (401, 200));
    let again = on_data(&place, &["keys", "revoke", id]);
    assert_eq!(again.code, Some(2), "{again:?}");
    assert_eq!(server.ends(libc::SIGINT).code, Some(0));
    let states = parsed(&on_data(&place, &["keys", "list", "--json"]));
    assert_eq!((&states[0]["state"], &states[1]["state"]), (&json!("revoked"), &json!("valid")), "{states}");
}

#[test]
fn a_call_that_waits_is_approved_after_the_server_was_killed() {
    let (place, model) = (Place::new(), FakeServer::with_replies(program_and_answer()));
    with_approval(&place, &model);
    let server = Server::starts(place.martlet(&["serve"]));
    let run = server.runs("Count.");
    assert_eq!(run["state"], "waiting", "{run}");
    let id = run["id"].as_str().unwrap();
    let waits = on_data(&place, &["runs", "logs", "-f", id]);
    assert_eq!(waits.code, Some(3), "a person has to decide first: {waits:?}");
    assert_eq!(server.ends(libc::SIGKILL).code, None);

    let server = Server::starts(place.martlet(&["serve"]));
    let shown = on_data(&place, &["runs", "show", id]);
    assert!(shown.stdout.contains("may this call be made?"), "{shown:?}");
    assert!(shown.stdout.contains(r#"python(code="print(6 * 7)\u001b[2J")"#), "{shown:?}");
    assert!(!shown.stdout.contains('\u{1b}'), "{shown:?}");
    let wrong = on_data(&place, &["runs", "answer", id, "yes"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    let unfit = on_data(&place, &["runs", "approve", id, "--arguments", r#"{"program": "1"}"#]);
    assert_eq!(unfit.code, Some(2), "{unfit:?}");
    let approved = on_data(&place, &["runs", "approve", id, "--arguments", r#"{"code": "print(6 * 7)"}"#]);
    assert_eq!(approved.code, Some(0), "{approved:?}");
    let logs = on_data(&place, &["runs", "logs", "-f", id]);
    assert_eq!(logs.code, Some(0), "{logs:?}");
    assert!(logs.stdout.contains("python is approved as python(code=\"print(6 * 7)\")"), "{logs:?}");
    let row = parsed(&on_data(&place, &["runs", "show", "--json", id]));
    assert_eq!(
        (&row["answer"], &row["approvals"][0]["state"]),
        (&json!("it is done"), &json!("decided")),
        "{row}"
    );
    assert_eq!(on_data(&place, &["runs", "approve", id]).code, Some(2), "it asks nothing any more");
    assert_eq!(server.ends(libc::SIGTERM).code, Some(0));
}

#[test]
fn a_question_of_an_agent_is_answered_and_the_run_resumed_without_a_server() {
    let place = Place::new();
    let model = FakeServer::with_replies([
        Reply::tool_call("ask_user", json!({"question": "Which city?"})),
        Reply::text("Paris it is"),
        Reply::text("Rome is better"),
    ]);
    with_approval(&place, &model);
    let server = Server::starts(place.martlet(&["serve"]));
    let run = server.runs("Plan a trip.");
    assert_eq!(run["state"], "waiting", "{run}");
    let id = run["id"].as_str().unwrap();
    assert_eq!(server.ends(libc::SIGTERM).code, Some(0));

    let waits = on_data(&place, &["runs", "resume", id]);
    assert_eq!(waits.code, Some(3), "{waits:?}");
    let answered = on_data(&place, &["runs", "answer", id, "Paris"]);
    assert_eq!(answered.code, Some(0), "{answered:?}");
    assert!(answered.stderr.contains("no server runs"), "{answered:?}");
    let resumed = on_data(&place, &["runs", "resume", id]);
    assert_eq!((resumed.code, resumed.stdout.as_str()), (Some(0), "Paris it is\n"), "{resumed:?}");
    assert!(model.requests().last().unwrap().last_text().contains("Paris"));
    let over = on_data(&place, &["runs", "resume", id]);
    assert_eq!(over.code, Some(2), "{over:?}");
    let forked = on_data(&place, &["runs", "fork", id, "--step", "2", "--json"]);
    let fork = parsed(&forked);
    assert_eq!(
        (&fork["forked_from"]["run"], &fork["outcome"]),
        (&run["id"], &json!("succeeded")),
        "{forked:?}"
    );
}

#[test]
fn what_a_killed_server_was_doing_goes_on_or_is_cancelled() {
    let place = Place::new();
    let model =
        FakeServer::with_replies([Reply::never(), Reply::never(), code("final_answer('late')").into()]);
    let server = Server::starts(place.with(&model, &["serve"]));
    let (first, second) = (server.begins("first"), server.begins("second"));
    wait_for(&model, 2);
    assert_eq!(server.ends(libc::SIGKILL).code, None);

    let cancelled = on_data(&place, &["runs", "cancel", &second]);
    assert_eq!(cancelled.code, Some(0), "{cancelled:?}");
    assert_eq!(parsed(&on_data(&place, &["runs", "show", "--json", &second]))["outcome"], "cancelled");
    let mut command = place.with(&model, &["runs", "resume", &first, "--data", "data"]);
    command.arg("-q");
    let resumed = done(command);
    assert_eq!((resumed.code, resumed.stdout.as_str()), (Some(0), "late\n"), "{resumed:?}");
}

#[test]
fn a_run_is_cancelled_at_the_server() {
    let (place, model) = (Place::new(), FakeServer::always(Reply::never()));
    let server = Server::starts(place.with(&model, &["serve"]));
    let id = server.begins("t");
    wait_for(&model, 1);
    let cancelled = on_data(&place, &["runs", "cancel", &id]);
    assert_eq!(cancelled.code, Some(0), "{cancelled:?}");
    let follow = on_data(&place, &["runs", "logs", "-f", &id]);
    assert_eq!(follow.code, Some(130), "{follow:?}");
    assert!(follow.stdout.contains("cancelled: "), "{follow:?}");
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    let (place, model) = (Place::new(), FakeServer::always(Reply::never()));
    place.write("martlet.toml", "[server]\ngrace = \"9s\"\n");
    let server = Server::starts(place.with(&model, &["serve"]));
    server.begins("t");
    wait_for(&model, 1);
    assert!(send(server.id(), libc::SIGTERM));
    server.says("stopping");
    assert_eq!(server.ends(libc::SIGINT).code, Some(130));
    assert!(!place.path().join("data/server.json").exists());
}

#[test]
fn the_configuration_says_what_is_served() {
    let (place, model) = (Place::new(), FakeServer::always(code("final_answer('from the file')")));
    place.write(
        "martlet.toml",
        &format!(
            "model = \"fake\"\nagent = \"b\"\n[models.fake]\nmodel = \"fake\"\nbase_url = \"{}\"\n\
             price = {{ input = 0.15, output = 0.6 }}\n\
             [agents.a]\nmodel = \"gone\"\n[models.gone]\nmodel = \"gone\"\nbase_url = \"http://127.0.0.1:1/v1\"\n\
             [agents.b]\n[workflows.w.nodes.n]\nvalue = \"1 + 1\"\n",
            model.base_url()
        ),
    );
    let server = Server::starts(place.martlet(&["serve"]));
    assert_eq!(server.runs("t")["answer"], "from the file", "of the default agent");
    let (_, offered) = answer(client().get(format!("{}/api/v1/agents", server.url)));
    let prices = [&offered["agents"][0]["price"], &offered["agents"][1]["price"]];
    assert_eq!(prices, [&json!(null), &json!({"input": 0.15, "output": 0.6})], "{offered}");
    let (_, workflow) = server.posts("/api/v1/runs", None, &json!({"workflow": "w", "input": {}}));
    assert_eq!(
        (&workflow["kind"], &workflow["outcome"]),
        (&json!("workflow"), &json!("success")),
        "{workflow}"
    );
    let logs = on_data(&place, &["runs", "logs", "-f", workflow["id"].as_str().unwrap()]);
    assert!(logs.stdout.starts_with("w: 1 node"), "{logs:?}");
    assert!(logs.stdout.contains("\nn  done ("), "{logs:?}");
}

#[test]
fn users_at_once_are_faster_than_one_after_the_other() {
    let place = Place::new();
    let bench = ["bench", "concurrency", "--users", "4", "--latency", "200ms", "--json"];
    let report = parsed(&done(place.martlet(&bench)));
    assert_eq!(report["concurrent"]["each_s"].as_array().unwrap().len(), 4, "{report}");
    let (alone, together) = (&report["sequential"]["wall_s"], &report["concurrent"]["wall_s"]);
    assert!(alone.as_f64().unwrap() >= 0.8 && together.as_f64().unwrap() >= 0.2, "{report}");
    assert!(report["speed_up"].as_f64().unwrap() > 1.5, "{report}");
    assert!(!std::fs::read_dir(place.path()).unwrap().any(|_| true), "nothing is left behind");
}
