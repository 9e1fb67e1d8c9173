//! The HTTP client underneath.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::Url;
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt as _;

type BuildError = Box<dyn std::error::Error + Send + Sync>;

/// A client for one server.
///
/// - Redirects are not followed: a key must not travel to another host.
/// - HTTP/1.1 only: over HTTP/2 all calls to a host share one connection, and what exceeds the server's
///   limit of streams (often 100) waits unseen; and closing a connection is the surest way to cancel.
/// - Replies are not asked for in compressed form: a decompressor holds back the pieces of a stream. Decompression may be
///   compiled in for others, so it is switched off here.
/// - Connections stay open for the next call, as many as there were calls at once.
/// - A server on this machine is never reached through a proxy.
pub(crate) fn client(url: &Url, connect_timeout: Duration) -> Result<reqwest::Client, BuildError> {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls(url.scheme() == "https" || !is_loopback(url))?)
        .redirect(reqwest::redirect::Policy::none())
        .http1_only()
        .no_gzip()
        .no_deflate()
        .tcp_nodelay(true)
        .tcp_keepalive(Duration::from_secs(30))
        .pool_idle_timeout(Duration::from_secs(60))
        .connect_timeout(connect_timeout)
        .user_agent(concat!("martlet/", env!("CARGO_PKG_VERSION")));
    if is_loopback(url) {
        builder = builder.no_proxy();
    }
    Ok(builder.build()?)
}

/// The TLS configuration with ring, without touching the process-wide default provider: that belongs to
/// the application. The system's certificates are read once, and not at all for a server that is reached
/// without TLS.
fn tls(with_roots: bool) -> Result<ClientConfig, BuildError> {
    static WITH_ROOTS: OnceLock<ClientConfig> = OnceLock::new();
    if with_roots && let Some(config) = WITH_ROOTS.get() {
        return Ok(config.clone());
    }
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = if with_roots {
        builder.with_platform_verifier()?.with_no_client_auth()
    } else {
        builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(if with_roots { WITH_ROOTS.get_or_init(|| config).clone() } else { config })
}

/// How far a request travels to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It stays on this machine.
    Loopback,
    /// It stays, by the look of the name, on a private network.
    Private,
    /// Anywhere.
    Public,
}

/// How far a request to `host` travels, by the look of its name or address. IPv6 addresses may be in brackets.
pub(crate) fn reach(host: &str) -> Reach {
    let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
    if let Ok(address) = host.parse::<IpAddr>() {
        let address = address.to_canonical();
        let private = match address {
            IpAddr::V4(v4) => v4.is_private() || v4.is_link_local(),
            IpAddr::V6(v6) => is_unique_local(v6) || v6.is_unicast_link_local(),
        };
        return if address.is_loopback() {
            Reach::Loopback
        } else if private {
            Reach::Private
        } else {
            Reach::Public
        };
    }
    if host == "localhost" || host.ends_with(".localhost") {
        return Reach::Loopback;
    }
    // Names without a dot and these endings do not exist in the public DNS.
    let private = [".local", ".lan", ".internal", ".home.arpa", ".svc"];
    if !host.contains('.') || private.iter().any(|ending| host.ends_with(ending)) {
        return Reach::Private;
    }
    Reach::Public
}

fn is_unique_local(address: Ipv6Addr) -> bool {
    address.octets().first().is_some_and(|byte| byte & 0xfe == 0xfc)
}

pub(crate) fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| reach(host) == Reach::Loopback)
}

/// A URL as it may be shown: scheme, host, port and path; no user, no query.
pub(crate) fn shown(url: &Url) -> String {
    let mut shown = url.clone();
    shown.set_query(None);
    shown.set_fragment(None);
    // These two fail only for URLs that have no host, and so no user either.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_apart() {
        for (host, expected) in [
            ("localhost", Reach::Loopback),
            ("127.0.0.9", Reach::Loopback),
            ("[::1]", Reach::Loopback),
            ("::ffff:127.0.0.1", Reach::Loopback),
            ("10.1.2.3", Reach::Private),
            ("192.168.0.4", Reach::Private),
            ("[fd00::1]", Reach::Private),
            ("vllm", Reach::Private),
            ("gpu.local", Reach::Private),
            ("api.openai.com", Reach::Public),
            ("localhost.example.com", Reach::Public),
            ("8.8.8.8", Reach::Public),
            ("0.0.0.0", Reach::Public),
        ] {
            assert_eq!(reach(host), expected, "{host}");
        }
    }

    #[test]
    fn urls_are_shown_without_secrets() {
        let url = Url::parse("http://user:pass@host:81/v1?key=x#y").unwrap();
        assert_eq!(shown(&url), "http://host:81/v1");
    }
}
