//! The arguments.

mod server;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::render::Level;
use crate::sandbox::{self, Place};
use crate::tools;
pub(crate) use server::{
    Auth, BenchCommand, ConcurrencyArgs, DataArgs, DriveArgs, ExportFormat, KeysCommand, RunsCommand,
    ServeArgs, State,
};

/// Runs LLM agents.
#[derive(Debug, Parser)]
#[command(
    name = "martlet",
    version,
    about = "Runs LLM agents that act by writing Python or by calling tools.",
    before_help = EXAMPLES,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  martlet run \"How many primes are there below 1000?\"
  git diff | martlet run --model openai/gpt-4o \"Write a commit message for this\"
  martlet chat --model ollama/qwen3:4b
  martlet serve
  echo 'print(6 * 7)' | martlet python -";

const RUN_EXAMPLES: &str = "\
Examples:
  martlet run \"How many primes are there below 1000?\"
  martlet run --model openai/gpt-4o -f sales.csv \"Which month was the best?\"
  git log -5 | martlet run --json \"Summarise this\" | jq -r .answer
  echo \"What is 17 * 3?\" | martlet run -q -";

const RUN_AFTER: &str = "\
The answer goes to standard output, everything else to standard error.

Exit codes: 0 done, 1 failed, 2 wrong arguments or configuration, 4 steps or tokens used up, 5 key refused or \
quota used up, 69 provider not reachable, 75 provider busy, 124 time used up, 130 Ctrl-C, 143 SIGTERM.";

const CHAT_EXAMPLES: &str = "\
Examples:
  martlet chat
  martlet chat --model ollama/qwen3:4b --tools ask_user
  printf 'Remember: x = 20\\nWhat is x + 1?\\n' | martlet chat -q";

const PYTHON_EXAMPLES: &str = "\
Examples:
  martlet python program.py
  echo 'print(6 * 7)' | martlet python -
  martlet python --output json define.py use.py";

const CONFIG_EXAMPLES: &str = "\
Examples:
  martlet config check
  martlet config show --origin";

const WORKFLOW_EXAMPLES: &str = "\
Examples:
  martlet workflow run report --input data=\"3 1 4 1 5\"
  martlet workflow run report --input-file input.json --json | jq .output
  martlet workflow graph report --format svg -o report.svg
  martlet workflow check";

const WORKFLOW_AFTER: &str = "\
The output goes to standard output, everything else to standard error.

Exit codes: 0 done, 1 a node failed, 2 wrong arguments or configuration, 4 tokens used up, 5 the \
provider refused, 69 a service not reachable, 75 busy, 124 time used up, 130 Ctrl-C, 143 SIGTERM.";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Do one task
    #[command(before_help = RUN_EXAMPLES, after_help = RUN_AFTER)]
    Run(Box<RunArgs>),
    /// Talk with an agent that remembers what was said
    #[command(before_help = CHAT_EXAMPLES)]
    Chat(Box<ChatArgs>),
    /// Serve agents and workflows to many users over HTTP
    #[command(before_help = server::SERVE_EXAMPLES, after_help = server::SERVE_AFTER)]
    Serve(Box<ServeArgs>),
    /// The runs of a server: what they do, what they wait for, answering them
    #[command(before_help = server::RUNS_EXAMPLES)]
    Runs {
        #[command(subcommand)]
        command: RunsCommand,
    },
    /// The API keys of a server
    #[command(before_help = server::KEYS_EXAMPLES)]
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Measure a server
    #[command(before_help = server::BENCH_EXAMPLES)]
    Bench {
        #[command(subcommand)]
        command: BenchCommand,
    },
    /// Run Python programs in the sandbox, one after the other in one session
    #[command(before_help = PYTHON_EXAMPLES)]
    Python(PythonArgs),
    /// The embedded model: what there is, and fetching it
    #[cfg(feature = "local")]
    Model {
        #[command(subcommand)]
        command: ModelCommand,
    },
    /// The configuration: what is in effect, where it comes from, whether it fits together
    #[command(before_help = CONFIG_EXAMPLES)]
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// The workflows of the configuration: run them, check them, draw them
    #[command(before_help = WORKFLOW_EXAMPLES)]
    Workflow {
        #[command(subcommand)]
        command: WorkflowCommand,
    },
    /// List the agents of the configuration
    Agents(AgentsArgs),
    /// Find out whether `martlet run` can work here, and what is missing
    Doctor(DoctorArgs),
    /// Print the completion script of a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}

