//! The endpoints of other agent servers, with exactly their keys.

use std::sync::atomic::Ordering;

use futures::future::join_all;
use serde_json::{Value, json};

use super::Server;

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_task_is_done_in_both_ways() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    for (path, approach) in [("/run-agent", "native-async"), ("/run-agent-threading", "threading")] {
        let ran = ann.post(path, json!({"task": "What is 2+2?"})).await.is(200);
        assert_eq!(ran, json!({"result": "echo: What is 2+2?", "approach": approach}));
    }
    assert_eq!(server.nobody().get("/").await.is(200)["status"], "running");
    assert_eq!(keys(&server.nobody().get("/").await.json()), ["name", "version", "status"]);
    server.stop().await;
}

/// A person is asked while the request waits, as in the example that these endpoints are from.
#[tokio::test]
async fn a_task_waits_for_a_person() {
    let server = Server::start_payer().await;
    let ann = server.client("ann").await;
    let asking = ann.post("/run-agent", json!({"task": "bob"}));
    let deciding = async {
        loop {
            let list = ann.get("/api/v1/approvals").await.is(200);
            if let Some(id) = list["approvals"][0]["id"].as_str() {
                ann.post(&format!("/api/v1/approvals/{id}"), json!({"decision": "approve"})).await.is(200);
                break;
            }
        }
    };
    let (ran, ()) = tokio::join!(asking, deciding);
    assert_eq!(ran.is(200), json!({"result": "paid 5 to bob", "approach": "native-async"}));
    server.stop().await;
}

