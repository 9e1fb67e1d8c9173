//! The arguments of the commands around a server.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use martlet_config::settings::Address;
use martlet_server::keys::Scope;

use super::{ConfigArgs, ModelArgs, time};
use crate::render::Level;
use crate::sandbox::Place;

pub(super) const SERVE_EXAMPLES: &str = "\
Examples:
  martlet serve
  martlet serve --listen 127.0.0.1:9000 --model ollama/qwen3:4b
  martlet keys create --user ann && martlet serve --listen 0.0.0.0:8000 --auth keys";

pub(super) const SERVE_AFTER: &str = "\
It serves the agents and workflows of the configuration; without any, one agent named assistant. Ctrl-C or SIGTERM \
ends it: what is not done by then goes on after the next start.

Exit codes: 0 it was asked to end, 2 wrong arguments or configuration, or the data folder cannot be used (another \
server has it open, it is damaged or of a newer version).";

pub(super) const RUNS_EXAMPLES: &str = "\
Examples:
  martlet runs list --state waiting
  martlet runs logs -f run_01j
  martlet runs approve run_01j
  martlet runs export run_01j --format markdown -o run.md";

pub(super) const KEYS_EXAMPLES: &str = "\
Examples:
  martlet keys create --user ann --expires 90d
  martlet keys list
  martlet keys revoke 4h2k9x0c7dqm";

pub(super) const BENCH_EXAMPLES: &str = "\
Examples:
  martlet bench concurrency
  martlet bench concurrency --users 50 --requests 4 --latency 1s
  MARTLET_KEY=mrt_… martlet bench concurrency --url http://127.0.0.1:8000 --task \"What is 2 + 2?\"";

/// Where the store is.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct DataArgs {
    /// The folder of the server's store [default: `data` in `[server]`, else $XDG_DATA_HOME/martlet]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) data: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Where to listen; port 0 takes one that is free [default: `listen` in `[server]`, else 127.0.0.1:8000]
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(crate) listen: Option<Address>,

    #[command(flatten)]
    pub(crate) data: DataArgs,

    /// How to know who asks [default: `auth` in `[server]`, else nobody is asked, on loopback addresses alone]
    #[arg(long, value_enum)]
    pub(crate) auth: Option<Auth>,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// Where Python runs [default: worker, where there are child processes]
    #[arg(long, value_enum)]
    pub(crate) sandbox: Option<Place>,

    #[command(flatten)]
    pub(crate) loudness: Loudness,
}

/// How much is told.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Loudness {
    /// Say nothing but what is needed
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,

    /// Say more
    #[arg(short, long)]
    verbose: bool,
}

impl Loudness {
    pub(crate) fn level(self) -> Level {
        match (self.quiet, self.verbose) {
            (true, _) => Level::Quiet,
            (_, true) => Level::Verbose,
            _ => Level::Normal,
        }
    }
}

