use martlet_testkit::{FakeServer, Script};
use serde_json::{Value, json};

use crate::server::{receive, send};

const SCRIPT: &str = r#"{"rules": [
    {"when": "weather", "turn": 0, "calls": [{"name": "look", "arguments": {"at": ["sky $turn"]}}], "usage": [7, 3]},
    {"when": "weather", "answer": "It is $last."},
    {"when": "count", "turn": [1, 2], "code": "print($turn)"},
    {"when": "busy", "status": 429, "message": "later", "retry_after": 9},
    {"when": "broken", "text": "abcdefgh", "cut_after": 1},
    {"when": "slow", "text": "abcdefgh", "hold": 1},
    {"when": "any", "model": "other", "text": "of another model"},
    {"anywhere": "secret", "text": "found"}
]}"#;

fn server() -> FakeServer {
    let script = Script::parse(SCRIPT).unwrap();
    FakeServer::with(move |request| script.reply(request))
}

fn ask(server: &FakeServer, body: &Value) -> Value {
    let mut socket = send(server, &body.to_string());
    let head = receive(&mut socket, "\r\n\r\n");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut answer = vec![0; length.parse().unwrap()];
    std::io::Read::read_exact(&mut socket, &mut answer).unwrap();
    serde_json::from_slice(&answer).unwrap()
}

/// The content of a reply to these messages, each with its role.
fn content(server: &FakeServer, messages: &[(&str, &str)]) -> String {
    let messages: Vec<Value> =
        messages.iter().map(|(role, content)| json!({"role": role, "content": content})).collect();
    let answer = ask(server, &json!({"messages": messages}));
    answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

#[test]
fn a_rule_fits_by_the_question_and_the_turn() {
    let server = server();
    let asked = ask(&server, &json!({"messages": [{"role": "user", "content": "the weather?"}]}));
    let call = &asked["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!((&call["name"], &call["arguments"]), (&json!("look"), &json!("{\"at\":[\"sky 0\"]}")));
    assert_eq!(asked["usage"]["total_tokens"], 10);
    let second = [("user", "the weather?"), ("assistant", ""), ("tool", "blue")];
    assert_eq!(content(&server, &second), "It is blue.");
    // What was said before the last question does not count as turns, observations are no questions.
    let third = [
        ("user", "the weather?"),
        ("assistant", "It is blue."),
        ("user", "count"),
        ("assistant", "x"),
        ("user", "Observation:\nthe weather"),
    ];
    assert_eq!(content(&server, &third), "```python\nprint(1)\n```");
}

#[test]
fn a_final_answer_takes_the_form_of_the_agent() {
    let server = server();
    let said =
        [("system", "end with final_answer(x)"), ("user", "weather"), ("assistant", ""), ("user", "a \"b\"")];
    assert_eq!(content(&server, &said), "```python\nfinal_answer(\"It is a \\\"b\\\".\")\n```");
    assert_eq!(content(&server, &[("system", "a secret"), ("user", "hm")]), "found");
}

#[test]
fn faults_are_as_the_script_says() {
    let server = server();
    let message =
        |text: &str| json!({"stream": true, "messages": [{"role": "user", "content": text}]}).to_string();
    let busy = receive(&mut send(&server, &message("busy")), "}}");
    assert!(
        busy.starts_with("HTTP/1.1 429") && busy.contains("retry-after: 9") && busy.contains("later"),
        "{busy}"
    );
    let mut cut = send(&server, &message("broken"));
    let mut seen = String::new();
    std::io::Read::read_to_string(&mut cut, &mut seen).unwrap();
    assert!(seen.contains("abcd") && !seen.contains("efgh") && !seen.contains("[DONE]"), "{seen}");
    let unknown = ask(&server, &json!({"messages": [{"role": "user", "content": "any"}]}));
    assert!(unknown["error"]["message"].as_str().unwrap().contains("`any` at turn 0"), "{unknown}");
}

#[test]
fn an_answer_waits_at_its_gate() {
    let server = server();
    let mut held = send(
        &server,
        &json!({"stream": true, "messages": [{"role": "user", "content": "slow gate:one"}]}).to_string(),
    );
    let beginning = receive(&mut held, "\"abcd\"}");
    assert!(beginning.contains("\"content\":\"abcd\""));
    receive(&mut request(&server, "GET", "/gates/one"), "}");
    receive(&mut request(&server, "POST", "/gates/one"), "}");
    assert!(receive(&mut held, "data: [DONE]\n\n").contains("efgh"));

    let left =
        send(&server, &json!({"messages": [{"role": "user", "content": "slow gate:two"}]}).to_string());
    receive(&mut request(&server, "GET", "/gates/two"), "}");
    drop(left);
    receive(&mut request(&server, "GET", "/gates/two/left"), "}");
}

fn request(server: &FakeServer, method: &str, path: &str) -> std::net::TcpStream {
    use std::io::Write as _;
    let mut socket = std::net::TcpStream::connect(server.address()).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    write!(socket, "{method} {path} HTTP/1.1\r\nhost: h\r\n\r\n").unwrap();
    socket
}

#[test]
fn a_script_that_is_a_mistake_is_refused() {
    let error = Script::parse(r#"{"rules": [{"wen": "x"}]}"#).unwrap_err().to_string();
    assert!(error.contains("unknown field `wen`") && error.contains("`when`"), "{error}");
    let error = Script::read(std::path::Path::new("/nowhere/script.json")).unwrap_err().to_string();
    assert!(error.contains("/nowhere/script.json"), "{error}");
}
