//! The API of OpenAI, as its clients speak it.

mod chat;
mod faults;
mod plain;
mod responses;
mod sessions;

use futures::StreamExt as _;
use martlet::{Agent, OpenAiCompatible};
use martlet_server::Catalog;
use martlet_testkit::FakeServer;
use serde_json::{Value, json};

use super::server::{Client, SOON, Server, quick};

/// A server with the agents `seeker`, which has the tool `look`, and `pay_seeker`, whose tool `pay` needs a person, and with
/// the plain model `small`: all of them ask the fake server.
pub(super) async fn serving(fake: &FakeServer) -> Server {
    Server::start_with_more(quick(), |_, catalog| with_fake(catalog, fake)).await
}

pub(super) fn with_fake(catalog: Catalog, fake: &FakeServer) -> Catalog {
    let model = || OpenAiCompatible::new(fake.base_url(), "fake").build().unwrap();
    catalog.agent("seeker", Agent::tool_calling(model()).tool(look).build().unwrap()).model("small", model())
}

/// Looks something up.
#[martlet::tool]
async fn look(
    /** What. */
    what: String,
) -> Result<String, martlet::ToolError> {
    Ok(format!("{what}: found"))
}

pub(super) fn ask(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

pub(super) fn streamed(model: &str, text: &str) -> Value {
    let mut body = ask(model, text);
    body["stream"] = true.into();
    body
}

/// A stream as it comes: blocks without the blank lines between them.
pub(super) struct Blocks {
    pub(super) headers: http::HeaderMap,
    chunks: futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
}

impl Blocks {
    pub(super) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        assert_eq!(status, 200, "{:?}", response.text().await);
        Self { headers, chunks: response.bytes_stream().boxed(), text: String::new() }
    }

    pub(super) async fn post(client: &Client, path: &str, body: &Value) -> Self {
        Self::of(client.posting(path, body)).await
    }

    /// The next block; nothing at the end.
    pub(super) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                return Some(block.trim_end().to_owned());
            }
            let chunk = tokio::time::timeout(SOON, self.chunks.next()).await.expect("something is sent");
            self.text.push_str(std::str::from_utf8(&chunk?.ok()?).unwrap());
        }
    }

    pub(super) async fn until(&mut self, is_it: impl Fn(&str) -> bool) -> String {
        let mut seen = Vec::new();
        while let Some(block) = self.next().await {
            if is_it(&block) {
                return block;
            }
            seen.push(block);
        }
        panic!("the stream ended without it: {seen:#?}");
    }

    pub(super) async fn all(mut self) -> Vec<String> {
        let mut blocks = Vec::new();
        while let Some(block) = self.next().await {
            blocks.push(block);
        }
        blocks
    }
}

/// The JSON of a block.
pub(super) fn data(block: &str) -> Option<Value> {
    let text = block.lines().find_map(|line| line.strip_prefix("data: "))?;
    serde_json::from_str(text).ok()
}

/// What the chunks say together: thoughts and content.
pub(super) fn joined(blocks: &[String]) -> (String, String) {
    let (mut thoughts, mut content) = (String::new(), String::new());
    for chunk in blocks.iter().filter_map(|block| data(block)) {
        let delta = &chunk["choices"][0]["delta"];
        thoughts.push_str(delta["reasoning_content"].as_str().unwrap_or_default());
        content.push_str(delta["content"].as_str().unwrap_or_default());
    }
    (thoughts, content)
}

/// Compares with what is stored, without what is another one each time.
macro_rules! golden {
    ($name:literal, $text:expr) => {
        insta::with_settings!({prepend_module_to_snapshot => false, snapshot_path => "../snapshots", filters => [
            (r"\b(run|resp|appr|chatcmpl-run|rs|msg|mcp|mcpr)_[0-9a-z]{26}", "${1}_…"),
            (r#""(created|created_at|completed_at)":\d+"#, r#""$1":0"#),
            (r": queued \d+ of \d+\n\n", ""),
        ]}, { insta::assert_snapshot!($name, $text) });
    };
}
pub(super) use golden;
