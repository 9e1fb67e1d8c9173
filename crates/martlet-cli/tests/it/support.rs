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

/// A person at a terminal.
#[cfg(unix)]
pub(crate) struct Person {
    terminal: std::fs::File,
    screen: mpsc::Receiver<Vec<u8>>,
    /// What was shown and not yet expected.
    shown: String,
    child: Child,
}

#[cfg(unix)]
impl Person {
    pub(crate) fn starts(mut command: Command) -> Self {
        let pair = nix::pty::openpty(None, None).unwrap();
        let side = || Stdio::from(pair.slave.try_clone().unwrap());
        command.env("TERM", "xterm").stdin(side()).stdout(side()).stderr(side());
        let child = command.spawn().unwrap();
        let terminal = std::fs::File::from(pair.master);
        let mut output = terminal.try_clone().unwrap();
        let (sender, screen) = mpsc::channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = std::io::Read::read(&mut output, &mut piece) {
                if sender.send(piece[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { terminal, screen, shown: String::new(), child }
    }

    /// Reads on until `text` is shown.
    pub(crate) fn sees(&mut self, text: &str) {
        loop {
            if let Some(start) = self.shown.find(text) {
                self.shown.drain(..start + text.len());
                return;
            }
            match self.screen.recv_timeout(PATIENCE) {
                Ok(piece) => self.shown.push_str(&String::from_utf8_lossy(&piece)),
                Err(error) => {
                    send(self.child.id(), libc::SIGKILL);
                    panic!("`{text}` did not come ({error}), but {:?}", self.shown);
                }
            }
        }
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.terminal.write_all(text.as_bytes()).unwrap();
    }

    /// Whether the terminal hands out lines and not keys.
    pub(crate) fn has_lines(&self) -> bool {
        let modes = nix::sys::termios::tcgetattr(&self.terminal).unwrap();
        modes.local_flags.contains(nix::sys::termios::LocalFlags::ICANON)
    }

    /// Waits until the command reads keys: it shows its prompt.
    pub(crate) fn is_prompted(&self) {
        let start = std::time::Instant::now();
        while self.has_lines() {
            assert!(start.elapsed() < PATIENCE, "no prompt came");
            std::thread::yield_now();
        }
    }

    pub(crate) fn signals(&self, signal: i32) {
        assert!(send(self.child.id(), signal));
    }

    /// The exit code.
    pub(crate) fn ends(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}
