//! `martlet python`.

use serde_json::{Value, json};

use crate::support::{Place, done, fed};

fn reports(stdout: &str) -> Vec<Value> {
    stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn programs_share_one_session() {
    let place = Place::new();
    place.write("define.py", "x = 20\nprint('defined')\n");
    place.write("use.py", "x * 2 + 2");
    let done = done(place.martlet(&["python", "--output", "json", "define.py", "use.py"]));
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(
        reports(&done.stdout),
        [
            json!({"file": "define.py", "stdout": "defined\n", "value": null, "error": null}),
            json!({"file": "use.py", "stdout": "", "value": "42", "error": null}),
        ]
    );
}

#[test]
fn a_program_may_come_from_stdin() {
    let done = fed(Place::new().martlet(&["python", "-"]), "print(6 * 7)");
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (Some(0), "42\n", ""));
}

#[test]
fn an_error_is_told_and_the_next_program_runs() {
    let place = Place::new();
    place.write("bad.py", "print('before')\n1 / 0\n");
    place.write("good.py", "print('after')\n");
    let done = done(place.martlet(&["python", "bad.py", "good.py"]));
    assert_eq!((done.code, done.stdout.as_str()), (Some(1), "before\nafter\n"), "{done:?}");
    assert!(done.error().contains("bad.py:2: ZeroDivisionError"), "{done:?}");
}

#[test]
fn a_program_that_is_killed_leaves_the_session_as_it_was() {
    let place = Place::new();
    place.write("define.py", "x = 1\n");
    // Grows until the worker is refused memory.
    place.write(
        "eat.py",
        "x = 2\nhoard = []\nwhile True:\n    hoard.append('a' * 1_000_000 + str(len(hoard)))\n",
    );
    place.write("use.py", "x");
    let arguments = ["python", "--output", "json", "--memory", "32", "define.py", "eat.py", "use.py"];
    let done = done(place.martlet(&arguments));
    assert_eq!(done.code, Some(1), "{done:?}");
    let reports = reports(&done.stdout);
    assert_eq!(reports[1]["error"]["type"], "MemoryError", "{reports:?}");
    assert_eq!(reports[2]["error"], Value::Null, "{reports:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_crash_of_the_interpreter_costs_one_program() {
    let place = Place::new();
    place.write("define.py", "x = 1\n");
    // A signal from outside stands for every fault of the interpreter.
    place.write("endless.py", "print('running')\nwhile True:\n    pass\n");
    place.write("use.py", "print(x)");
    let arguments = ["python", "define.py", "endless.py", "use.py"];
    let mut child = place.martlet(&arguments).spawn().unwrap();
    let mut output = child.stdout.take().unwrap();
    let mut first = [0; 8];
    std::io::Read::read_exact(&mut output, &mut first).unwrap();
    assert_eq!(&first, b"running\n");
    for worker in crate::signals::children(child.id()) {
        assert!(crate::support::send(worker, libc::SIGABRT));
    }
    let rest = std::thread::spawn(move || std::io::read_to_string(output).unwrap());
    let done = crate::support::finish(child);
    assert_eq!((done.code, rest.join().unwrap().as_str()), (Some(1), "1\n"), "{done:?}");
    assert!(done.error().contains("endless.py: WorkerCrashed"), "{done:?}");
}

#[test]
fn limits_hold() {
    let place = Place::new();
    place.write("endless.py", "while True:\n    pass\n");
    let done = done(place.martlet(&["python", "--output", "json", "--timeout", "0.3", "endless.py"]));
    assert_eq!(done.code, Some(1), "{done:?}");
    assert_eq!(reports(&done.stdout)[0]["error"]["type"], "TimeoutError");
}

#[test]
fn a_reader_that_goes_away_ends_the_program() {
    let place = Place::new();
    for sandbox in ["worker", "in-process"] {
        // Without an end of its own within the patience of this test.
        place.write("endless.py", "print('first')\nwhile True:\n    print('more')\n");
        let arguments = ["python", "--sandbox", sandbox, "--timeout", "1000", "endless.py"];
        let mut child = place.martlet(&arguments).spawn().unwrap();
        drop(child.stdout.take());
        let done = crate::support::finish(child);
        assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{sandbox}");
    }
}

#[test]
fn tools_do_not_exist() {
    let done = fed(Place::new().martlet(&["python", "--output", "json", "-"]), "web_search('x')");
    assert_eq!(done.code, Some(1), "{done:?}");
    assert_eq!(reports(&done.stdout)[0]["error"]["type"], "NameError", "{done:?}");
}

#[test]
fn wrong_arguments_are_said() {
    let place = Place::new();
    place.write("p.py", "1");
    for (arguments, text) in [
        (&["python", "missing.py"][..], "cannot read the program missing.py"),
        (&["python", "--imports", "numpy", "p.py"], "no module `numpy`"),
        (&["python", "--timeout", "0", "p.py"], "more than 0 seconds"),
    ] {
        let done = done(place.martlet(arguments));
        assert_eq!(done.code, Some(2), "{arguments:?}: {done:?}");
        assert!(done.error().contains(text), "{arguments:?}: {done:?}");
    }
}
