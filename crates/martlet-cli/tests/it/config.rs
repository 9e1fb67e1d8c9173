//! Settings in files and variables, by the commands that read them.

use martlet_testkit::{FakeServer, Reply};
use serde_json::{Value, json};

use crate::support::{Done, Place, code, done};

const AGENT: &str = r#"
[agents.writer]
description = "Writes."
instructions = "Be brief."
max_steps = 3
options = { temperature = 0.5, max_tokens = 50 }
"#;

fn model(server: &FakeServer) -> String {
    format!("[models.fake]\nmodel = \"fake\"\nbase_url = \"{}\"\n", server.base_url())
}

/// The value of a key that `config show --origin` prints, and where it comes from.
fn shown(done: &Done, key: &str) -> (String, String) {
    assert_eq!(done.code, Some(0), "{done:?}");
    let line = done.stdout.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap();
    let (setting, origin) = line.split_once("  # ").unwrap();
    (setting.split_once(" = ").unwrap().1.trim().to_owned(), origin.to_owned())
}

/// The first error of a configuration, by `config check`.
fn wrong(text: &str) -> String {
    let place = Place::new();
    place.write("martlet.toml", text);
    let done = done(place.martlet(&["config", "check"]));
    assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{done:?}");
    done.stderr.lines().next().unwrap().trim_start_matches("error: ").to_owned()
}

#[test]
fn each_layer_wins_over_the_one_below() {
    let place = Place::new();
    let file = |name: &str, steps: u32| {
        let path = place.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, format!("# of {name}\n[agents.writer]\nmax_steps = {steps}\n")).unwrap();
    };
    let show = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = place.martlet(&[&["config", "show", "--origin"], arguments].concat());
        command.envs(variables.iter().copied());
        shown(&done(command), "max_steps")
    };
    let pair = |value: &str, origin: &str| (value.to_owned(), origin.to_owned());
    file(".config/martlet/config.toml", 1);
    assert_eq!(show(&[], &[]), pair("1", ".config/martlet/config.toml:3"));
    file("xdg/martlet/config.toml", 2);
    let xdg = place.path().join("xdg");
    assert_eq!(
        show(&[], &[("XDG_CONFIG_HOME", xdg.to_str().unwrap())]),
        pair("2", "xdg/martlet/config.toml:3")
    );
    file("martlet.toml", 3);
    assert_eq!(show(&[], &[]), pair("3", "martlet.toml:3"));
    file("other.toml", 4);
    assert_eq!(show(&[], &[("MARTLET_CONFIG", "other.toml")]), pair("4", "other.toml:3"));
    assert_eq!(
        show(&["--config", "martlet.toml"], &[("MARTLET_CONFIG", "other.toml")]),
        pair("3", "martlet.toml:3")
    );
    let variable = "MARTLET_AGENTS__WRITER__MAX_STEPS";
    assert_eq!(show(&["--config", "other.toml"], &[(variable, "5")]), pair("5", variable));
    let missing = done(place.martlet(&["config", "show", "--config", "none.toml"]));
    assert_eq!(missing.code, Some(2));
    assert!(missing.error().contains("there is no file none.toml"), "{missing:?}");
}

#[test]
fn flags_win_over_everything() {
    let (place, server) = (Place::new(), FakeServer::always(code("print('go on')")));
    place.write("martlet.toml", &format!("model = \"fake\"\n{}{AGENT}", model(&server)));
    let steps = |arguments: &[&str], variable: Option<&str>| {
        let mut command = place.martlet(&[&["run", "--agent", "writer", "t"], arguments].concat());
        command.envs(variable.map(|steps| ("MARTLET_AGENTS__WRITER__MAX_STEPS", steps)));
        let done = done(command);
        assert_eq!(done.code, Some(4), "{done:?}");
        done.stderr.lines().filter(|line| line.starts_with("step ")).count()
    };
    assert_eq!(steps(&[], None), 3);
    assert_eq!(steps(&[], Some("2")), 2);
    assert_eq!(steps(&["--max-steps", "1"], Some("2")), 1);
}

#[test]
fn the_file_is_found_in_the_repository_and_not_above() {
    let place = Place::new();
    place.write("martlet.toml", AGENT);
    let inside = place.path().join("repository/a/b");
    std::fs::create_dir_all(&inside).unwrap();
    let show = || {
        let mut command = place.martlet(&["config", "show"]);
        done({
            command.current_dir(&inside);
            command
        })
    };
    assert_eq!(show().stdout, "", "a file above is somebody else's");
    std::fs::create_dir(place.path().join("repository/.git")).unwrap();
    assert_eq!(show().stdout, "");
    std::fs::write(place.path().join("repository/martlet.toml"), "model = \"local\"").unwrap();
    assert_eq!(show().stdout, "model = \"local\"\n");
}

