//! `martlet chat`: a conversation with an agent.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;

use martlet::{RunStatus, Session};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::agent::Plan;
use crate::args::ChatArgs;
use crate::exit::{Exit, Failure};
use crate::output::Sink;
use crate::render::Level;
use crate::run::{explain, renderer};
use crate::signals::Signals;
use crate::watch::{Watched, watch};

const HELP: &str = "\
/clear  forget what was said
/model  show the model
/help   show this
/exit   end (also Ctrl-D)
Ctrl-C stops a run. All else is said to the agent.";

pub(crate) async fn chat(args: ChatArgs) -> Result<Exit, Failure> {
    let args = args.agent;
    let mut signals = Signals::listen()?;
    let plan = Plan::read(&args, None)?;
    let level = args.verbosity.level();
    let agent = plan.build(level, &mut signals).await?;
    // Restored when this function ends, also while a thread still waits for a line.
    #[cfg(unix)]
    let _modes = TerminalModes::save();
    let mut lines = Some(Lines::open()?);
    let interactive = matches!(lines, Some(Lines::Terminal { .. }));
    if interactive && level != Level::Quiet {
        let _ = writeln!(io::stderr(), "{}: /help shows the commands, Ctrl-D ends.", agent.model().name());
    }
    let mut session = Session::new(agent.clone());
    let mut sink = Sink::Stdout;
    let mut exit = Exit::Success;
    loop {
        // Whoever reads a line holds a thread, so that signals are heard meanwhile.
        let Some(mut reader) = lines.take() else { break };
        let reading = tokio::task::spawn_blocking(move || {
            let line = reader.next();
            (reader, line)
        });
        let read = signals
            .unless_stopped(async {
                reading.await.map_err(|error| Failure::host("cannot read a line", error))
            })
            .await?;
        let (reader, line) = read;
        lines = Some(reader);
        let Some(line) = line? else { break };
        let line = line.trim();
        match line {
            "" => continue,
            "/exit" | "/quit" => break,
            "/help" => say(HELP),
            "/clear" => {
                session.clear();
                say("forgotten");
            }
            "/model" => say(agent.model().name()),
            command if is_command(command) => {
                say(&format!("there is no command {command}; /help shows them"));
            }
            task => {
                let mut request = session.request(task);
                if let Some(timeout) = plan.timeout() {
                    request = request.timeout(timeout);
                }
                let mut renderer = renderer(&args, &agent);
                let Watched { result, signal, .. } =
                    watch(request.start(), &mut renderer, &mut signals, |_| Ok(())).await;
                match result {
                    Ok(result) => {
                        session.remember(&result);
                        if !result.output.is_null() || result.succeeded() {
                            sink.answer(&result.answer_text())?;
                        }
                        explain(&result, agent.spec().limits.max_steps);
                        let stopped = signal.filter(|_| result.status == RunStatus::Cancelled);
                        let this = stopped.map_or_else(|| Exit::of_run(&result), |signal| signal.exit());
                        if this == Exit::Terminated || (this == Exit::Interrupted && !interactive) {
                            return Ok(this);
                        }
                        exit = worse(exit, this);
                    }
                    Err(error) => {
                        crate::exit::tell(&error, level == Level::Verbose);
                        exit = worse(exit, error.result().map_or(Exit::Failed, Exit::of_run));
                    }
                }
            }
        }
    }
    // A person saw what failed. A script has to be told.
    Ok(if interactive { Exit::Success } else { exit })
}

/// One word behind a slash; `/etc/hosts` is a path.
fn is_command(line: &str) -> bool {
    line.strip_prefix('/').is_some_and(|word| word.chars().all(char::is_alphabetic))
}

/// The first failure decides.
fn worse(exit: Exit, next: Exit) -> Exit {
    if exit == Exit::Success { next } else { exit }
}

fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Where the lines come from.
enum Lines {
    Terminal { editor: Box<DefaultEditor>, history: Option<PathBuf> },
    Stream,
}

impl Lines {
    fn open() -> Result<Self, Failure> {
        if !io::stdin().is_terminal() {
            return Ok(Self::Stream);
        }
        let mut editor = DefaultEditor::new()
            .map_err(|error| Failure::host("cannot read lines from this terminal", error))?;
        let history = history_file();
        if let Some(path) = &history {
            // There is none yet at the first start.
            let _ = editor.load_history(path);
        }
        Ok(Self::Terminal { editor: Box::new(editor), history })
    }

    /// The next line; `None` at the end.
    fn next(&mut self) -> Result<Option<String>, Failure> {
        let failed = |error: anyhow::Error| Failure::host("cannot read a line", error);
        match self {
            Self::Stream => {
                let mut line = String::new();
                let count = io::stdin().read_line(&mut line).map_err(|error| failed(error.into()))?;
                Ok((count > 0).then_some(line))
            }
            Self::Terminal { editor, history } => match editor.readline("> ") {
                Ok(line) => {
                    if !line.trim().is_empty() {
                        let _ = editor.add_history_entry(&line);
                        if let Some(path) = history {
                            // A conversation is worth more than its history file.
                            let _ = editor.save_history(path);
                        }
                    }
                    Ok(Some(line))
                }
                // As in a shell: the line is given up, not the conversation.
                Err(ReadlineError::Interrupted) => Ok(Some(String::new())),
                Err(ReadlineError::Eof) => Ok(None),
                Err(error) => Err(failed(error.into())),
            },
        }
    }
}

/// How the terminal was set before lines were read from it.
#[cfg(unix)]
struct TerminalModes(Option<nix::sys::termios::Termios>);

#[cfg(unix)]
impl TerminalModes {
    fn save() -> Self {
        // Not a terminal: nothing to restore.
        Self(nix::sys::termios::tcgetattr(io::stdin()).ok())
    }
}

#[cfg(unix)]
impl Drop for TerminalModes {
    fn drop(&mut self) {
        use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};
        let Some(modes) = &self.0 else { return };
        let left_raw = tcgetattr(io::stdin()).is_ok_and(|now| !now.local_flags.contains(LocalFlags::ICANON));
        if left_raw {
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, modes);
            if io::stdout().is_terminal() {
                // The editor was stopped before it could take back its marks around pasted text.
                let mut stdout = io::stdout();
                let _ = stdout.write_all(b"\x1b[?2004l\r\n").and_then(|()| stdout.flush());
            }
        }
    }
}

/// `$XDG_STATE_HOME/martlet/chat_history`, readable by its owner alone.
fn history_file() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| set("LOCALAPPDATA").filter(|_| cfg!(windows)))
        .or_else(|| set("HOME").map(|home| home.join(".local").join("state")))?;
    let directory = state.join("martlet");
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&directory).ok()?;
    Some(directory.join("chat_history"))
}
