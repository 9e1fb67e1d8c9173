//! `ask_user`: a question to the person who gave the task.

use std::io::{self, IsTerminal, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use martlet_core::{ToolFlags, ToolOutput, ToolSpec};
use serde_json::{Map, Value, json};

use crate::arguments::ArgumentReader;
use crate::{Tool, ToolContext, ToolError};

/// Brings a question to a person and waits for the answer.
pub trait Asker: Send + Sync {
    /// Asks `question`. The future holds no thread while the person thinks.
    ///
    /// # Errors
    /// If nobody can be asked; the model is told and goes on without an answer.
    fn ask<'a>(&'a self, question: &'a str, cx: &'a ToolContext) -> BoxFuture<'a, Result<String, ToolError>>;
}

/// The tool `ask_user`: asks the person who gave the task.
#[derive(Clone)]
pub struct AskUser {
    spec: ToolSpec,
    asker: Arc<dyn Asker>,
}

impl AskUser {
    /// A tool that asks by way of `asker`.
    pub fn new(asker: impl Asker + 'static) -> Self {
        let parameters = json!({
            "type": "object",
            "properties": {"question": {"type": "string", "description": "The question, as the user should read it."}},
            "required": ["question"],
            "additionalProperties": false,
        });
        let spec = ToolSpec::new("ask_user", "Asks the user a question and gives back the answer.")
            .parameters(parameters)
            .returns(json!({"type": "string"}))
            // After a crash the question is asked again.
            .flags(ToolFlags { read_only: true, ..ToolFlags::default() });
        Self { spec, asker: Arc::new(asker) }
    }

    /// A tool that asks at the terminal.
    pub fn terminal() -> Self {
        Self::new(TerminalAsker)
    }
}

impl std::fmt::Debug for AskUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AskUser").finish_non_exhaustive()
    }
}

impl Tool for AskUser {
    fn spec(&self) -> &ToolSpec {
        &self.spec
    }

    fn call<'a>(
        &'a self,
        arguments: Map<String, Value>,
        cx: &'a ToolContext,
    ) -> BoxFuture<'a, Result<ToolOutput, ToolError>> {
        Box::pin(async move {
            let question: String = ArgumentReader::new(arguments).required("question")?;
            let answer = self.asker.ask(&question, cx).await?;
            Ok(ToolOutput::from(Value::String(answer)))
        })
    }
}

/// Asks at the terminal: the question goes to standard error, as standard output belongs to the answer of the
/// run; one line is read from standard input.
///
/// Where standard input is no terminal the tool fails at once, so that nothing waits for a person who is not there.
/// On Unix a question whose run is cancelled leaves what is typed afterwards to the next reader; elsewhere it still
/// takes the next line.
#[derive(Debug, Clone, Copy, Default)]
pub struct TerminalAsker;

/// Held while somebody is asked: two questions at once could not be told apart.
static ASKING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

impl Asker for TerminalAsker {
    fn ask<'a>(
        &'a self,
        question: &'a str,
        _cx: &'a ToolContext,
    ) -> BoxFuture<'a, Result<String, ToolError>> {
        let question = question.to_owned();
        Box::pin(async move {
            require_terminal(&io::stdin())?;
            let turn = ASKING.lock().await;
            let given_up = GivenUp::default();
            let flag = Arc::clone(&given_up.0);
            tokio::task::spawn_blocking(move || {
                // The thread keeps the turn: it ends a moment after its question does.
                let _turn = turn;
                let mut input = Terminal::open(flag)?;
                converse(&question, &mut input, &mut io::stderr().lock())
            })
            .await
            .map_err(|_| ToolError::new("the question could not be asked"))?
        })
    }
}

