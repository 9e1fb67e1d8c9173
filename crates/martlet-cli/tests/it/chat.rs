//! `martlet chat`, from a script.

use martlet_testkit::{FakeServer, Reply};

#[cfg(unix)]
use crate::support::Person;
use crate::support::{Place, code, fed};

#[test]
fn a_conversation_remembers_words_and_variables() {
    let place = Place::new();
    let server =
        FakeServer::with_replies([code("x = 20\nfinal_answer('noted')"), code("final_answer(x + 1)")]);
    let done = fed(place.with(&server, &["chat", "-q"]), "Remember twenty.\n\nOne more?\n");
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), "noted\n21\n"), "{done:?}");
    let second = server.requests()[1].json().to_string();
    assert!(second.contains("Remember twenty.") && second.contains("noted"), "{second}");
}

#[test]
fn commands_are_not_said_to_the_agent() {
    let place = Place::new();
    let server = FakeServer::with_replies([code("final_answer(1)"), code("final_answer(2)")]);
    let lines = "First.\n/clear\n/model\n/help\n/nothing\nSecond.\n/exit\nnever read\n";
    let done = fed(place.with(&server, &["chat", "-q"]), lines);
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), "1\n2\n"), "{done:?}");
    assert!(done.stderr.contains("there is no command /nothing"), "{done:?}");
    assert!(done.stderr.contains("/fake"), "{done:?}");
    assert_eq!(server.requests().len(), 2);
    let second = server.requests()[1].json().to_string();
    assert!(!second.contains("First."), "{second}");
}

#[test]
fn a_script_is_told_of_a_run_that_failed_and_goes_on() {
    let place = Place::new();
    let server = FakeServer::with_replies([Reply::status(401, "bad key"), code("final_answer(2)").into()]);
    let done = fed(place.with(&server, &["chat", "-q"]), "First.\nSecond.\n");
    assert_eq!((done.code, done.stdout.as_str()), (Some(5), "2\n"), "{done:?}");
    assert!(done.error().contains("key"), "{done:?}");
}

#[cfg(unix)]
#[test]
fn a_question_that_is_given_up_leaves_the_terminal_to_the_prompt() {
    let place = Place::new();
    let server = FakeServer::with_replies([
        code("ask_user('First question?')"),
        code("final_answer('It is ' + ask_user('Second question?'))"),
    ]);
    let mut person = Person::starts(place.with(&server, &["chat", "-q", "--tools", "ask_user"]));
    person.is_prompted();
    person.types("one\r");
    person.sees("First question?");
    person.signals(libc::SIGINT);
    person.is_prompted();
    person.types("the second task\r");
    person.sees("Second question?");
    person.types("Paris\n");
    person.sees("It is Paris");
    let asked = server.requests()[1].json().to_string();
    assert!(asked.contains("the second task"), "{asked}");
    person.is_prompted();
    person.types("/exit\r");
    assert_eq!(person.ends(), Some(0));
}

#[cfg(unix)]
#[test]
fn sigterm_at_the_prompt_leaves_the_terminal_as_it_was() {
    let place = Place::new();
    let server = FakeServer::always("never asked");
    let mut person = Person::starts(place.with(&server, &["chat", "-q"]));
    person.is_prompted();
    person.signals(libc::SIGTERM);
    assert_eq!(person.ends(), Some(143));
    assert!(person.has_lines());
}