#[test]
fn what_is_in_effect_is_shown_with_its_origin() {
    let place = Place::new();
    place.write(".netrc", "");
    std::fs::create_dir_all(place.path().join(".config/martlet")).unwrap();
    place.write(
        ".config/martlet/config.toml",
        "model = \"own\"\n[models.own]\nprovider = \"ollama\"\nmodel = \"qwen3:4b\"\napi_key = \"file:key\"\n",
    );
    place.write(
        "martlet.toml",
        "agent = \"writer\"\n\n[models.big]\nmodel = \"openai/gpt-4o\"\napi_key = \"env:KEY\"\n\
         headers = { X-Team = \"blue\", \"a b\" = \"env:B\" }\ntimeouts.total = \"90s\"\n\n\
         [models.own]\nbase_url = \"http://me:pw@host/v1\"\n\n[agents.writer]\ntools = [\"ask_user\"]\n\
         answer_schema = { type = \"object\", required = [\"title\"] }\n\n\
         [workflows.poll.nodes.ann]\nvalue = \"1\"\noutput_key = \"votes\"\n",
    );
    let mut command = place.martlet(&["config", "show", "--origin"]);
    command
        .env("MARTLET_MODELS__BIG__API_KEY", "sk-in-clear-text")
        .env("MARTLET_AGENTS__WRITER__TOOLS", "a,b");
    let done = done(command);
    assert_eq!(done.code, Some(0), "{done:?}");
    insta::assert_snapshot!(done.stdout);
}

