//! `martlet serve`: the agents and workflows of the configuration for many users.

mod catalog;
mod control;
mod notice;
mod options;

use std::net::SocketAddr;
use std::path::Path;

use martlet::store::StoreError;
use martlet_config::Config;
use martlet_server::{Foundation, FoundationError, Service};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::args::ServeArgs;
use crate::config::{self, CommandHost};
use crate::data;
use crate::exit::{Exit, Failure};
use crate::signals::Signals;

pub(crate) use catalog::{Chosen, catalog};
pub(crate) use control::{Done, Order, ask, perform};
pub(crate) use options::service_options;

pub(crate) async fn serve(args: ServeArgs) -> Result<Exit, Failure> {
    let mut signals = Signals::listen()?;
    let config = config::load(&args.data.config)?;
    config.check_server()?;
    let http = options::http_options(&args, &config)?;
    let address = args.listen.or(config.settings().server.listen).unwrap_or_default().0;
    options::refuse_strangers(address, &http)?;
    let folder = data::folder(args.data.data.as_deref(), &config)?;
    // The address before the store: who cannot listen has recovered nothing.
    let listener = listen(address).await?;
    let foundation = Foundation::open(&folder, service_options(&config)).map_err(foundation_failure)?;

    let level = args.loudness.level();
    let host = CommandHost::new(&config, args.sandbox)?.asking(foundation.ask_user());
    let chosen = Chosen { model: &args.model, config: &config, host: &host, level };
    let catalog = catalog(&chosen, &mut signals).await?;
    let service = foundation.serve(catalog).await?;
    let exit = until_asked_to_end(listener, service, http, &folder, &mut signals).await;
    // Ends the workers of the sandbox before this process.
    drop(host);
    exit
}

/// Serves until a signal comes, and ends in order then; at once at the second signal.
async fn until_asked_to_end(
    listener: TcpListener,
    service: Service,
    http: martlet_server::HttpOptions,
    folder: &Path,
    signals: &mut Signals,
) -> Result<Exit, Failure> {
    let address =
        listener.local_addr().map_err(|error| Failure::host("cannot find out the address", error))?;
    let (notice, token) = notice::Notice::new(address)?;
    let written = notice.write(folder)?;
    let router = martlet_server::router(service.clone(), http).merge(control::router(service.clone(), token));
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move {
        // Also if whoever could say so is gone.
        let _ = stopped.await;
    };
    let serving = martlet_server::serve(listener, router, service, shutdown);
    crate::exit::say(&format!("serving on http://{address}"));
    let mut stop = Some(stop);
    tokio::pin!(serving);
    let served = loop {
        tokio::select! {
            served = &mut serving => break served,
            signal = signals.next() => match stop.take() {
                Some(stop) => {
                    crate::exit::say("stopping: runs may go on for a moment; press Ctrl-C again to end at once");
                    let _ = stop.send(());
                }
                None => {
                    drop(written);
                    std::process::exit(signal.exit().code());
                }
            }
        }
    };
    drop(written);
    served.map_err(|error| Failure::host("the server ended early", error))?;
    Ok(Exit::Success)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let advice = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "another program listens there: choose another port with --listen, \
                                              or end it"
            }
            std::io::ErrorKind::PermissionDenied => {
                "this user may not listen there: choose a port above 1023 with \
                                                     --listen"
            }
            _ => "choose another address with --listen",
        };
        let message = format!("cannot listen on {address}: {error}; {advice}");
        Failure::new(Exit::Usage, anyhow::Error::new(error).context(message))
    })
}

pub(crate) fn foundation_failure(error: FoundationError) -> Failure {
    match error {
        FoundationError::Store(error) => store_failure(error),
        error => Failure::new(Exit::Usage, error),
    }
}

fn store_failure(error: StoreError) -> Failure {
    error.into()
}

/// What opens a configuration for a service in this process, without HTTP.
pub(crate) fn host(
    config: &Config,
    place: Option<crate::sandbox::Place>,
    foundation: &Foundation,
) -> Result<CommandHost, Failure> {
    Ok(CommandHost::new(config, place)?.asking(foundation.ask_user()))
}
