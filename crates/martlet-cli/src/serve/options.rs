//! What the configuration and the flags tell the server.

use std::net::SocketAddr;
use std::time::Duration;

use martlet::core::Principal;
use martlet_config::settings::AuthMode;
use martlet_config::{Config, Time};
use martlet_server::{HttpOptions, ServiceOptions, UserHeader, refuse_open_beyond_loopback};

use crate::args::{Auth, ServeArgs};
use crate::exit::Failure;

/// The tenant of those whom a proxy names.
const TENANT: &str = "local";

/// How runs are queued, kept and ended.
pub(crate) fn service_options(config: &Config) -> ServiceOptions {
    let table = &config.settings().server;
    let mut options = ServiceOptions::default();
    let limits = &mut options.limits;
    let set = |place: &mut u32, value: Option<u32>| *place = value.unwrap_or(*place);
    set(&mut limits.max_running, table.max_running);
    set(&mut limits.max_running_per_user, table.max_running_per_user);
    set(&mut limits.max_queued, table.max_queued);
    set(&mut limits.max_queued_per_user, table.max_queued_per_user);
    set(&mut limits.interactive_percent, table.interactive_percent);
    limits.ageing_ms = table.ageing.map_or(limits.ageing_ms, Time::millis);
    let time = |value: Option<Time>, default: Duration| value.map_or(default, |time| time.0);
    options.approval_expiry = time(table.approval_expiry, options.approval_expiry);
    options.grace = time(table.grace, options.grace);
    options.keep = table.keep.map(|time| time.0);
    options
}

/// Who may use the API, and from where.
pub(super) fn http_options(args: &ServeArgs, config: &Config) -> Result<HttpOptions, Failure> {
    let table = &config.settings().server;
    let keys = match args.auth {
        Some(auth) => auth == Auth::Keys,
        None => table.auth == Some(AuthMode::Keys),
    };
    let auth = match keys {
        true => martlet_server::Auth::Keys,
        false => martlet_server::Auth::Open { principal: Principal::local() },
    };
    let mut options = HttpOptions::new(auth)
        .allowed_hosts(table.allowed_hosts.iter().cloned())
        .allowed_origins(table.allowed_origins.iter().cloned());
    if let Some(mib) = table.max_file_mib {
        options = options.max_file_bytes(mib.saturating_mul(1 << 20));
    }
    if let Some(name) = &table.user_header {
        let name = name.parse().map_err(|_| {
            let text = "this is no name of a header: write one such as \"x-forwarded-user\"";
            Failure::from(config.problem(&["server", "user_header"], text))
        })?;
        options = options.user_header(UserHeader::new(name, table.trusted_proxies.iter().copied(), TENANT));
    }
    Ok(options)
}

/// Refuses to serve everybody who can reach this machine.
pub(super) fn refuse_strangers(address: SocketAddr, options: &HttpOptions) -> Result<(), Failure> {
    refuse_open_beyond_loopback(address, options).map_err(|text| {
        Failure::usage(format!(
            "{text}. For API keys: `martlet keys create --user NAME`, then `martlet serve --auth keys` (or auth = \
             \"keys\" in [server])"
        ))
    })
}
