//! `martlet workflow`.

use martlet_testkit::{FakeServer, Reply};
use serde_json::{Value, json};

use crate::support::{Done, Place, code, done, fed, finish, send};

/// Two agents between nodes that compute: ingest -> stats, patterns -> report.
const REPORT: &str = r#"
[agents.analyst]
max_steps = 3

[workflows.report]
description = "Describes numbers."
input = { unit = "mm" }

[workflows.report.nodes.ingest]
value = "data|split(' ')|map('int')|list"

[workflows.report.nodes.stats]
agent = "analyst"
prompt = "The mean of {{ ingest }}?"
after = "ingest"

[workflows.report.nodes.patterns]
agent = "analyst"
prompt = "Is {{ ingest }} rising?"
after = ["ingest"]

[workflows.report.nodes.report]
template = "Mean {{ stats }} {{ unit }}, rising: {{ patterns }}."
after = ["stats", "patterns"]
"#;

/// A model that answers by what it is asked.
fn analyst() -> FakeServer {
    FakeServer::with(|request| {
        let asked = request.last_text();
        if asked.contains("mean") {
            code("final_answer(2.5)").into()
        } else if asked.contains("rising") {
            code("final_answer('yes')").into()
        } else {
            Reply::status(400, "not asked")
        }
    })
}

fn place(server: &FakeServer, text: &str) -> Place {
    let place = Place::new();
    let model =
        format!("model = \"fake\"\n[models.fake]\nmodel = \"fake\"\nbase_url = \"{}\"\n", server.base_url());
    place.write("martlet.toml", &format!("{model}{text}"));
    place
}

/// Without a model.
fn computing(text: &str) -> Place {
    let place = Place::new();
    place.write("martlet.toml", &format!("model = \"local\"\n{text}"));
    place
}

fn run(place: &Place, arguments: &[&str]) -> Done {
    done(place.martlet(&[&["workflow", "run"], arguments].concat()))
}

fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    // Which nodes without work of their own are on it depends on microseconds.
    settings.add_filter(r"critical path \d+\.\d s: .*", "critical path [path]");
    settings.add_filter(r"\d+\.\d s", "[time]");
    settings.add_filter(r"run_[0-9a-z]{26}", "[run]");
    settings
}

#[test]
fn the_output_goes_to_stdout_and_a_line_for_each_event_to_stderr() {
    let server = analyst();
    let place = place(&server, REPORT);
    let done = run(&place, &["report", "--input", "data=1 2 3 4", "--sequential"]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), "Mean 2.5 mm, rising: yes.\n"), "{done:?}");
    settings().bind(|| insta::assert_snapshot!(done.stderr));
}

#[test]
fn json_is_the_result_with_the_names_of_other_libraries() {
    let server = analyst();
    let done = run(&place(&server, REPORT), &["report", "-i", "data=1 2 3 4", "-q", "--json"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{done:?}");
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["schema"], 1);
    assert_eq!(report["status"], "success");
    assert_eq!(report["dag_name"], "report");
    assert_eq!(report["output"], "Mean 2.5 mm, rising: yes.");
    assert_eq!(report["completed_nodes"], 4);
    assert_eq!(report["node_results"]["ingest"], json!([1, 2, 3, 4]));
    assert_eq!(report["nodes"][1]["usage"], json!({"input_tokens": 10, "output_tokens": 5}));
    assert!(report["critical_path"].as_array().is_some_and(|path| !path.is_empty()), "{report}");
}

#[test]
fn events_come_as_lines_also_those_of_agents() {
    let server = analyst();
    let done = run(&place(&server, REPORT), &["report", "-i", "data=1 2", "-q", "--output", "jsonl"]);
    let events: Vec<Value> = done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events[0]["type"], "graph.started");
    assert_eq!(events.last().unwrap()["type"], "graph.ended");
    let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
    assert_eq!((of("node.ended"), of("run.started"), of("run.ended")), (4, 2, 2));
}

