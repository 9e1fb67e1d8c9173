//! Every example runs to its end, offline.

use std::path::PathBuf;
use std::process::Command;

/// The directory in which cargo puts the examples that it builds along with the tests.
fn examples() -> PathBuf {
    let mut place = std::env::current_exe().unwrap();
    place.pop();
    place.pop();
    place.join("examples")
}

#[test]
fn every_example_runs_to_its_end() {
    let sources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(sources).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines < 80, "{name} has {lines} lines; an example stays under 80");
        let binary = examples().join(&name);
        let output = Command::new(&binary)
            .env_remove("MARTLET_MODEL")
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}; build it with `cargo suite`", binary.display()));
        assert!(output.status.success(), "{name}:\n{}", String::from_utf8_lossy(&output.stderr));
        seen += 1;
    }
    assert!(seen >= 10, "found only {seen} examples");
}
