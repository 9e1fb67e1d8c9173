//! What a call costs the thread that makes it, against a bare HTTP client that sends the same bytes and reads
//! the same reply. Run with `cargo bench -p martlet-model`.
//!
//! The server runs on a thread of its own, which is not counted. CPU time is read from the kernel's figures of
//! this thread, so this needs Linux.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "it is run by hand")]

use std::time::{Duration, Instant};

use futures::future::join_all;
use martlet_core::{Message, ModelRequest, Role};
use martlet_model::{DeltaSink, Model, OpenAiCompatible, Retry};
use martlet_testkit::{FakeServer, Reply};
use serde_json::{Value, json};

const ROUNDS: usize = 5;
const CALLS: usize = 2000;
const AT_ONCE: usize = 100;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for (name, messages) in
            [("3 short messages", conversation(3, 80)), ("21 messages of 2 kB", conversation(21, 2000))]
        {
            println!("\n{name}, {AT_ONCE} calls at once, best of {ROUNDS} rounds of {CALLS}");
            compare(messages).await;
        }
        many_at_once().await;
    });
}

fn conversation(count: usize, length: usize) -> ModelRequest {
    let text = "The quick brown fox jumps over the \"lazy\" dog.\n".repeat(length / 48 + 1);
    let role = |index| match index {
        0 => Role::System,
        index if index % 2 == 0 => Role::Assistant,
        _ => Role::User,
    };
    let messages = (0..count).map(|index| Message::text(role(index), text.as_str())).collect();
    ModelRequest { messages, ..Default::default() }
}

async fn compare(request: ModelRequest) {
    let server = FakeServer::always(Reply::text("The answer is 42, as everybody knows. ".repeat(4)));
    let bare = bare_client();
    let url = format!("{}/chat/completions", server.base_url());
    let model = OpenAiCompatible::new(server.base_url(), "m").build().unwrap();
    let retrying = Retry::new(OpenAiCompatible::new(server.base_url(), "m").build().unwrap());
    let sink = DeltaSink::new(|_| {});

    let base = best(async || {
        bare_call(&bare, &url, &request).await;
    })
    .await;
    let own = best(async || {
        model.generate(request.clone(), None).await.unwrap();
    })
    .await;
    let with_retry = best(async || {
        retrying.generate(request.clone(), None).await.unwrap();
    })
    .await;
    let streamed = best(async || {
        model.generate(request.clone(), Some(&sink)).await.unwrap();
    })
    .await;
    let show = |name: &str, cost: Duration| {
        println!(
            "  {name:<24} {:>7.1} µs CPU   {:.2}×",
            cost.as_secs_f64() * 1e6,
            cost.as_secs_f64() / base.as_secs_f64()
        );
    };
    show("bare client", base);
    show("OpenAiCompatible", own);
    show("with Retry", with_retry);
    show("streamed, 45 pieces", streamed);
}

/// A thousand calls to a server that takes half a second.
async fn many_at_once() {
    let server = FakeServer::always(Reply::text("OK").delay(Duration::from_millis(500)));
    let request = conversation(3, 80);
    let url = format!("{}/chat/completions", server.base_url());
    println!("\n1000 calls at once, 500 ms each, on cold connections");
    let (bare, begun) = (bare_client(), Instant::now());
    join_all((0..1000).map(|_| bare_call(&bare, &url, &request))).await;
    let base = begun.elapsed();
    let (model, begun) = (OpenAiCompatible::new(server.base_url(), "m").build().unwrap(), Instant::now());
    for result in join_all((0..1000).map(|_| model.generate(request.clone(), None))).await {
        result.unwrap();
    }
    println!("  bare client {base:.0?}, OpenAiCompatible {:.0?}", begun.elapsed());
}

fn bare_client() -> reqwest::Client {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let tls =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().unwrap()
}

/// What one would write by hand: build the body, send it, read the text.
async fn bare_call(client: &reqwest::Client, url: &str, request: &ModelRequest) -> String {
    let messages: Vec<Value> = request
        .messages
        .iter()
        .map(|message| {
            let role = match message.role {
                Role::System => "system",
                Role::Assistant => "assistant",
                _ => "user",
            };
            json!({"role": role, "content": message.parts.first().and_then(martlet_core::Part::as_text)})
        })
        .collect();
    let body = json!({"model": "m", "messages": messages}).to_string();
    let response =
        client.post(url).header("content-type", "application/json").body(body).send().await.unwrap();
    let reply: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    reply["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

/// The CPU time of a call on this thread, in the best round.
async fn best(call: impl AsyncFn()) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let begun = thread_time();
        for _ in 0..CALLS / AT_ONCE {
            join_all((0..AT_ONCE).map(|_| call())).await;
        }
        best = best.min((thread_time() - begun) / CALLS as u32);
    }
    best
}

fn thread_time() -> Duration {
    let figures =
        std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel's figures of this thread");
    let nanoseconds = figures.split(' ').next().and_then(|text| text.parse().ok()).expect("its CPU time");
    Duration::from_nanos(nanoseconds)
}