#[test]
fn mistakes_name_their_line_and_what_was_meant() {
    for (text, expected) in [
        ("modle = \"x\"", "unknown key `modle` (martlet.toml:1): did you mean `model`?"),
        (
            "[agents.writer]\nmodle = \"x\"",
            "unknown key `modle` in [agents.writer] (martlet.toml:2): did you mean `model`?",
        ),
        (
            "[models.a.timeouts]\ntotl = 3",
            "unknown key `totl` in [models.a.timeouts] (martlet.toml:2): did you mean `total`?",
        ),
        (
            "[models.a]\nmodel = \"local\"\noptions = { zeal = 1 }",
            "unknown key `zeal` in [models.a.options] (martlet.toml:3): there are `temperature`, `top_p`, \
             `max_tokens`, `seed`, `reasoning_effort`, `extra`",
        ),
        (
            "[agents]\nmodel = \"local\"",
            "`model` (martlet.toml:2) stands in [agents] itself: it belongs into a table with a name, [agents.NAME]",
        ),
        (
            "[agents.a]\nmax_steps = \"ten\"",
            "`max_steps` in [agents.a] (martlet.toml:2): this is a text, and it should be a whole number from 0",
        ),
        (
            "[agents.a]\n\nmax_steps = -1",
            "`max_steps` in [agents.a] (martlet.toml:3): -1 cannot be: it should be a whole number from 0",
        ),
        ("[agents.a]\nmax_steps = 0", "`max_steps` in [agents.a] (martlet.toml:2): it must be at least 1"),
        (
            "[agents.a]\ninstructions = [1]",
            "`instructions` in [agents.a] (martlet.toml:2): this is a list, and it should be a text, or { file = \"…\" }",
        ),
        (
            "[agents.a]\nstrategy = \"tool-calling\"",
            "`strategy` in [agents.a] (martlet.toml:2) cannot be `tool-calling`: did you mean `tool_calling`?",
        ),
        (
            "[agents.a]\ntimeout = \"3 days\"",
            "`timeout` in [agents.a] (martlet.toml:2): `3 days` is not a length of time such as \"30s\", \"500ms\", \
             \"2m\", \"1h\" or \"30d\", or a number of seconds",
        ),
        (
            "[agents.a]\nmodel = \"local\"\ntools = [\n  \"ask_user\",\n  \"pyton\",\n]",
            "`tools` in [agents.a] (martlet.toml:5): there is no tool `pyton`: did you mean `python`?",
        ),
        (
            "[models.fast]\nmodel = \"local\"\n[agents.a]\nmodel = \"fats\"",
            "`model` in [agents.a] (martlet.toml:4): there is no [models.fats]: did you mean `fast`?",
        ),
        ("agent = \"b\"\n[agents.a]", "`agent` (martlet.toml:1): there is no [agents.b]: did you mean `a`?"),
        (
            "[models.a]\nprovider = \"opnai\"\nmodel = \"gpt-4o\"",
            "`provider` in [models.a] (martlet.toml:2): there is no provider `opnai`: did you mean `openai`?",
        ),
        (
            "[models.a]\nmodel = \"gpt-4o\"",
            "`model` in [models.a] (martlet.toml:2): `gpt-4o` does not say where it is: add `provider` (such as \
             \"openai\") or `base_url`",
        ),
        (
            "[models.a]\nmodel = \"openai/gpt-4o\"\napi_key = \"env:NOT_SET\"",
            "`api_key` in [models.a] (martlet.toml:3): the variable NOT_SET is not set: set it to the key",
        ),
        (
            "[models.a]\nmodel = \"local\"\nbase_url = \"http://h\"",
            "`base_url` in [models.a] (martlet.toml:3): this is for servers, and the model runs in this process: leave \
             it out",
        ),
        (
            "[agents.a]\nmodel = \"local\"\nagents = [\"b\"]\n[agents.b]\nmodel = \"local\"\ndescription = \"B.\"\n\
             agents = [\n\"a\"]",
            "`agents` in [agents.b] (martlet.toml:8): workflows and agents cannot contain each other in a circle: agents.a -> agents.b -> agents.a",
        ),
        (
            "[agents.writer]\nmodel = \"local\"\nagents = [\"riter\"]",
            "`agents` in [agents.writer] (martlet.toml:3): there is no agent and no workflow `riter`: did you mean `writer`?",
        ),
        (
            "[models.a]\nmodel = \"local\"\nprice = { input = -1, output = 0.6 }",
            "`price` in [models.a] (martlet.toml:3): a price is a number from 0, for a million tokens: correct it, or \
             leave it out",
        ),
        (
            "[models.a]\nmodel = \"local\"\nmax_concurrent = 0",
            "`max_concurrent` in [models.a] (martlet.toml:3): it must be at least 1; without a limit, leave it out",
        ),
        (
            "[agents.a]\nmodel = \"local\"\ntools = [\n\"ask_user\",\n\"python\",\n]",
            "`tools` in [agents.a] (martlet.toml:5): a code agent writes Python without a tool for it: leave out \
             `python`, or set `strategy = \"tool_calling\"`",
        ),
        (
            "[agents.a]\nmodel = \"local\"\nstrategy = \"tool_calling\"\nimports = [\"math\"]",
            "`imports` in [agents.a] (martlet.toml:4): this is for programs, and this agent writes none: leave it out, \
             or add the tool `python`",
        ),
        (
            "[agents.a]\nmodel = \"local\"\nstrategy = \"tool_calling\"\n[agents.a.code]\ntime = \"5s\"",
            "`code` in [agents.a] (martlet.toml:4): these are limits for agents that write code, and this one does not: \
             leave them out",
        ),
        (
            "[agents.a]\nmodel = \"local\"\nstrategy = \"tool_calling\"\nprompt = \"compact\"",
            "`prompt` in [agents.a] (martlet.toml:4): it chooses between the prompts of agents that write code or plan: \
             leave it out with this strategy",
        ),
        (
            "sandbox = \"workr\"",
            "`sandbox` (martlet.toml:1): there is no place `workr`: there are `worker`, `in-process`",
        ),
        (
            "[agents.a]\nanswer_schema = \"none.json\"",
            "`answer_schema` in [agents.a] (martlet.toml:2): cannot read none.json: No such file or directory (os error 2)",
        ),
    ] {
        assert_eq!(wrong(text), expected, "{text}");
    }
    assert!(wrong("[agents.a\nx = 1").starts_with("this is not TOML (martlet.toml:1): "));
}

#[test]
fn every_mistake_is_told() {
    let place = Place::new();
    place.write("martlet.toml", "modle = \"x\"\n[agents.a]\nx = 1\n[agents.b]\ny = 1\n");
    let check = done(place.martlet(&["config", "check"]));
    assert_eq!(check.stderr.lines().count(), 3, "{check:?}");
    let run = done(place.martlet(&["run", "t"]));
    assert_eq!(run.code, Some(2));
    assert!(run.error().ends_with("(and 2 more: `martlet config check` shows them all)"), "{run:?}");
}

