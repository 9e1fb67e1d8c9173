//! What the tests share.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use martlet_core::Message;
use martlet_model::{
    Delta, DeltaSink, Model, ModelError, ModelReply, ModelRequest, OpenAiCompatible, OpenAiCompatibleBuilder,
};
use martlet_testkit::{FakeServer, Reply};

pub(crate) fn client(server: &FakeServer) -> OpenAiCompatibleBuilder {
    OpenAiCompatible::new(server.base_url(), "m").api_key("sk-very-secret")
}

pub(crate) fn request(text: &str) -> ModelRequest {
    ModelRequest { messages: vec![Message::user(text)], ..Default::default() }
}

/// A sink, and what was sent there: texts, reasoning.
#[derive(Clone, Default)]
pub(crate) struct Watcher(Arc<Mutex<(Vec<String>, String)>>);

impl Watcher {
    pub(crate) fn sink(&self) -> DeltaSink {
        let seen = Arc::clone(&self.0);
        DeltaSink::new(move |delta| match delta {
            Delta::Text { text } => seen.lock().unwrap().0.push(text),
            Delta::Reasoning { text } => seen.lock().unwrap().1.push_str(&text),
            _ => {}
        })
    }

    pub(crate) fn pieces(&self) -> Vec<String> {
        self.0.lock().unwrap().0.clone()
    }

    pub(crate) fn text(&self) -> String {
        self.pieces().concat()
    }

    pub(crate) fn reasoning(&self) -> String {
        self.0.lock().unwrap().1.clone()
    }
}

/// Asks with a watcher, so that the reply is streamed; checks that the watcher saw what the reply says.
pub(crate) async fn watched(model: &dyn Model, request: ModelRequest) -> Result<ModelReply, ModelError> {
    let watcher = Watcher::default();
    let result = soon(model.generate(request, Some(&watcher.sink()))).await;
    if let Ok(reply) = &result {
        assert_eq!(watcher.text(), reply.text);
        assert_eq!(watcher.reasoning(), reply.reasoning.clone().unwrap_or_default());
    }
    result
}

/// The result of streaming this reply.
pub(crate) async fn streamed(reply: Reply) -> Result<ModelReply, ModelError> {
    let server = FakeServer::with_replies([reply]);
    watched(&client(&server).build().unwrap(), request("hi")).await
}

/// The result of asking for this reply without a watcher.
pub(crate) async fn whole(reply: Reply) -> Result<ModelReply, ModelError> {
    let server = FakeServer::with_replies([reply]);
    soon(client(&server).build().unwrap().generate(request("hi"), None)).await
}

/// No test waits for longer than this.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it takes too long")
}
