//! Approval rules in the configuration, and what commands show of them.

use martlet_testkit::{FakeServer, Reply};
use serde_json::json;

use crate::support::{Done, Place, done};

fn check(text: &str) -> Done {
    let place = Place::new();
    place.write("martlet.toml", &format!("model = \"local\"\n{text}"));
    done(place.martlet(&["config", "check"]))
}

#[test]
fn rules_are_checked_like_all_else_with_their_lines() {
    let cases = [
        (
            "[[approvals]]\ntool = \"pyhton\"\nthen = \"ask\"",
            "`tool` in [approvals] (martlet.toml:3): no tool, agent or workflow is named `pyhton`: did you mean `python`?",
        ),
        (
            "[[approvals]]\nthen = \"ask\"\n[[approvals]]\ntool = \"no_*\"\nthen = \"ask\"",
            "`tool` in [approvals] (martlet.toml:5): no tool, agent or workflow is named `no_*`: there are `ask_user`, `download_images`, `final_answer`, `python`, `read_file`, `visit_webpage`, `web_search`",
        ),
        (
            "[[approvals]]\ntool = \"py thon\"\nthen = \"ask\"",
            "`tool` in [approvals] (martlet.toml:3): `py thon` fits no tool: write a tool's name, of letters, digits and `_`, or a part of one with `*`",
        ),
        (
            "[[approvals]]\nthen = \"alow\"",
            "`then` in [approvals] (martlet.toml:3) cannot be `alow`: did you mean `allow`?",
        ),
        (
            "[[approvals]]\nrisk = \"high\"\nthen = \"ask\"",
            "`risk` in [approvals] (martlet.toml:3) cannot be `high`: there are `read_only`, `repeatable`, `unsafe`",
        ),
        ("[[approvals]]\ntool = \"python\"", "[approvals] (martlet.toml:2) has no `then`: add it"),
        (
            "[[approvals]]\ntools = \"python\"\nthen = \"ask\"",
            "unknown key `tools` in [approvals] (martlet.toml:3): did you mean `tool`?",
        ),
        (
            "[approvals]\nthen = \"ask\"",
            "`approvals` (martlet.toml:2): this is a table, and it should be a list of rules, each below a heading in two brackets, [[approvals]]",
        ),
        (
            "[[agents.a.approvals]]\nthen = \"allow\"\nreason = \"fine\"",
            "`reason` in [agents.a.approvals] (martlet.toml:4): it allows, so nobody is told its `reason`: remove it",
        ),
        (
            "[workflows.w.nodes.n]\nvalue = \"1\"\n[[workflows.w.approvals]]\ntool = \"nowhere\"\nthen = \"deny\"",
            "`tool` in [workflows.w.approvals] (martlet.toml:5): no tool, agent or workflow is named `nowhere`: there are `ask_user`, `download_images`, `final_answer`, `python`, `read_file`, `visit_webpage`, `w`, `web_search`",
        ),
    ];
    for (text, expected) in cases {
        let done = check(text);
        assert_eq!(done.code, Some(2), "{text}: {done:?}");
        let error = done.stderr.lines().next().unwrap().trim_start_matches("error: ");
        assert_eq!(error, expected, "{text}");
    }
    let wrong = check("[[approvals]]\nwhen = \"arguments.x >\"\nthen = \"ask\"");
    assert!(wrong.stderr.starts_with("error: `when` in [approvals] (martlet.toml:3): "), "{wrong:?}");
    let right = check(
        "[[approvals]]\nwhen = \"arguments.code is defined\"\nthen = \"ask\"\nreason = \"it runs code\"\n\
         [agents.a]\n[[agents.a.approvals]]\ntool = \"pyth*\"\nrisk = \"unsafe\"\nthen = \"deny\"",
    );
    assert_eq!(right.code, Some(0), "{right:?}");
}

/// What the command shows of a run whose agent runs a program, under one rule.
fn shown(rule: &str) -> String {
    let replies = [Reply::tool_call("python", json!({"code": "print(1 + 1)"})), Reply::text("done")];
    let (place, server) = (Place::new(), FakeServer::with_replies(replies));
    place.write(
        "martlet.toml",
        &format!(
            "agent = \"a\"\nmodel = \"fake\"\n[models.fake]\nmodel = \"fake\"\nbase_url = \"{}\"\n\
             [agents.a]\nstrategy = \"tool_calling\"\ntools = [\"python\"]\n[[approvals]]\n{rule}\n",
            server.base_url()
        ),
    );
    let done = done(place.martlet(&["run", "Count."]));
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), "done\n"), "{done:?}");
    done.stderr
}

#[test]
fn a_run_shows_what_waits_why_and_what_became_of_it() {
    let asked = shown(
        "tool = \"python\"\nwhen = \"'print' in arguments.code\"\nthen = \"ask\"\nreason = \"it prints\"",
    );
    let lines: Vec<&str> = asked.lines().filter(|line| line.contains("python")).collect();
    assert_eq!(lines[0], "  ? python(code=\"print(1 + 1)\") needs approval: it prints", "{asked}");
    assert!(lines[1].starts_with("  x python is denied: "), "{asked}");

    let denied = shown("tool = \"pyth*\"\nthen = \"deny\"\nreason = \"no programs here\"");
    assert!(denied.contains("the approval policy refuses this call: no programs here"), "{denied}");
    assert!(!denied.contains("needs approval"), "{denied}");

    let allowed = shown("risk = \"unsafe\"\nthen = \"deny\"");
    assert!(allowed.contains("> python("), "a rule about others: {allowed}");
}

#[test]
fn a_workflow_shows_what_its_nodes_and_their_agents_wait_for() {
    let server = FakeServer::with_replies([
        Reply::tool_call("python", json!({"code": "print(2)"})),
        Reply::text("done"),
    ]);
    let place = Place::new();
    place.write(
        "martlet.toml",
        &format!(
            r#"
model = "fake"
[models.fake]
model = "fake"
base_url = "{}"
[agents.a]
strategy = "tool_calling"
tools = ["python"]
[[workflows.w.approvals]]
then = "ask"
reason = "it computes"
[workflows.w]
on_failure = "finish"
[workflows.w.nodes]
tool = {{ tool = "python", input = {{ code = "'print(1)'" }} }}
agent = {{ agent = "a", prompt = "Count." }}
"#,
            server.base_url()
        ),
    );
    let done = done(place.martlet(&["workflow", "run", "w"]));
    assert_eq!(done.code, Some(1), "{done:?}");
    let lines: Vec<&str> = done.stderr.lines().collect();
    for (node, code) in [("tool ", "print(1)"), ("agent", "print(2)")] {
        let asked = format!("{node}  ? python(code=\"{code}\") needs approval: it computes");
        assert!(lines.contains(&asked.as_str()), "{asked}: {done:?}");
        let denied = format!("{node}  x python is denied: ");
        assert!(lines.iter().any(|line| line.starts_with(&denied)), "{denied}: {done:?}");
    }
}
