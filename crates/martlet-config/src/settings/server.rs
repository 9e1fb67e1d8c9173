//! `[server]`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

use crate::duration::Time;

/// What `martlet serve` does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ServerTable {
    /// Where it listens. Default: `127.0.0.1:8000`.
    pub listen: Option<Address>,
    /// The folder of its store. Default: `$XDG_DATA_HOME/martlet`.
    pub data: Option<PathBuf>,
    /// How it knows who asks. Default: nobody is asked, which it does on loopback addresses alone.
    pub auth: Option<AuthMode>,
    /// The header in which a proxy names the user; it counts from `trusted_proxies` alone. Default: none.
    pub user_header: Option<String>,
    /// Addresses of proxies that may name users. Default: none.
    pub trusted_proxies: Vec<IpAddr>,
    /// Names under which the server is reached besides `localhost`; another one is refused where nobody is asked who they
    /// are. Default: none.
    pub allowed_hosts: Vec<String>,
    /// Web pages of these origins may use the API from a browser. Default: none.
    pub allowed_origins: Vec<String>,
    /// Runs that run at once. Default: 16. Also read as `max_workers` and as `default_concurrency_limit`.
    #[doc(alias = "max_workers")]
    #[doc(alias = "default_concurrency_limit")]
    #[serde(alias = "max_workers", alias = "default_concurrency_limit")]
    pub max_running: Option<u32>,
    /// Runs of one user that run at once. Default: 2.
    pub max_running_per_user: Option<u32>,
    /// Runs of all users that wait. Default: 256. Also read as `max_size`.
    #[doc(alias = "max_size")]
    #[serde(alias = "max_size")]
    pub max_queued: Option<u32>,
    /// Runs of one user that wait. Default: 10.
    pub max_queued_per_user: Option<u32>,
    /// The share of `max_running` that only runs may take that somebody waits for, in percent. Default: 25.
    pub interactive_percent: Option<u32>,
    /// The wait after which a run goes before younger ones of its user in the other lane. Default: 60 s.
    pub ageing: Option<Time>,
    /// How long a question waits for a person; then it counts as denied. Default: 24 hours.
    pub approval_expiry: Option<Time>,
    /// For how long ended runs are kept. Default: for ever.
    pub keep: Option<Time>,
    /// The files that a user may have on the server, in MiB. Default: 1,024.
    pub max_file_mib: Option<u64>,
    /// How long runs may go on when the server is asked to end. Default: 8 s.
    pub grace: Option<Time>,
}

impl ServerTable {
    /// The numbers of which each must be at least 1, with their keys.
    pub(crate) fn counts(&self) -> [(&'static str, Option<u32>); 4] {
        [
            ("max_running", self.max_running),
            ("max_running_per_user", self.max_running_per_user),
            ("max_queued", self.max_queued),
            ("max_queued_per_user", self.max_queued_per_user),
        ]
    }
}

/// How a server knows who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuthMode {
    /// By API keys.
    Keys,
    /// Not at all: everyone is the same user.
    None,
}

/// An address to listen at: `127.0.0.1:8000`, `[::1]:8000`, `localhost:8000`, or a port alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(pub SocketAddr);

impl Default for Address {
    fn default() -> Self {
        Self(SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)))
    }
}

/// A text that is no [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is no address to listen at: write one such as 127.0.0.1:8000, or a port alone")]
pub struct InvalidAddress;

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let text = text.trim();
        if let Ok(port) = text.parse::<u16>() {
            return Ok(Self(SocketAddr::from((Ipv4Addr::LOCALHOST, port))));
        }
        let local = text.strip_prefix("localhost:").and_then(|port| port.parse::<u16>().ok());
        match local {
            Some(port) => Ok(Self(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))),
            None => text.parse().map(Self).map_err(|_| InvalidAddress),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Address;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address such as \"127.0.0.1:8000\", or a port")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Address, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_u64<E: de::Error>(self, port: u64) -> Result<Address, E> {
                let port = u16::try_from(port)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(port), &self))?;
                Ok(Address(SocketAddr::from((Ipv4Addr::LOCALHOST, port))))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let of = |text: &str| text.parse::<Address>().map(|address| address.to_string());
        assert_eq!(of("127.0.0.1:8000").unwrap(), "127.0.0.1:8000");
        assert_eq!(of("localhost:1").unwrap(), "127.0.0.1:1");
        assert_eq!(of("0").unwrap(), "127.0.0.1:0");
        assert_eq!(of("[::1]:80").unwrap(), "[::1]:80");
        for wrong in ["", "example.com:80", "127.0.0.1", "localhost:99999", "70000"] {
            assert!(of(wrong).is_err(), "{wrong}");
        }
    }
}
