//! What the HTTP API is told: who may use it, and from where.

use std::net::{IpAddr, SocketAddr};

use http::HeaderName;
use martlet_core::Principal;

use crate::keys::{Scope, Scopes};

/// What the HTTP API is told.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpOptions {
    /// Who may use it.
    pub auth: Auth,
    /// The header in which a proxy says who asks. Default: none.
    pub user_header: Option<UserHeader>,
    /// Names under which the server is reached, besides `localhost` and the addresses of this machine's loopback. They count
    /// with [`Auth::Open`] alone, where another name in the header `Host` is refused. Default: none.
    pub allowed_hosts: Vec<String>,
    /// Origins (`https://example.com`) of pages that may use the API from a browser. Default: none but its own.
    pub allowed_origins: Vec<String>,
    /// Bytes of files that a user may have on the server. Default: 1 GiB.
    pub max_file_bytes: u64,
}

impl HttpOptions {
    /// The defaults.
    pub fn new(auth: Auth) -> Self {
        Self {
            auth,
            user_header: None,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            max_file_bytes: 1024 * 1024 * 1024,
        }
    }

    /// Sets the header in which a proxy says who asks.
    #[must_use]
    pub fn user_header(mut self, header: UserHeader) -> Self {
        self.user_header = Some(header);
        self
    }

    /// Sets the names under which the server is reached.
    #[must_use]
    pub fn allowed_hosts(mut self, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.allowed_hosts = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the origins of pages that may use the API.
    #[must_use]
    pub fn allowed_origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.allowed_origins = origins.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the bytes of files that a user may have.
    #[must_use]
    pub fn max_file_bytes(mut self, bytes: u64) -> Self {
        self.max_file_bytes = bytes;
        self
    }
}

/// Who may use the API.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Auth {
    /// Those who show an API key.
    Keys,
    /// Everybody, as this principal and with all scopes. Only for a server that nobody but its owner reaches.
    Open {
        /// Who everybody is.
        principal: Principal,
    },
}

/// A header in which a proxy that has checked who asks says so.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UserHeader {
    /// The header.
    pub name: HeaderName,
    /// The proxies: from all others the header counts for nothing.
    pub proxies: Vec<IpAddr>,
    /// The tenant of all who come this way.
    pub tenant: String,
    /// What they may do. Default: `run` and `read`.
    pub scopes: Scopes,
}

impl UserHeader {
    /// The header, the proxies that are believed, and the tenant of all who come this way.
    pub fn new(
        name: HeaderName,
        proxies: impl IntoIterator<Item = IpAddr>,
        tenant: impl Into<String>,
    ) -> Self {
        let scopes = Scopes::from_iter([Scope::Run, Scope::Read]);
        Self { name, proxies: proxies.into_iter().collect(), tenant: tenant.into(), scopes }
    }

    /// Sets what they may do.
    #[must_use]
    pub fn scopes(mut self, scopes: Scopes) -> Self {
        self.scopes = scopes;
        self
    }
}

/// Whether a server without authentication would be reachable from other machines.
///
/// # Errors
/// It would: the text says what to do.
pub fn refuse_open_beyond_loopback(address: SocketAddr, options: &HttpOptions) -> Result<(), String> {
    match options.auth {
        Auth::Open { .. } if !address.ip().to_canonical().is_loopback() => Err(format!(
            "{address} can be reached from other machines, and without authentication everybody there could use this \
             server: ask for API keys, or listen on 127.0.0.1"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_server_is_for_this_machine_alone() {
        let open = HttpOptions::new(Auth::Open { principal: Principal::local() });
        let may =
            |address: &str, options| refuse_open_beyond_loopback(address.parse().unwrap(), options).is_ok();
        assert!(may("127.0.0.1:80", &open) && may("[::1]:80", &open) && may("[::ffff:127.0.0.1]:80", &open));
        assert!(!may("0.0.0.0:80", &open) && !may("[::]:80", &open) && !may("192.0.2.1:80", &open));
        assert!(may("0.0.0.0:80", &HttpOptions::new(Auth::Keys)));
    }
}
