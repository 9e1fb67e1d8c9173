//! Running the binary.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use martlet_testkit::FakeServer;
use tempfile::TempDir;

/// Longer than anything here takes, so that a command that hangs fails its test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A place of its own for each command: no configuration of the machine gets in.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// `martlet` with these arguments, without a model.
    pub(crate) fn martlet(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_martlet"));
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("MARTLET_MODEL_DIR", self.path().join("models"))
            .current_dir(self.path())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// `martlet` with the model that `server` plays.
    pub(crate) fn with(&self, server: &FakeServer, arguments: &[&str]) -> Command {
        let mut command = self.martlet(arguments);
        command.env("MARTLET_MODEL", format!("{}#fake", server.base_url()));
        command
    }
}

/// What a command wrote, and how it ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// The last line of standard error that begins with `error:`.
    pub(crate) fn error(&self) -> &str {
        let last = self.stderr.lines().rfind(|line| line.starts_with("error:"));
        last.unwrap_or_else(|| panic!("no error in {self:?}"))
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

pub(crate) fn done(mut command: Command) -> Done {
    finish(command.spawn().unwrap())
}

/// Runs the command with `input` on its standard input.
pub(crate) fn fed(mut command: Command, input: &str) -> Done {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    finish(child)
}

pub(crate) fn finish(child: Child) -> Done {
    let id = child.id();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(PATIENCE) {
        Ok(output) => output.unwrap().into(),
        Err(_) => {
            send(id, libc::SIGKILL);
            panic!("the command did not end within {PATIENCE:?}: {:?}", receiver.recv());
        }
    }
}

#[expect(unsafe_code, reason = "there is no safe way in the standard library to send a signal")]
pub(crate) fn send(process: u32, signal: i32) -> bool {
    let process = i32::try_from(process).unwrap();
    // SAFETY: `kill` takes two numbers and touches no memory of ours.
    unsafe { libc::kill(process, signal) == 0 }
}

/// A reply of a code agent's model.
pub(crate) fn code(program: &str) -> String {
    format!("```python\n{program}\n```")
}