impl Command {
    pub(crate) fn is_verbose(&self) -> bool {
        match self {
            Self::Run(args) => args.agent.verbosity.level() == Level::Verbose,
            Self::Chat(args) => args.agent.verbosity.level() == Level::Verbose,
            Self::Workflow { command: WorkflowCommand::Run(args) } => {
                args.verbosity.level() == Level::Verbose
            }
            Self::Serve(args) => args.loudness.level() == Level::Verbose,
            Self::Runs { command: RunsCommand::Resume { drive, .. } | RunsCommand::Fork { drive, .. } } => {
                drive.loudness.level() == Level::Verbose
            }
            _ => false,
        }
    }
}

impl Cli {
    /// The arguments of this process. Ends it if they are wrong.
    pub(crate) fn of_process() -> Self {
        Self::parse_from(one_value_each(std::env::args_os().collect()))
    }
}

/// smolagents' command takes several values behind one `--tools` or `--imports`. Here each gets a flag of its own, so
/// that a task behind them stays a task.
fn one_value_each(arguments: Vec<OsString>) -> Vec<OsString> {
    let has_task = match arguments.get(1).and_then(|command| command.to_str()) {
        Some("run") => true,
        Some("chat") => false,
        _ => return arguments,
    };
    let mut given = arguments.into_iter().peekable();
    let mut result = Vec::new();
    while let Some(argument) = given.next() {
        let text = argument.to_string_lossy();
        let (flag, known): (_, fn(&str) -> bool) = match text.split('=').next() {
            Some("--tools") => ("--tools", tools::is_known),
            Some("--imports") => ("--imports", sandbox::has_module),
            Some("--") => {
                result.push(argument);
                result.extend(given);
                return result;
            }
            _ => {
                result.push(argument);
                continue;
            }
        };
        let has_value = text.contains('=');
        result.push(argument);
        // The first value is one in any case.
        if !has_value && let Some(value) = given.next() {
            result.push(value);
        }
        while let Some(word) = given.next_if(is_word) {
            let text = word.to_string_lossy();
            // An unknown one before another word is a wrong name, which is told as such.
            let is_value = text.split(',').all(known)
                || !has_task
                || (!text.contains(char::is_whitespace) && given.peek().is_some_and(is_word));
            if !is_value {
                result.push(word);
                break;
            }
            result.extend([flag.into(), word]);
        }
    }
    result
}

/// Whether it is neither a flag nor the `-` for standard input.
fn is_word(argument: &OsString) -> bool {
    !argument.as_encoded_bytes().starts_with(b"-")
}