/// Three users at once are all served before one of them has an answer.
#[tokio::test]
async fn three_users_at_once_do_not_wait_for_each_other() {
    let server = Server::start_slow().await;
    for path in ["/run-agent", "/run-agent-threading"] {
        let mut clients = Vec::new();
        for user in ["ann", "bob", "cleo"] {
            clients.push(server.client(user).await);
        }
        let asked = join_all(clients.iter().map(|client| client.post(path, json!({"task": "x"}))));
        let all_wait = async {
            while server.agents.waiters.load(Ordering::SeqCst) < 3 {
                server.agents.waiting.notified().await;
            }
            server.agents.waiters.store(0, Ordering::SeqCst);
            server.agents.gate.add_permits(3);
        };
        let (answers, ()) = tokio::join!(asked, all_wait);
        for answer in answers {
            assert_eq!(answer.is(200)["result"], "done");
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_question_has_the_keys_that_clients_know() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let answer = ann
        .post("/agent/query", json!({"query": "q", "session_id": "my talk", "use_tools": true}))
        .await
        .is(200);
    assert_eq!(
        keys(&answer),
        [
            "query",
            "response",
            "reasoning",
            "tools_used",
            "execution_time",
            "timestamp",
            "session_id",
            "metrics",
            "model_params"
        ]
    );
    assert_eq!((&answer["response"], &answer["session_id"]), (&json!("echo: q"), &json!("my talk")));
    assert_eq!(
        keys(&answer["model_params"]),
        ["base_url", "model", "temperature", "max_tokens", "top_p", "top_k"]
    );
    assert_eq!(answer["metrics"]["task_completed"], true);
    assert_eq!(keys(&answer["metrics"])[0], "total_iterations");
    ann.post("/agent/query", json!({"query": "r"})).await.is(200);
    let history = ann.get("/history?limit=1").await.is(200);
    assert_eq!((&history["total"], &history["history"][0]["result"]), (&json!(2), &json!("echo: r")));
    assert_eq!(keys(&history["history"][0]), ["result", "metrics", "execution_history", "completion_status"]);
    let of_talk = ann.get("/history?session_id=my%20talk").await.is(200);
    assert_eq!((&of_talk["total"], &of_talk["history"][0]["result"]), (&json!(1), &json!("echo: q")));
    let cleared = ann.delete("/history?session_id=my%20talk").await.is(200);
    assert_eq!(cleared, json!({"message": "Cleared 1 conversation entries"}));
    assert_eq!(ann.delete("/history").await.is(200), json!({"message": "Cleared 1 conversation entries"}));
    for (field, value) in [("use_tools", false), ("stream", true)] {
        let refused = ann.post("/agent/query", json!({"query": "q", field: value})).await;
        assert_eq!(refused.problem(400), "bad_request");
        assert_eq!(refused.json()["error"]["param"], field);
    }
    let no_plan = ann.post("/agent/reasoning", json!({"query": "q"})).await;
    assert_eq!(no_plan.problem(409), "conflict");
    server.stop().await;
}

#[tokio::test]
async fn a_plan_is_made_and_not_carried_out() {
    let server = Server::start_planner().await;
    let ann = server.client("ann").await;
    let plan = ann.post("/agent/reasoning", json!({"query": "q"})).await.is(200);
    assert_eq!(keys(&plan), ["query", "has_sufficient_info", "reasoning", "planned_tasks"]);
    assert_eq!(plan["planned_tasks"][0]["tool_name"], "pay");
    assert_eq!(server.agents.paid.load(Ordering::SeqCst), 0);
    assert_eq!(ann.get("/api/v1/runs").await.is(200)["runs"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn many_questions_are_answered_in_their_order() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let queries: Vec<_> = (0..25).map(|number| number.to_string()).collect();
    let answer = ann.post("/agent/batch", json!(queries)).await.is(200);
    let results = answer["results"].as_array().unwrap();
    for (query, result) in queries.iter().zip(results) {
        assert_eq!(
            *result,
            json!({"query": query, "response": format!("echo: {query}"), "status": "success"})
        );
    }
    let failed = ann.post("/agent/batch", json!([""])).await.is(200);
    assert_eq!(keys(&failed["results"][0]), ["query", "error", "status"]);
    assert_eq!(ann.post("/agent/batch", json!({"queries": []})).await.problem(400), "bad_request");
    let scenarios = ann.get("/test/scenarios").await.is(200);
    assert_eq!(scenarios["test_results"].as_array().unwrap().len(), 4);
    assert_eq!(keys(&scenarios["test_results"][0]), ["scenario", "result"]);
    server.stop().await;
}

#[tokio::test]
async fn tools_are_listed_and_tried_unless_a_person_is_needed() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    let tools = ann.get("/tools").await.is(200);
    let names: Vec<_> =
        tools["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"pay") && names.contains(&"wait"), "{names:?}");
    assert_eq!(keys(&tools["tools"][0]), ["name", "description", "schema"]);
    server.agents.gate.add_permits(1);
    let tried = ann.post("/tools/test", json!({"tool_name": "wait", "tool_args": {}})).await.is(200);
    assert_eq!(tried, json!({"tool": "wait", "args": {}, "result": "waited"}));
    let pay = json!({"tool_name": "pay", "tool_args": {"to": "bob", "amount": 1}});
    assert_eq!(ann.post("/tools/test", pay).await.problem(403), "forbidden");
    assert_eq!(ann.post("/tools/test", json!({"tool_name": "none"})).await.problem(404), "not_found");
    let health = ann.get("/health").await.is(200);
    assert_eq!(keys(&health), ["status", "agent_ready", "model", "available_tools"]);
    assert_eq!((&health["status"], &health["agent_ready"]), (&json!("healthy"), &json!(true)));
    server.stop().await;
}

#[tokio::test]
async fn a_workflow_is_executed() {
    let server = Server::start().await;
    let ann = server.client("ann").await;
    for body in [
        json!({}),
        json!({"dag": "flow", "input": {"x": 1}}),
        json!({"workflow": "flow", "initial_state": {"x": 1}}),
    ] {
        let executed = ann.post("/dag/execute", body).await.is(200);
        assert_eq!((&executed["status"], &executed["dag_name"]), (&json!("success"), &json!("flow")));
        assert_eq!(executed["results"], json!({"a": "from a", "b": "from b"}));
        for key in [
            "total_nodes",
            "completed_nodes",
            "failed_nodes",
            "skipped_nodes",
            "execution_time_seconds",
            "node_results",
            "errors",
            "final_state",
        ] {
            assert!(executed.get(key).is_some(), "{key}");
        }
    }
    assert_eq!(ann.post("/dag/execute", json!({"workflow": "none"})).await.problem(404), "not_found");
    server.stop().await;
}