#[test]
fn secrets_are_used_and_never_shown() {
    let (place, server) = (Place::new(), FakeServer::builder_always(code("final_answer(1)")).spawn_thread());
    place.write("key", "sk-of-the-file\n");
    place.write("martlet.toml", &format!("model = \"fake\"\n{}api_key = \"file:key\"\n", model(&server)));
    let run = |variables: &[(&str, &str)]| {
        let mut command = place.martlet(&["run", "t", "-v"]);
        command.envs(variables.iter().copied());
        let done = done(command);
        assert_eq!(done.code, Some(0), "{done:?}");
        server.requests().last().unwrap().header("authorization").unwrap().to_owned()
    };
    assert_eq!(run(&[]), "Bearer sk-of-the-file");
    let of_variable = [("MARTLET_MODELS__FAKE__API_KEY", "env:MY"), ("MY", "sk-of-a-variable")];
    assert_eq!(run(&of_variable), "Bearer sk-of-a-variable");
    assert_eq!(run(&[("MARTLET_MODELS__FAKE__API_KEY", "sk-literal")]), "Bearer sk-literal");
    // Nothing that is said about a key repeats it.
    for text in [
        "[models.a]\nmodel = \"openai/gpt-4o\"\napi_key = \"sk-secret\"",
        "[models.a]\nmodel = \"openai/gpt-4o\"\napi_key = sk-secret",
        "[models.a]\nmodel = \"openai/gpt-4o\"\napi_key = [\"sk-secret\"]",
        "[models.a]\nmodel = \"openai/gpt-4o\"\napi-key = \"sk-secret\"",
        "[models.a]\nmodel = \"openai/gpt-4o\"\ntimeouts = \"sk-secret\"",
    ] {
        let error = wrong(text);
        assert!(error.contains("martlet.toml:3") && !error.contains("secret"), "{error}");
    }
}

#[test]
fn a_run_takes_the_agent_of_the_configuration() {
    let server = FakeServer::builder_always(code("final_answer({'title': 'T'})")).spawn_thread();
    let place = Place::new();
    std::fs::create_dir(place.path().join("prompts")).unwrap();
    place.write("prompts/writer.txt", "Always rhyme.");
    let settings = format!(
        "model = \"fake\"\n{}options = {{ temperature = 0.1, seed = 7 }}\n{AGENT}instructions = {{ file = \
         \"prompts/writer.txt\" }}\nanswer_schema = {{ type = \"object\", required = [\"title\"] }}\n",
        model(&server)
    );
    place.write("martlet.toml", &settings.replace("instructions = \"Be brief.\"\n", ""));
    let run = |arguments: &[&str]| done(place.martlet(&[&["run", "t", "--json"], arguments].concat()));
    let answered = run(&["--agent", "writer"]);
    assert_eq!(answered.code, Some(0), "{answered:?}");
    let report: Value = serde_json::from_str(&answered.stdout).unwrap();
    assert_eq!(report["answer"], json!({"title": "T"}));
    let request = server.requests().last().unwrap().json();
    assert!(request["messages"][0]["content"].as_str().unwrap().contains("Always rhyme."), "{request}");
    assert_eq!(request["max_tokens"], 50);
    assert_eq!(request["seed"], 7);
    assert_eq!(request["temperature"], 0.5, "the agent's option wins over the model's");
    let unknown = run(&["--agent", "riter"]);
    assert_eq!(unknown.code, Some(2));
    assert_eq!(unknown.error(), "error: there is no [agents.riter]: did you mean `writer`?");
    let mut by_default = place.martlet(&["run", "t", "-q"]);
    by_default.env("MARTLET_AGENT", "writer");
    assert_eq!(done(by_default).stdout, "{\"title\":\"T\"}\n");
}

#[test]
fn agents_are_listed() {
    let place = Place::new();
    let none = done(place.martlet(&["agents"]));
    assert!(none.error().contains("[agents.NAME]"), "{none:?}");
    place.write("martlet.toml", &format!("agent = \"writer\"\nmodel = \"openai/gpt-4o\"\n{AGENT}\n[agents.b]\nstrategy = \"tool_calling\"\nmodel = \"local\"\n"));
    let list = done(place.martlet(&["agents"]));
    assert_eq!(
        list.stdout,
        "writer  code, openai/gpt-4o (default)\n        Writes.\nb       tool_calling, local\n"
    );
    let json = done(place.martlet(&["agents", "--output", "json"]));
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json[1]["strategy"], "tool_calling", "{json}");
}