/// Which files are read.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ConfigArgs {
    /// Read this file and not martlet.toml [env: MARTLET_CONFIG]
    #[arg(long = "config", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print everything that is set, as TOML; keys are masked
    Show {
        /// Say behind each value where it comes from
        #[arg(long)]
        origin: bool,

        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Print which files are looked for, the weakest first
    Path {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Build everything that is set, and tell everything that is wrong
    Check {
        #[command(flatten)]
        config: ConfigArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum WorkflowCommand {
    /// List the workflows
    List {
        /// What to write
        #[arg(long, value_enum, default_value_t = PythonOutput::Text)]
        output: PythonOutput,

        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Find out whether a workflow can run, or all of them
    Check {
        /// The workflow
        #[arg(value_name = "NAME")]
        name: Option<String>,

        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Draw a workflow
    Graph {
        /// The workflow
        #[arg(value_name = "NAME")]
        name: String,

        /// As what
        #[arg(long, value_enum, default_value_t = PictureFormat::Mermaid)]
        format: PictureFormat,

        /// Write there and not to standard output
        #[arg(short = 'o', value_name = "FILE", value_hint = ValueHint::FilePath)]
        output_file: Option<PathBuf>,

        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Run a workflow
    #[command(after_help = WORKFLOW_AFTER)]
    Run(Box<WorkflowRunArgs>),
}

#[derive(Debug, Args)]
pub(crate) struct WorkflowRunArgs {
    /// The workflow
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// A value with which the state begins: NAME=TEXT, or NAME:=JSON for numbers, lists and objects [repeatable]
    #[arg(short, long, value_name = "NAME=TEXT")]
    pub(crate) input: Vec<String>,

    /// A JSON object with such values; `-` reads it from standard input [repeatable]
    #[arg(long = "input-file", value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    pub(crate) input_files: Vec<PathBuf>,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// Where Python runs [default: worker, where there are child processes]
    #[arg(long, value_enum)]
    pub(crate) sandbox: Option<Place>,

    /// Run one node after the other
    #[arg(long, conflicts_with = "max_parallel", help_heading = "Limits")]
    pub(crate) sequential: bool,

    /// The most nodes, and copies of nodes, at the same time
    #[arg(long, value_name = "N", value_parser = at_least_one, help_heading = "Limits")]
    pub(crate) max_parallel: Option<usize>,

    /// The most time: seconds, or such as 500ms, 30s, 2m
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Limits")]
    pub(crate) timeout: Option<std::time::Duration>,

    /// What to write: the output, one JSON object, or the events as they happen, one JSON object per line
    #[arg(long, value_enum, default_value_t = Output::Text, help_heading = "Output")]
    output: Output,

    /// The same as `--output json`
    #[arg(long, conflicts_with = "output", help_heading = "Output")]
    json: bool,

    /// Write there and not to standard output
    #[arg(short = 'o', value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Output")]
    pub(crate) output_file: Option<PathBuf>,

    /// Draw what happened: FILE.svg, .mmd, .dot or .txt
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Output")]
    pub(crate) picture: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
}

impl WorkflowRunArgs {
    pub(crate) fn output(&self) -> Output {
        if self.json { Output::Json } else { self.output }
    }
}

/// As what a workflow is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PictureFormat {
    Mermaid,
    Dot,
    Svg,
    Text,
}

#[derive(Debug, Args)]
pub(crate) struct AgentsArgs {
    /// What to write
    #[arg(long, value_enum, default_value_t = PythonOutput::Text)]
    pub(crate) output: PythonOutput,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The task; `-` reads it from standard input. Without it, the task is what is piped in; with it, what is
    /// piped in comes along as context
    #[arg(value_name = "TASK")]
    pub(crate) task: Option<String>,

    /// A text file that comes with the task, up to 1 MiB [repeatable]
    #[arg(short, long = "file", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,

    /// An image that comes with the task: a file (PNG, JPEG, GIF, WebP; up to 20 MiB) or a URL [repeatable]
    #[arg(long = "image", value_name = "FILE|URL", value_hint = ValueHint::FilePath)]
    pub(crate) images: Vec<String>,

    #[command(flatten)]
    pub(crate) agent: AgentArgs,

    /// What to write: the answer, one JSON object, or the events as they happen, one JSON object per line
    #[arg(long, value_enum, default_value_t = Output::Text, help_heading = "Output")]
    pub(crate) output: Output,

    /// The same as `--output json`
    #[arg(long, conflicts_with = "output", help_heading = "Output")]
    pub(crate) json: bool,

    /// Write there and not to standard output
    #[arg(short = 'o', value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Output")]
    pub(crate) output_file: Option<PathBuf>,

    /// JSON Schema that the answer must satisfy
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Output")]
    pub(crate) output_schema: Option<PathBuf>,
}

impl RunArgs {
    pub(crate) fn output(&self) -> Output {
        if self.json { Output::Json } else { self.output }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ChatArgs {
    #[command(flatten)]
    pub(crate) agent: AgentArgs,
}

/// What the agent is, and how far it may go.
#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// The agent of the configuration that does it, instead of one made of these flags; flags change it
    #[arg(long, value_name = "NAME", help_heading = "Agent")]
    pub(crate) agent: Option<String>,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// How the agent acts: by writing Python, by structured tool calls, or by planning tasks and checking whether they
    /// complete the whole [default: code]
    #[arg(long, visible_alias = "strategy", value_enum, help_heading = "Agent")]
    pub(crate) action_type: Option<ActionType>,

    /// Tools that the agent has: web_search, visit_webpage and download_images use the web; ask_user asks you at the
    /// terminal; python runs a program (not with `--action-type code`, which needs no tool for it) [comma-separated,
    /// repeatable]
    #[arg(long, value_delimiter = ',', value_name = "NAME", help_heading = "Agent")]
    pub(crate) tools: Vec<String>,

    /// Modules that programs may import beyond those of the sandbox [comma-separated, repeatable]
    #[arg(long, value_delimiter = ',', value_name = "MODULE", help_heading = "Agent")]
    pub(crate) imports: Vec<String>,

    /// Instructions that are added to the system prompt
    #[arg(long, value_name = "TEXT", help_heading = "Agent")]
    pub(crate) instructions: Option<String>,

    /// Which prompts an agent gets that writes code or plans: by the size of the model, the short one, or the long one
    /// [default: auto]
    #[arg(long, value_enum, help_heading = "Agent")]
    pub(crate) prompt: Option<PromptSize>,

    /// Where Python runs [default: worker, where there are child processes]
    #[arg(long, value_enum, help_heading = "Agent")]
    pub(crate) sandbox: Option<Place>,

    /// The most steps; then one last call asks for an answer [default: 20; 10 for
    /// `--action-type reasoning`]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Limits")]
    pub(crate) max_steps: Option<u32>,

    /// The most tokens, read and written, of all model calls together
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Limits")]
    pub(crate) max_tokens: Option<u64>,

    /// The most seconds
    #[arg(long, value_name = "SECS", value_parser = seconds, help_heading = "Limits")]
    pub(crate) timeout: Option<std::time::Duration>,

    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
}

/// Which model.
#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelArgs {
    /// The model: one of the configuration's, or a name such as openai/gpt-4o, ollama/qwen3:4b, hf/Qwen/Qwen3-32B,
    /// http://host:port/v1#name, local. Otherwise the configuration or MARTLET_MODEL says which, and if nothing is configured it is the embedded one
    #[arg(long, alias = "model-id", value_name = "NAME")]
    pub(crate) model: Option<String>,

    /// smolagents' name of the kind of model, such as OpenAIModel, LiteLLMModel, InferenceClientModel
    #[arg(long, value_name = "TYPE", requires = "model")]
    pub(crate) model_type: Option<String>,

    /// The provider, where the model's name does not say it; with InferenceClientModel or hf/…, the inference
    /// provider behind Hugging Face
    #[arg(long, value_name = "NAME", requires = "model")]
    pub(crate) provider: Option<String>,

    /// The address of the model's server
    #[arg(long, value_name = "URL", requires = "model")]
    pub(crate) api_base: Option<String>,

    /// The key. Other users of this machine can see it in the list of processes: the environment (MARTLET_API_KEY
    /// for an address, OPENAI_API_KEY, HF_TOKEN …) is safer
    #[arg(long, value_name = "KEY", requires = "model")]
    pub(crate) api_key: Option<Secret>,

    /// Randomness of the model's replies: 0 is the most likely text
    #[arg(long, value_name = "0..2", value_parser = temperature)]
    pub(crate) temperature: Option<f32>,
}

/// A key, which cannot be printed by mistake.
#[derive(Clone)]
pub(crate) struct Secret(pub(crate) String);

impl From<String> for Secret {
    fn from(key: String) -> Self {
        Self(key)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How much is shown while it happens.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct Verbosity {
    /// Show nothing but errors
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,

    /// Show everything in full length, and the causes of errors
    #[arg(short, long)]
    verbose: bool,

    /// The same by number: 0 quiet, 1 normal, 2 verbose
    #[arg(long, value_name = "0..2", conflicts_with_all = ["quiet", "verbose"], value_parser = clap::value_parser!(u8).range(0..=2))]
    verbosity_level: Option<u8>,

    /// Show each step when it is done, and not word by word
    #[arg(long)]
    pub(crate) no_stream: bool,
}

impl Verbosity {
    pub(crate) fn level(&self) -> Level {
        match self.verbosity_level {
            Some(0) => Level::Quiet,
            Some(2) => Level::Verbose,
            None if self.quiet => Level::Quiet,
            None if self.verbose => Level::Verbose,
            _ => Level::Normal,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct PythonArgs {
    /// The programs, in order; `-` is standard input
    #[arg(required = true, value_name = "FILE|-", value_hint = ValueHint::FilePath)]
    pub(crate) files: Vec<PathBuf>,

    /// What to write: what the programs print, or one JSON object per file
    #[arg(long, value_enum, default_value_t = PythonOutput::Text)]
    pub(crate) output: PythonOutput,

    /// The most seconds that a program may compute
    #[arg(long, value_name = "SECS", default_value = "30", value_parser = seconds)]
    pub(crate) timeout: std::time::Duration,

    /// The most memory of the session, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    pub(crate) memory: u64,

    /// Modules that programs may import beyond those of the sandbox
    #[arg(long, value_delimiter = ',', value_name = "MODULE")]
    pub(crate) imports: Vec<String>,

    /// Where the programs run
    #[arg(long, value_enum, default_value_t = Place::default())]
    pub(crate) sandbox: Place,
}

#[cfg(feature = "local")]
#[derive(Debug, Subcommand)]
pub(crate) enum ModelCommand {
    /// List the models that can be embedded, and which of them are on this machine
    List,
    /// Fetch a model's weights
    Pull {
        /// The model
        #[arg(default_value = "local")]
        name: String,
    },
    /// Print where a model's weights are; fails if they are not there
    Path {
        /// The model
        #[arg(default_value = "local")]
        name: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,

    #[command(flatten)]
    pub(crate) model: ModelArgs,

    /// Read all of the server's store, to find what is damaged
    #[arg(long)]
    pub(crate) deep: bool,

    /// What to write
    #[arg(long, value_enum, default_value_t = PythonOutput::Text)]
    pub(crate) output: PythonOutput,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    Text,
    Json,
    Jsonl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PythonOutput {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ActionType {
    Code,
    #[value(name = "tool_calling", alias = "tool-calling")]
    ToolCalling,
    Reasoning,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PromptSize {
    Auto,
    Compact,
    Full,
}

fn seconds(text: &str) -> Result<std::time::Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "give a number of seconds, such as 30 or 0.5".to_owned())?;
    if seconds <= 0.0 {
        return Err("give more than 0 seconds".into());
    }
    std::time::Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn time(text: &str) -> Result<std::time::Duration, String> {
    let time = martlet_config::Time::read(text);
    time.map(|time| time.0).ok_or_else(|| "give a length of time, such as 30, 500ms, 30s or 2m".into())
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "give a whole number from 1".into())
}

fn temperature(text: &str) -> Result<f32, String> {
    match text.parse() {
        Ok(value) if (0.0..=2.0).contains(&value) => Ok(value),
        _ => Err("give a number from 0 to 2".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_key_is_not_printed() {
        let cli =
            Cli::try_parse_from(["martlet", "run", "--model", "m", "--api-key", "sk-secret", "t"]).unwrap();
        let printed = format!("{cli:?}");
        assert!(printed.contains("Secret(…)") && !printed.contains("sk-secret"), "{printed}");
    }

    #[test]
    fn a_task_behind_tools_stays_a_task() {
        let read = |line: &[&str]| {
            let line = ["martlet", "run"].iter().chain(line).map(OsString::from).collect();
            match Cli::try_parse_from(one_value_each(line)).map(|cli| cli.command) {
                Ok(Command::Run(args)) => {
                    (args.agent.tools.join(" "), args.agent.imports.join(" "), args.task.unwrap_or_default())
                }
                other => panic!("not a run: {other:?}"),
            }
        };
        for (line, tools, imports, task) in [
            (&["--tools", "python,ask_user", "the task"][..], "python ask_user", "", "the task"),
            (&["--tools", "python", "--tools", "ask_user", "task"], "python ask_user", "", "task"),
            (&["--tools", "python", "user_input", "What, why?"], "python user_input", "", "What, why?"),
            (&["--tools", "python", "ask_user", "task"], "python ask_user", "", "task"),
            (&["--tools=python", "ask_user", "task", "-q"], "python ask_user", "", "task"),
            (&["task", "--tools", "python", "ask_user"], "python ask_user", "", "task"),
            (&["--tools", "python", "-"], "python", "", "-"),
            (&["--tools", "python", "--", "ask_user"], "python", "", "ask_user"),
            (&["--tools", "python", "ask_usr", "task"], "python ask_usr", "", "task"),
            (&["--tools", "web_search"], "web_search", "", ""),
            (&["--imports", "json", "re", "--tools", "python", "task"], "python", "json re", "task"),
            (&["--imports", "json", "re", "task"], "", "json re", "task"),
            (&["--", "--tools", "a"][..2], "", "", "--tools"),
        ] {
            let expected = (tools.to_owned(), imports.to_owned(), task.to_owned());
            assert_eq!(read(line), expected, "{line:?}");
        }
    }

    #[test]
    fn verbosity_has_three_spellings() {
        for (flag, level) in [
            ("-q", Level::Quiet),
            ("--verbosity-level=0", Level::Quiet),
            ("--verbosity-level=1", Level::Normal),
            ("--verbosity-level=2", Level::Verbose),
            ("-v", Level::Verbose),
        ] {
            let Command::Run(args) = Cli::try_parse_from(["martlet", "run", flag, "t"]).unwrap().command
            else {
                panic!("not a run");
            };
            assert_eq!(args.agent.verbosity.level(), level, "{flag}");
        }
    }
}