#[test]
fn the_input_comes_from_flags_files_and_the_configuration() {
    let place =
        computing("[workflows.w]\ninput = { a = 1, b = 1, c = 1 }\nnodes.all.value = \"[a, b, c]\"\n");
    place.write("input.json", "{\"b\": 2, \"c\": 2}");
    assert_eq!(run(&place, &["w", "-q"]).stdout, "[1,1,1]\n");
    assert_eq!(run(&place, &["w", "-q", "--input-file", "input.json", "-i", "c:=3"]).stdout, "[1,2,3]\n");
    let piped = fed(place.martlet(&["workflow", "run", "w", "-q", "--input-file", "-"]), "{\"a\": \"x\"}");
    assert_eq!(piped.stdout, "[\"x\",1,1]\n");
    for (arguments, text) in [
        (&["w", "-i", "a"][..], "NAME=TEXT"),
        (&["w", "-i", "a:=x"], "is not JSON"),
        (&["w", "--input-file", "none.json"], "cannot read none.json"),
        (&["v"], "there is no [workflows.v]: did you mean `w`?"),
        (&["w", "--picture", "x.png"], "end it in .svg"),
        (&["w", "--max-parallel", "0"], "whole number from 1"),
    ] {
        let done = run(&place, arguments);
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{done:?}");
        assert!(done.error().contains(text), "{done:?}");
    }
}

const BRANCHES: &str = r#"
[workflows.w.nodes.size]
value = "n|int"
[workflows.w.nodes.large]
template = "large"
after = { node = "size", case = "size > 100" }
[workflows.w.nodes.middle]
template = "middle"
after = { node = "size", case = "size > 10" }
[workflows.w.nodes.small]
template = "small"
after = { node = "size", otherwise = true }
[workflows.w.nodes.odd]
template = "odd"
after = { node = "size", when = "size is odd" }
[workflows.w.nodes.end]
value = "[large is defined, middle is defined, small is defined, odd is defined]"
after = ["large", "middle", "small", "odd"]
"#;

#[test]
fn conditions_choose_the_branches() {
    let place = computing(BRANCHES);
    for (n, expected) in [
        ("200", "[true,false,false,false]\n"),
        ("20", "[false,true,false,false]\n"),
        ("7", "[false,false,true,true]\n"),
    ] {
        let done = run(&place, &["w", "-i", &format!("n={n}")]);
        assert_eq!((done.code, done.stdout.as_str()), (Some(0), expected), "{done:?}");
        assert!(done.stderr.contains("skipped: a condition after `size` did not hold"), "{done:?}");
    }
}

#[test]
fn a_node_that_fails_fails_the_command_and_says_why() {
    let place = computing(
        "[workflows.w.nodes.a]\nvalue = \"1 + missing\"\n[workflows.w.nodes.b]\nvalue = \"a\"\nafter = \"a\"\n",
    );
    let done = run(&place, &["w"]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(1), ""), "{done:?}");
    assert!(done.error().contains("node `a`") && done.error().contains("missing"), "{done:?}");
    assert!(done.stderr.contains("b  skipped: `a` failed"), "{done:?}");
    let json = run(&place, &["w", "-q", "--json"]);
    assert_eq!(json.code, Some(1));
    let report: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(report["status"], "failed", "{report}");
    assert!(report["errors"]["a"].is_object() || report["errors"]["a"].is_string(), "{report}");
}

#[test]
fn time_that_is_up_has_its_own_code() {
    let server = FakeServer::always(Reply::never());
    let done = run(&place(&server, REPORT), &["report", "-i", "data=1", "--timeout", "300ms", "--json"]);
    assert_eq!(done.code, Some(124), "{done:?}");
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["status"], "timed_out", "{report}");
}

