//! The command `martlet`.

mod agent;
mod agents;
mod args;
mod bench;
mod chat;
mod choose;
mod client;
mod config;
mod data;
mod doctor;
mod exit;
mod input;
mod keys;
mod log;
#[cfg(feature = "local")]
mod model;
mod output;
mod python;
mod render;
mod run;
mod runs;
mod sandbox;
mod serve;
mod signals;
mod style;
mod tools;
mod watch;
mod web;
mod workflow;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::args::{Cli, Command};
use crate::exit::{Exit, Failure};

fn main() -> ExitCode {
    // The sandbox starts this program as its worker: nothing else may happen in that process.
    #[cfg(unix)]
    if std::env::args_os().nth(1).is_some_and(|first| first == sandbox::WORKER) {
        return martlet::sandbox::worker_main();
    }
    #[cfg(unix)]
    {
        use martlet::tools::documents;
        const READER: &str = "document-reader";
        if std::env::args_os().nth(1).is_some_and(|first| first == READER) {
            return documents::reader_main();
        }
        // A program whose place is unknown reads documents itself.
        if let Ok(program) = std::env::current_exe() {
            documents::read_with(program, READER);
        }
    }
    let cli = Cli::of_process();
    let verbose = cli.command.is_verbose();
    let exit = perform(cli.command).unwrap_or_else(|failure| failure.tell(verbose));
    // A thread may be left that waits for a line of standard input: it must not keep the process.
    let _ = io::stdout().flush();
    std::process::exit(exit.code())
}

fn perform(command: Command) -> Result<Exit, Failure> {
    if let Command::Completion { shell } = command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "martlet", &mut script);
        io::stdout().write_all(&script)?;
        return Ok(Exit::Success);
    }
    log::start(match &command {
        Command::Serve(args) => Some(args.loudness.level()),
        _ => None,
    })?;
    // A server takes what there is; for one person two threads are plenty.
    let threads = match command {
        Command::Serve(_) | Command::Bench { .. } => {
            std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2))
        }
        _ => 2,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|error| Failure::host("cannot start the threads of this program", error))?;
    let exit = runtime.block_on(async {
        match command {
            Command::Run(args) => run::run(*args).await,
            Command::Chat(args) => chat::chat(*args).await,
            Command::Serve(args) => serve::serve(*args).await,
            Command::Runs { command } => runs::runs(command).await,
            Command::Keys { command } => keys::keys(command).await,
            Command::Bench { command } => bench::bench(command).await,
            Command::Python(args) => python::python(args).await,
            #[cfg(feature = "local")]
            Command::Model { command } => model::model(command).await,
            Command::Config { command } => config::config(&command),
            Command::Workflow { command } => workflow::workflow(command).await,
            Command::Agents(args) => agents::agents(&args),
            Command::Doctor(args) => doctor::doctor(args).await,
            Command::Completion { .. } => Ok(Exit::Success),
        }
    });
    runtime.shutdown_background();
    exit
}
