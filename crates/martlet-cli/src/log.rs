//! What the libraries tell, on standard error.

use std::io;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::exit::Failure;
use crate::render::Level;

/// The variable that says what is told: `martlet_server=debug,warn`.
const VARIABLE: &str = "MARTLET_LOG";
/// The names with which our crates tell things.
const OURS: [&str; 7] = [
    "martlet",
    "martlet_core",
    "martlet_model",
    "martlet_sandbox",
    "martlet_server",
    "martlet_store",
    "martlet_tools",
];

/// Begins to tell. Without the variable, a command that does not serve tells nothing; `serves` is how much one tells that does.
pub(crate) fn start(serves: Option<Level>) -> Result<(), Failure> {
    let targets = match std::env::var(VARIABLE).ok().filter(|text| !text.trim().is_empty()) {
        Some(text) => text.trim().parse::<Targets>().map_err(|error| {
            Failure::usage(format!(
                "{VARIABLE} is not understood ({error}): write a level (error, warn, info, debug, trace), or levels for \
                 parts, as in martlet_server=debug,warn"
            ))
        })?,
        None => {
            let ours = match serves {
                None => return Ok(()),
                Some(Level::Quiet) => LevelFilter::WARN,
                Some(Level::Normal) => LevelFilter::INFO,
                Some(Level::Verbose) => LevelFilter::DEBUG,
            };
            Targets::new().with_default(LevelFilter::WARN).with_targets(OURS.map(|target| (target, ours)))
        }
    };
    // Control characters in what is told are escaped by the formatter.
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_ansi(false);
    // Told once per process; a second time there is nothing to do.
    let _ = tracing_subscriber::registry().with(lines).with(targets).try_init();
    Ok(())
}
