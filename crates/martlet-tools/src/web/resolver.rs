//! Finding the addresses of a name, and leaving out those that must not be connected to.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::error::{FetchError, FetchErrorKind};
use super::policy::Policy;

/// Finds the addresses of names. The default asks the system; tests and those with a DNS of their own bring another one.
pub trait Lookup: Send + Sync + 'static {
    /// The addresses of `name`.
    ///
    /// # Errors
    /// There are none, or nobody could be asked.
    fn lookup<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>>;
}

/// The system's resolver.
#[derive(Debug)]
pub(super) struct System;

impl Lookup for System {
    fn lookup<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// The resolver of the HTTP client: the addresses that it gives are the ones that are connected to, so that a name
/// cannot mean one address when it is checked and another one a moment later.
#[derive(Clone)]
pub(super) struct Guarded {
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) policy: Arc<Policy>,
    /// The proxy, which who runs the agent chose.
    pub(super) proxy: Option<String>,
}

impl Guarded {
    /// The addresses of `name` that may be connected to.
    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, FetchError> {
        let found = self.lookup.lookup(name).await.unwrap_or_default();
        let mut refused = None;
        let mut allowed = Vec::with_capacity(found.len());
        for address in found {
            match self.policy.check_address(address, name) {
                Ok(()) => allowed.push(address),
                Err(reason) => refused = Some(reason),
            }
        }
        if allowed.is_empty() {
            let unknown = || {
                let message = format!("there is no address for the host `{name}`: check how it is spelt");
                FetchError::new(FetchErrorKind::Unreachable, message)
            };
            return Err(refused.unwrap_or_else(unknown));
        }
        Ok(allowed)
    }
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let this = self.clone();
        Box::pin(async move {
            // Where there is a proxy, nothing else is connected to; what it is asked for was checked before.
            let addresses = match this.proxy.as_deref() == Some(name.as_str()) {
                true => this.lookup.lookup(name.as_str()).await.unwrap_or_default(),
                false => this.addresses(name.as_str()).await?,
            };
            // The port is that of the address that is fetched.
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