#[test]
fn the_time_limits_of_agents_and_workflows_hold_in_nodes() {
    let server = FakeServer::always(Reply::never());
    let place = place(
        &server,
        r#"
[agents.slow]
timeout = "200ms"

[workflows.inner]
timeout = "300ms"
nodes.wait = { agent = "endless" }

[agents.endless]

[workflows.w]
on_failure = "finish"
nodes.agent = { agent = "slow", prompt = "Wait." }
nodes.own = { agent = "slow", prompt = "Wait.", timeout = "100ms" }
nodes.workflow = { workflow = "inner" }
"#,
    );
    let done = run(&place, &["w", "-q", "--json", "--timeout", "60s"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    for (node, limit) in [("agent", "200 ms"), ("own", "100 ms"), ("workflow", "300 ms")] {
        assert!(report["errors"][node].to_string().contains(limit), "{node}: {report}");
    }
}

#[test]
fn the_values_of_a_workflow_are_there_in_a_node_and_for_an_agent() {
    let server = FakeServer::always(code("final_answer(inner('go', {'n': 7}))"));
    let place = place(
        &server,
        r#"
[workflows.inner]
description = "Gives what it has."
input = { unit = "mm", n = 1 }
nodes.result.value = "[n, unit]"

[agents.boss]
agents = ["inner"]

[workflows.w]
nodes.given = { workflow = "inner", input = { n = "2 + 3" } }
nodes.asked = { agent = "boss", prompt = "Ask." }
output = "[given, asked]"
"#,
    );
    let whole = run(&place, &["w", "-q"]);
    assert_eq!((whole.code, whole.stdout.trim()), (Some(0), r#"[[5,"mm"],[7,"mm"]]"#), "{whole:?}");
    let alone = run(&place, &["inner", "-q", "-i", "n:=3"]);
    assert_eq!((alone.code, alone.stdout.trim()), (Some(0), r#"[3,"mm"]"#), "{alone:?}");
}

#[test]
fn what_a_provider_refuses_a_node_has_the_codes_of_runs() {
    for (status, code) in [(401, 5), (402, 5), (429, 75), (503, 69), (400, 1)] {
        let server = FakeServer::always(Reply::status(status, "no"));
        let place = place(
            &server,
            "retry.attempts = 1\n[agents.a]\n[workflows.inner.nodes.n]\nagent = \"a\"\nprompt = \"t\"\n\
             [workflows.outer.nodes.inner]\nworkflow = \"inner\"\n",
        );
        for workflow in ["inner", "outer"] {
            let done = run(&place, &[workflow, "-q"]);
            assert_eq!(done.code, Some(code), "{workflow}, {status}: {done:?}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn ctrl_c_cancels_the_whole_tree() {
    let server = FakeServer::always(Reply::never());
    let place = place(&server, REPORT);
    let child = place.martlet(&["workflow", "run", "report", "-i", "data=1 2", "--json"]).spawn().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(server.wait_until(|counters| counters.in_flight == 2));
    assert!(send(child.id(), libc::SIGINT));
    let done = finish(child);
    assert_eq!(done.code, Some(130), "{done:?}");
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["status"], "cancelled");
    assert_eq!(report["nodes"][1]["status"], "cancelled");
    assert!(done.stderr.contains("stopping; press Ctrl-C again"), "{done:?}");
    runtime.block_on(server.wait_until(|counters| counters.in_flight == 0));
}

#[test]
fn items_loops_tools_and_workflows_are_nodes() {
    let place = computing(
        r#"
[workflows.square]
nodes.result.value = "n * n"

[workflows.w]
input = { numbers = [1, 2, 3], turns = 0 }
output = "{'squares': squares, 'turns': turns, 'python': python}"

[workflows.w.nodes.squares]
workflow = "square"
input = { n = "number" }
for_each = { over = "numbers", name = "number", max_parallel = 2 }

[workflows.w.nodes.count]
value = "turns + 1"
output_key = "turns"
repeat = { until = "turns >= 3", max = 5 }

[workflows.w.nodes.python]
tool = "python"
input = { code = "'6 * 7'" }
timeout = "1m"
retry = 1
"#,
    );
    let done = run(&place, &["w"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    let output: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(output["squares"], json!([1, 4, 9]));
    assert_eq!(output["turns"], 3);
    assert!(output["python"].to_string().contains("42"), "{output}");
    assert!(done.stderr.contains("squares  2 of 3") && done.stderr.contains("squares  done"), "{done:?}");
}

#[test]
fn workflows_are_drawn() {
    let place = computing(BRANCHES);
    let draw = |arguments: &[&str]| {
        let done = done(place.martlet(&[&["workflow", "graph", "w"], arguments].concat()));
        assert_eq!(done.code, Some(0), "{done:?}");
        done.stdout
    };
    assert!(draw(&[]).starts_with("flowchart"));
    assert!(draw(&["--format", "dot"]).starts_with("digraph"));
    assert!(draw(&["--format", "svg"]).starts_with("<svg"));
    assert!(draw(&["--format", "text"]).contains("size"));
    assert_eq!(draw(&["--format", "svg", "-o", "w.svg"]), "");
    let file = |name: &str| std::fs::read_to_string(place.path().join(name)).unwrap();
    assert!(file("w.svg").starts_with("<svg"));
    assert_eq!(run(&place, &["w", "-q", "-i", "n=7", "--picture", "done.svg"]).code, Some(0));
    assert!(file("done.svg").len() > file("w.svg").len(), "with states and a timeline");
}

#[test]
fn workflows_are_listed_and_checked() {
    let place =
        computing(&format!("[agents.analyst]\n{BRANCHES}\n[workflows.empty]\ndescription = \"Nothing.\"\n"));
    let list = done(place.martlet(&["workflow", "list"]));
    assert_eq!(list.stdout, "w      6 nodes\nempty  0 nodes  Nothing.\n");
    let check = done(place.martlet(&["workflow", "check", "w"]));
    assert_eq!(check.stdout, "w: 6 nodes and 8 edges: it can run\n", "{check:?}");
    let all = done(place.martlet(&["workflow", "check"]));
    assert_eq!(all.code, Some(2), "{all:?}");
    assert!(all.error().contains("[workflows.empty] (martlet.toml:"), "{all:?}");
}

#[test]
fn mistakes_in_workflows_name_their_line() {
    for (text, expected) in [
        (
            "[workflows.w.nodes.a]\nagnt = \"x\"",
            "unknown key `agnt` in [workflows.w.nodes.a] (martlet.toml:3): did you mean `agent`?",
        ),
        (
            "[workflows.w.nodes.a]\ndescription = \"x\"",
            "`a` in [workflows.w.nodes] (martlet.toml:2): nobody does its work: add one of `agent`, `tool`, `workflow`, \
             `value` and `template`",
        ),
        (
            "[workflows.w.nodes.a]\nvalue = \"1\"\ntemplate = \"x\"",
            "`template` in [workflows.w.nodes.a] (martlet.toml:4): a node has one of `value` and `template`: leave out \
             the other",
        ),
        (
            "[agents.writer]\n[workflows.w.nodes.a]\nagent = \"riter\"",
            "`agent` in [workflows.w.nodes.a] (martlet.toml:4): there is no [agents.riter]: did you mean `writer`?",
        ),
        (
            "[workflows.w.nodes.a]\ntool = \"pyton\"",
            "`tool` in [workflows.w.nodes.a] (martlet.toml:3): there is no tool `pyton`: did you mean `python`?",
        ),
        (
            "[workflows.w.nodes.load]\nvalue = \"1\"\n[workflows.w.nodes.b]\nvalue = \"2\"\nafter = [\n  \"laod\",\n]",
            "`after` in [workflows.w.nodes.b] (martlet.toml:7): there is no node `laod`: did you mean `load`?",
        ),
        (
            "[workflows.w.nodes.a]\nvalue = \"1\"\n[workflows.w.nodes.b]\nvalue = \"2\"\nafter = { nod = \"a\" }",
            "unknown key `nod` in [workflows.w.nodes.b.after] (martlet.toml:6): did you mean `node`?",
        ),
        (
            "[workflows.v.nodes.a]\nworkflow = \"w\"\n[workflows.w.nodes.a]\nworkflow = \"v\"",
            "`workflow` in [workflows.w.nodes.a] (martlet.toml:5): workflows and agents cannot contain each other in a \
             circle: workflows.v -> workflows.w -> workflows.v",
        ),
        (
            "[workflows.w.nodes.a]\nvalue = \"1\"\nprompt = \"x\"",
            "`prompt` in [workflows.w.nodes.a] (martlet.toml:4): a prompt is for agents: leave it out",
        ),
        (
            "[workflows.w.nodes.a]\nvalue = \"1\"\njoin = \"al\"",
            "`join` in [workflows.w.nodes.a] (martlet.toml:4) cannot be `al`: did you mean `all`?",
        ),
        (
            "[workflows.w.nodes.a]\nvalue = \"1\"\nretry = \"often\"",
            "`retry` in [workflows.w.nodes.a] (martlet.toml:4): this is a text, and it should be a number of attempts, or \
             a table with `count`",
        ),
    ] {
        let place = computing(text);
        let done = done(place.martlet(&["config", "check"]));
        assert_eq!(done.code, Some(2), "{done:?}");
        assert_eq!(done.stderr.lines().next().unwrap(), format!("error: {expected}"), "{text}");
    }
    for text in [
        "[workflows.w.nodes.a]\nvalue = \"1 +\"",
        "[workflows.w.nodes.a]\n\ntemplate = \"{{ x\"",
        "[workflows.w.nodes.a]\nvalue = \"1\"\nafter = \"b\"\n[workflows.w.nodes.b]\nvalue = \"1\"\nafter = \"a\"",
    ] {
        let place = computing(text);
        let done = done(place.martlet(&["config", "check"]));
        assert_eq!(done.code, Some(2), "{done:?}");
        assert!(done.error().contains("(martlet.toml:"), "{done:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_terminal_gets_a_line_per_node_that_stays() {
    use crate::support::Person;
    let server = analyst();
    let place = place(&server, REPORT);
    let mut person = Person::starts(place.martlet(&["workflow", "run", "report", "-i", "data=1 2 3 4"]));
    person.sees("report: 4 nodes");
    person.sees("done");
    person.sees("critical path");
    person.sees("Mean 2.5 mm");
    assert_eq!(person.ends(), Some(0));
}