#[test]
fn a_password_in_an_address_is_never_shown() {
    let place = Place::new();
    let address = "http://me:hunter2@127.0.0.1:1/v1";
    place.write(
        "martlet.toml",
        &format!("model = \"m\"\n[models.m]\nmodel = \"x\"\nbase_url = \"{address}\"\n[agents.a]\n"),
    );
    let named = format!("{address}#x");
    for (arguments, shows) in [
        (&["agents"][..], "code, http://…@127.0.0.1:1/v1#x"),
        (&["agents", "--output", "json"], "http://…@127.0.0.1:1/v1#x"),
        (&["doctor"], "http://…@127.0.0.1:1/v1#x (from martlet.toml:1)"),
        (&["doctor", "--output", "json"], "http://…@127.0.0.1:1/v1#x"),
        (&["doctor", "--model", &named], "http://…@127.0.0.1:1/v1#x (from --model)"),
    ] {
        let done = done(place.martlet(arguments));
        assert!(done.stdout.contains(shows), "{arguments:?}: {done:?}");
        assert!(!format!("{done:?}").contains("hunter2"), "{arguments:?}: {done:?}");
    }
}

#[test]
fn what_contradicts_itself_in_a_file_is_told_with_its_line_by_runs_too() {
    let (place, server) = (Place::new(), FakeServer::always("never asked"));
    place.write("martlet.toml", "[agents.a]\ntools = [\"python\"]\n[agents.b.code]\ntime = \"5s\"\n");
    let refused = |arguments: &[&str]| {
        let done = done(place.with(&server, &[&["run", "t"], arguments].concat()));
        assert_eq!(done.code, Some(2), "{done:?}");
        done.error().to_owned()
    };
    let error = refused(&["--agent", "a"]);
    assert!(error.contains("`tools` in [agents.a] (martlet.toml:2): a code agent"), "{error}");
    let error = refused(&["--agent", "a", "--action-type", "code"]);
    assert!(error.contains("add --action-type tool_calling"), "{error}");
    // A flag makes another agent of it, for which its limits do not count.
    let other = done(place.with(&server, &["run", "t", "--agent", "b", "--action-type", "tool_calling"]));
    assert_eq!(other.code, Some(0), "{other:?}");
}

#[test]
fn a_model_of_the_configuration_is_chosen_by_its_name() {
    let (place, server) = (Place::new(), FakeServer::always(code("final_answer(1)")));
    place.write("martlet.toml", &model(&server));
    let done = done(place.martlet(&["run", "t", "-q", "--model", "fake"]));
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), "1\n"), "{done:?}");
}

#[test]
fn an_agent_gives_tasks_to_those_that_it_manages() {
    let place = Place::new();
    let server = FakeServer::with_replies([
        code("final_answer(helper('Say hello') + '!')"),
        code("final_answer('hello')"),
    ]);
    place.write(
        "martlet.toml",
        &format!(
            "model = \"fake\"\n{}[agents.boss]\nagents = [\"helper\"]\n[agents.helper]\ndescription = \"Helps.\"\n",
            model(&server)
        ),
    );
    let done = done(place.martlet(&["run", "-q", "--agent", "boss", "t"]));
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), "hello!\n"), "{done:?}");
    assert!(server.requests()[1].last_text().contains("Say hello"));
}

#[test]
fn the_calls_of_a_model_are_limited_for_all_agents_together() {
    let (place, server) = (
        Place::new(),
        FakeServer::with(|_| {
            Reply::from(code("final_answer(1)")).delay(std::time::Duration::from_millis(50))
        }),
    );
    let limited = |limit: &str| {
        place.write(
            "martlet.toml",
            &format!(
                "model = \"fake\"\n{}{limit}\n[agents.a]\n[workflows.w]\ninput = {{ list = [1, 2, 3, 4] }}\n\
                 nodes.all = {{ agent = \"a\", for_each = \"list\" }}\n",
                model(&server)
            ),
        );
        let done = done(place.martlet(&["workflow", "run", "w", "-q"]));
        assert_eq!((done.code, done.stdout.as_str()), (Some(0), "[1,1,1,1]\n"), "{done:?}");
    };
    limited("max_concurrent = 1");
    assert_eq!(server.counters().peak_in_flight, 1);
    limited("");
    assert!(server.counters().peak_in_flight > 1);
}