/// Says, when it is dropped with its question, that nobody waits for the answer any more.
#[derive(Default)]
struct GivenUp(Arc<AtomicBool>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Standard input, without the buffer of the standard library: whoever reads next finds all that is not ours.
#[cfg(unix)]
type Terminal = Until<std::fs::File>;

#[cfg(unix)]
impl Terminal {
    fn open(given_up: Arc<AtomicBool>) -> io::Result<Self> {
        use std::os::fd::AsFd as _;
        Ok(Self { input: io::stdin().as_fd().try_clone_to_owned()?.into(), given_up })
    }
}

/// An input that is read only while somebody waits for it. A thread in the middle of `read` cannot be stopped: it
/// would take what is typed for somebody else.
#[cfg(unix)]
struct Until<R> {
    input: R,
    given_up: Arc<AtomicBool>,
}

/// So often a thread that waits for input looks whether it still should.
#[cfg(unix)]
const LOOK: rustix::event::Timespec = rustix::event::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

#[cfg(unix)]
impl<R: Read + std::os::fd::AsFd> Read for Until<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use rustix::event::{PollFd, PollFlags, poll};
        loop {
            let ready = match poll(&mut [PollFd::new(&self.input, PollFlags::IN)], Some(&LOOK)) {
                Ok(count) => count > 0,
                Err(rustix::io::Errno::INTR) => false,
                Err(error) => return Err(error.into()),
            };
            // Asked last, so that nothing is taken once the question is given up.
            if self.given_up.load(Ordering::SeqCst) {
                return Err(io::Error::other("the question was given up"));
            }
            if ready {
                return self.input.read(buffer);
            }
        }
    }
}

#[cfg(not(unix))]
struct Terminal(io::Stdin);

#[cfg(not(unix))]
impl Terminal {
    fn open(_given_up: Arc<AtomicBool>) -> io::Result<Self> {
        Ok(Self(io::stdin()))
    }
}

#[cfg(not(unix))]
impl Read for Terminal {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

fn require_terminal(input: &impl IsTerminal) -> Result<(), ToolError> {
    if input.is_terminal() {
        return Ok(());
    }
    Err(ToolError::new(
        "nobody can be asked: standard input is not a terminal. Go on without the answer and say what you assumed",
    ))
}

fn converse(question: &str, input: &mut impl Read, output: &mut impl Write) -> Result<String, ToolError> {
    write!(output, "\n{}\n> ", printable(question))?;
    output.flush()?;
    let Some(line) = line(input)? else {
        return Err(ToolError::new("the user closed the input and gave no answer"));
    };
    Ok(line.trim().to_owned())
}

/// One line, byte by byte, so that nothing behind it is taken; `None` if the input ends before it.
fn line(input: &mut impl Read) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    let mut byte = [0];
    loop {
        match input.read(&mut byte) {
            Ok(0) if line.is_empty() => return Ok(None),
            Ok(0) => break,
            Ok(_) if byte == *b"\n" => break,
            Ok(_) => line.extend_from_slice(&byte),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    String::from_utf8(line)
        .map(Some)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the answer is not UTF-8 text"))
}

/// The question comes from a model: it must not move the cursor or fake other output.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| *letter == '\n' || *letter == '\t' || !letter.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_the_answer() {
        let mut shown = Vec::new();
        let answer =
            converse("Which \u{1b}[2Jcity?", &mut "  Paris \nRome\n".as_bytes(), &mut shown).unwrap();
        assert_eq!(answer, "Paris");
        assert_eq!(String::from_utf8(shown).unwrap(), "\nWhich [2Jcity?\n> ");
    }

    #[test]
    fn an_input_that_ends_is_no_answer() {
        let error = converse("?", &mut "".as_bytes(), &mut Vec::new()).unwrap_err();
        assert_eq!(error.message(), "the user closed the input and gave no answer");
    }

    #[test]
    fn what_is_behind_the_line_is_left() {
        let mut input = "Paris\nRome\n".as_bytes();
        converse("?", &mut input, &mut Vec::new()).unwrap();
        assert_eq!(input, b"Rome\n");
    }

    #[cfg(unix)]
    #[test]
    fn a_question_that_is_given_up_takes_nothing() {
        use std::os::unix::net::UnixStream;
        let (mut person, input) = UnixStream::pair().unwrap();
        let mut left = input.try_clone().unwrap();
        let given_up = GivenUp::default();
        let mut input = Until { input, given_up: Arc::clone(&given_up.0) };
        let asking = std::thread::spawn(move || line(&mut input));
        drop(given_up);
        assert!(asking.join().unwrap().is_err());
        person.write_all(b"for somebody else\n").unwrap();
        assert_eq!(line(&mut left).unwrap().as_deref(), Some("for somebody else"));
    }

    #[test]
    fn without_a_terminal_nobody_is_asked() {
        let file = std::fs::File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).unwrap();
        let error = require_terminal(&file).unwrap_err();
        assert!(error.message().contains("standard input is not a terminal"), "{error}");
    }
}
