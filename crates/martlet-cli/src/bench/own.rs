//! A server for the time of a test, with a model that is none.

use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

use martlet::core::{ModelProfile, ModelReply, ModelRequest, Principal};
use martlet::model::{DeltaSink, ModelError};
use martlet::{Agent, Model};
use martlet_server::keys::{ApiKey, KeyRequest, Scope};
use martlet_server::{Auth, Catalog, Foundation, HttpOptions, ServiceOptions};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::data::now_ms;
use crate::exit::Failure;
use crate::serve::foundation_failure;

/// A server in this process, whose store goes with it.
pub(super) struct Server {
    url: String,
    keys: Vec<String>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
    _folder: Folder,
}

impl Server {
    /// Starts one with so many users, each with a key of its own, and slots for all of them.
    pub(super) async fn start(users: u32, latency: Duration) -> Result<Self, Failure> {
        let folder = Folder::make()?;
        let mut options = ServiceOptions::default();
        options.limits.max_running = users;
        options.limits.interactive_percent = 0;
        options.limits.max_queued = users.max(options.limits.max_queued);
        let foundation = Foundation::open(&folder.0, options).map_err(foundation_failure)?;
        let mut keys = Vec::new();
        for user in 1..=users {
            let owner = Principal::new("bench", format!("user-{user}")).map_err(|error| {
                Failure::host("cannot name a user", anyhow::Error::msg(error.to_string()))
            })?;
            let request = KeyRequest {
                owner,
                scopes: [Scope::Run, Scope::Read].into_iter().collect(),
                label: String::new(),
                created_ms: now_ms(),
                expires_ms: None,
            };
            let (key, row) = ApiKey::issue(request).map_err(|error| {
                Failure::host("the system gives no random numbers", anyhow::Error::new(error))
            })?;
            foundation.store().create_key(row).await?;
            keys.push(key.text().expose().to_owned());
        }
        let agent = Agent::tool_calling(Slow(latency))
            .build()
            .map_err(|error| Failure::host("cannot build the agent of the test", error))?;
        let service = foundation.serve(Catalog::new().agent("assistant", agent)).await?;
        let listener = TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(|error| Failure::host("cannot listen on this machine", error))?;
        let address =
            listener.local_addr().map_err(|error| Failure::host("cannot find out the address", error))?;
        let router = martlet_server::router(service.clone(), HttpOptions::new(Auth::Keys));
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async move {
            // Also if whoever could say so is gone.
            let _ = stopped.await;
        };
        let serving = tokio::spawn(martlet_server::serve(listener, router, service, stopped));
        Ok(Self { url: format!("http://{address}"), keys, stop, serving, _folder: folder })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn keys(&self) -> &[String] {
        &self.keys
    }

    pub(super) async fn end(self) {
        let _ = self.stop.send(());
        // How it ended is no matter: everything was measured.
        let _ = self.serving.await;
    }
}

/// Answers every request with the same words, after a time.
struct Slow(Duration);

type Reply<'a> = Pin<Box<dyn Future<Output = Result<ModelReply, ModelError>> + Send + 'a>>;

impl Model for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    fn profile(&self) -> ModelProfile {
        ModelProfile { native_tools: true, ..ModelProfile::default() }
    }

    fn generate<'a>(&'a self, _: ModelRequest, _: Option<&'a DeltaSink>) -> Reply<'a> {
        Box::pin(async {
            tokio::time::sleep(self.0).await;
            Ok(ModelReply::text("Hello."))
        })
    }
}

/// A folder that goes when this does.
struct Folder(PathBuf);

impl Folder {
    fn make() -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::host("cannot make a folder for the test", error);
        let mut bits = [0_u8; 8];
        getrandom::fill(&mut bits).map_err(|error| {
            Failure::host("the system gives no random numbers", anyhow::Error::new(error))
        })?;
        let name = format!("martlet-bench-{:016x}", u64::from_ne_bytes(bits));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).map_err(failed)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