/// How a server knows who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Auth {
    /// By API keys, which `martlet keys create` makes
    Keys,
    /// Not at all: everyone is the same user
    None,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List runs, the newest first
    List {
        /// Those in this state alone
        #[arg(long, value_enum)]
        state: Option<State>,

        /// Those of this user alone: USER, or TENANT/USER
        #[arg(long, value_name = "USER")]
        user: Option<String>,

        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        limit: u32,

        #[command(flatten)]
        output: JsonArgs,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Show a run: where it stands, what it waits for, its answer
    Show {
        #[command(flatten)]
        run: RunArg,

        #[command(flatten)]
        output: JsonArgs,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Show what happened in a run
    Logs {
        #[command(flatten)]
        run: RunArg,

        /// Go on until it ends, or waits for a person
        #[arg(short, long)]
        follow: bool,

        #[command(flatten)]
        output: JsonArgs,

        #[command(flatten)]
        loudness: Loudness,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Cancel a run
    Cancel {
        #[command(flatten)]
        run: RunArg,

        #[command(flatten)]
        output: JsonArgs,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Go on with a run that a crash or a stop interrupted; its events are shown
    Resume {
        #[command(flatten)]
        run: RunArg,

        #[command(flatten)]
        drive: DriveArgs,
    },
    /// Make another run that begins as a run of an agent did, and goes on by itself
    Fork {
        #[command(flatten)]
        run: RunArg,

        /// The first step that the new run does itself
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        step: u32,

        #[command(flatten)]
        drive: DriveArgs,
    },
    /// Let a call be made that waits for a person; one in doubt is made again
    Approve {
        #[command(flatten)]
        question: QuestionArg,

        /// Make it with these arguments instead: a JSON object
        #[arg(long, value_name = "JSON")]
        arguments: Option<String>,

        #[command(flatten)]
        output: JsonArgs,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Refuse a call that waits for a person, or do not answer a question
    Deny {
        #[command(flatten)]
        question: QuestionArg,

        /// Why, for the model
        #[arg(long, value_name = "TEXT", default_value = "a person said no")]
        reason: String,

        #[command(flatten)]
        output: JsonArgs,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Answer a question of an agent; or say what a call in doubt gave, as it was made
    Answer {
        #[command(flatten)]
        question: QuestionArg,

        /// The answer; for a call in doubt JSON, or else a text
        #[arg(value_name = "TEXT")]
        text: String,

        #[command(flatten)]
        output: JsonArgs,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Write all of a run: how it was asked for, its events, questions and answer
    Export {
        #[command(flatten)]
        run: RunArg,

        /// As what
        #[arg(long, value_enum, default_value_t = ExportFormat::Json)]
        format: ExportFormat,

        /// Write there and not to standard output
        #[arg(short = 'o', value_name = "FILE", value_hint = ValueHint::FilePath)]
        output_file: Option<PathBuf>,

        #[command(flatten)]
        data: DataArgs,
    },
}

/// Which run.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArg {
    /// The run: its name, or how that begins
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
}

/// Which question.
#[derive(Debug, Clone, Args)]
pub(crate) struct QuestionArg {
    /// The question, or the run if it asks one alone: its name, or how that begins
    #[arg(value_name = "QUESTION|RUN")]
    pub(crate) id: String,
}

/// Whether programs read it.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct JsonArgs {
    /// Write JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a run is driven in this process, when there is no server.
#[derive(Debug, Args)]
pub(crate) struct DriveArgs {
    #[command(flatten)]
    pub(crate) output: JsonArgs,

    #[command(flatten)]
    pub(crate) data: DataArgs,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// Where Python runs [default: worker, where there are child processes]
    #[arg(long, value_enum)]
    pub(crate) sandbox: Option<Place>,

    #[command(flatten)]
    pub(crate) loudness: Loudness,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    Queued,
    Running,
    Waiting,
    Ended,
}

/// As what a run is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    Json,
    Markdown,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key; it is printed once, and nothing can bring it back
    Create {
        /// Who will ask with it
        #[arg(long, value_name = "USER")]
        user: String,

        /// The tenant that the user is of: those of one do not see those of another
        #[arg(long, value_name = "TENANT", default_value = "local")]
        tenant: String,

        /// What may be asked with it: run, read, approve, admin [comma-separated, repeatable; default: run,read]
        #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', value_parser = scope)]
        scopes: Vec<Scope>,

        /// When it stops to be valid: such as 12h or 90d [default: never]
        #[arg(long, value_name = "TIME", value_parser = time)]
        expires: Option<Duration>,

        /// What people call it
        #[arg(long, value_name = "TEXT", default_value = "")]
        label: String,

        #[command(flatten)]
        output: JsonArgs,

        #[command(flatten)]
        data: DataArgs,
    },
    /// List the keys; never their secrets, which nobody has
    List {
        #[command(flatten)]
        output: JsonArgs,

        #[command(flatten)]
        data: DataArgs,
    },
    /// Revoke a key for ever
    Revoke {
        /// The key: the part behind `mrt_` that is no secret, or how that begins
        #[arg(value_name = "ID")]
        id: String,

        #[command(flatten)]
        output: JsonArgs,

        #[command(flatten)]
        data: DataArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Let several users ask at once, and compare that with asking one after the other
    Concurrency(ConcurrencyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ConcurrencyArgs {
    /// The server; without it, one is started here for the time of the test, with a model that is none
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,

    /// Users that ask at once
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) users: u32,

    /// Requests of each user, one after the other
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) requests: u32,

    /// What is asked
    #[arg(long, value_name = "TEXT", default_value = "Say hello.")]
    pub(crate) task: String,

    /// How long the model takes that is none
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = time, conflicts_with = "url")]
    pub(crate) latency: Duration,

    /// The most time of a request
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time)]
    pub(crate) timeout: Duration,

    /// A file with the keys of the users, one a line; they take turns. Otherwise MARTLET_KEY may hold one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "url")]
    pub(crate) keys: Option<PathBuf>,

    /// Only at once: do not ask one after the other first
    #[arg(long)]
    pub(crate) no_baseline: bool,

    #[command(flatten)]
    pub(crate) output: JsonArgs,
}

fn address(text: &str) -> Result<Address, String> {
    text.parse().map_err(|error: martlet_config::settings::InvalidAddress| error.to_string())
}

fn scope(text: &str) -> Result<Scope, String> {
    text.trim().parse().map_err(|error: martlet_server::keys::UnknownScope| error.to_string())
}
