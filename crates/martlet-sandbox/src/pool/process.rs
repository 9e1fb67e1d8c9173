//! One child process: how it is started, talked to, and buried.

use std::env;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::WorkerConfig;
use crate::engine::Setup;
use crate::error::{ErrorKind, SandboxError};
use crate::wire::{self, Decoder, FromWorker, PROTOCOL, ToWorker};

/// The time from the start of a process to its first frame.
const START_TIME: Duration = Duration::from_secs(20);
/// What is read of a dead worker's last words.
const LAST_WORDS: u64 = 4 << 10;

/// A worker that lives.
pub(super) struct Process {
    pub(super) child: Arc<Mutex<Child>>,
    pub(super) id: u32,
    input: ChildStdin,
    output: ChildStdout,
    errors: ChildStderr,
    decoder: Decoder,
    /// What it was told last.
    setup: Option<Arc<Setup>>,
    pub(super) programs: u32,
}

/// Why nothing more is heard of a worker.
#[derive(Debug)]
pub(super) enum Silence {
    /// It did not answer in time.
    TimedOut,
    /// It closed its output, or wrote something that is no frame.
    Gone(io::Error),
}

/// How a worker died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Death {
    /// Killed, because it did not end in time.
    TimedOut,
    /// It was refused memory, or the system killed it.
    OutOfMemory,
    /// Its native stack was not deep enough.
    StackOverflow,
    /// A fault in the interpreter.
    Crashed,
}

impl Process {
    /// Starts a worker and waits until it is ready.
    pub(super) fn start(config: &WorkerConfig) -> Result<Self, SandboxError> {
        let command = locate(&config.command).ok_or_else(|| {
            cannot_start(config, "there is no such program; install it, or set the path of the worker")
        })?;
        let mut child = Command::new(command)
            .args(&config.args)
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                let advice = "check that it may be executed, and the limits of processes and memory";
                cannot_start(config, &format!("{error}; {advice}")).caused_by(error)
            })?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let id = child.id();
        let child = Arc::new(Mutex::new(child));
        let (Some(input), Some(output), Some(errors)) = pipes else {
            kill(&child);
            return Err(cannot_start(
                config,
                "it has no pipes; this is a fault in Martlet, please report it",
            ));
        };
        let mut process =
            Self { child, id, input, output, errors, decoder: Decoder::default(), setup: None, programs: 0 };
        let problem = match process.receive(Instant::now().checked_add(START_TIME)) {
            Ok((FromWorker::Ready { protocol: PROTOCOL, dump_version: monty::DUMP_VERSION }, _)) => {
                return Ok(process);
            }
            Ok((FromWorker::Ready { .. }, _)) => {
                "it belongs to another version; install the worker of this version".to_owned()
            }
            Ok(_) | Err(Silence::Gone(_)) => {
                let (status, words) = process.bury();
                let words = words.lines().next().unwrap_or_default();
                let status = status.map_or_else(|| "it ended".to_owned(), |status| status.to_string());
                format!("it is not a worker of Martlet's sandbox ({status}; {words:?}); check the command")
            }
            Err(Silence::TimedOut) => {
                format!("it did not answer within {} s; is the machine overloaded?", START_TIME.as_secs())
            }
        };
        Err(cannot_start(config, &problem))
    }

    /// Whether the child is still there: it may have been killed from outside since its last program.
    pub(super) fn is_alive(&self) -> bool {
        matches!(self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait(), Ok(None))
    }

    pub(super) fn send(&mut self, message: &ToWorker, attachment: &[u8]) -> io::Result<()> {
        wire::write(&mut self.input, message, attachment)
    }

    /// Tells the worker what programs may use from now on, if it does not know.
    pub(super) fn set_up(&mut self, setup: &Arc<Setup>) -> io::Result<()> {
        let known = self.setup.as_ref().is_some_and(|known| {
            Arc::ptr_eq(known, setup)
                || (Arc::ptr_eq(&known.tools, &setup.tools)
                    && known.limits == setup.limits
                    && known.imports == setup.imports)
        });
        if !known {
            self.send(&ToWorker::Setup { setup: Setup::clone(setup) }, &[])?;
            self.setup = Some(Arc::clone(setup));
        }
        Ok(())
    }

    /// The next frame, if it comes before `deadline`; without one, whenever it comes.
    ///
    /// What is in the pipe already came in time, however late we look.
    pub(super) fn receive(&mut self, deadline: Option<Instant>) -> Result<(FromWorker, Bytes), Silence> {
        loop {
            if let Some(frame) = self.decoder.next().map_err(Silence::Gone)? {
                return Ok(frame);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if !readable(&self.output, left).map_err(Silence::Gone)? {
                return Err(Silence::TimedOut);
            }
            if !self.decoder.read(&mut self.output).map_err(Silence::Gone)? {
                return Err(Silence::Gone(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Ends the worker after it fell silent, and finds out what it died of.
    pub(super) fn post_mortem(mut self, silence: &Silence) -> Death {
        // What closed its output without a word is dying: give it the moment to say of what.
        let fell_silent =
            matches!(silence, Silence::Gone(error) if error.kind() != io::ErrorKind::InvalidData);
        let death = if fell_silent { self.wait_briefly() } else { None };
        let (status, words) = self.bury();
        let status = death.or(status);
        tracing::warn!(worker = self.id, ?silence, ?status, words = words.trim(), "a sandbox worker died");
        match silence {
            Silence::TimedOut => Death::TimedOut,
            Silence::Gone(_) if words.contains("memory allocation") || words.contains("out of memory") => {
                Death::OutOfMemory
            }
            Silence::Gone(_) if words.contains("overflowed its stack") => Death::StackOverflow,
            // Not by us: we kill only what is stopped or late. The system does when memory runs out.
            Silence::Gone(_) if death.is_some_and(|status| status.signal() == Some(9)) => Death::OutOfMemory,
            Silence::Gone(_) => Death::Crashed,
        }
    }

    fn wait_briefly(&self) -> Option<ExitStatus> {
        let until = Instant::now() + Duration::from_millis(200);
        loop {
            let state = self.child.lock().unwrap_or_else(PoisonError::into_inner).try_wait();
            match state {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < until => std::thread::sleep(Duration::from_millis(1)),
                _ => return None,
            }
        }
    }

    /// Kills and reaps the child, and reads its last words.
    fn bury(&mut self) -> (Option<ExitStatus>, String) {
        kill(&self.child);
        let status = self.child.lock().unwrap_or_else(PoisonError::into_inner).wait().ok();
        let mut words = Vec::new();
        // All ends of the pipe were the child's, so this ends.
        let _ = (&mut self.errors).take(LAST_WORDS).read_to_end(&mut words);
        (status, String::from_utf8_lossy(&words).into_owned())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        kill(&self.child);
        let _ = self.child.lock().unwrap_or_else(PoisonError::into_inner).wait();
    }
}

/// Kills the child, if it was not reaped yet.
pub(super) fn kill(child: &Mutex<Child>) {
    let _ = child.lock().unwrap_or_else(PoisonError::into_inner).kill();
}

/// Waits until there is something to read; `false` if that takes longer than `time`, where there is a limit.
fn readable(output: &ChildStdout, time: Option<Duration>) -> io::Result<bool> {
    let begun = Instant::now();
    loop {
        let timeout = time.map(|time| {
            let left = time.saturating_sub(begun.elapsed());
            Timespec {
                tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: i64::from(left.subsec_nanos()),
            }
        });
        match poll(&mut [PollFd::new(output, PollFlags::IN)], timeout.as_ref()) {
            Ok(count) => return Ok(count > 0),
            // A signal.
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The program's path. The worker gets no environment, so `PATH` is looked at here.
fn locate(command: &Path) -> Option<PathBuf> {
    if command.components().count() > 1 || command.is_absolute() {
        return std::path::absolute(command).ok().filter(|path| path.exists());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|directory| directory.join(command)).find(|path| path.is_file())
}

fn cannot_start(config: &WorkerConfig, problem: &str) -> SandboxError {
    SandboxError::new(
        ErrorKind::Worker,
        format!("cannot start the sandbox worker `{}`: {problem}", config.command.display()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that writes one frame when it starts, and another one when it is told something.
    #[test]
    fn a_frame_that_is_in_the_pipe_came_in_time() {
        let ready = FromWorker::Ready { protocol: PROTOCOL, dump_version: monty::DUMP_VERSION };
        let answer = FromWorker::Refused { reason: "no".into() };
        let octal = |message: &FromWorker| -> String {
            let frame = wire::encode(message, &[]).unwrap();
            frame.iter().map(|byte| format!("\\{byte:03o}")).collect()
        };
        let script = format!(
            "printf '{}'; head -c 1 >/dev/null; printf '{}'; cat >/dev/null",
            octal(&ready),
            octal(&answer)
        );
        let config = WorkerConfig::new("/bin/sh").args(["-c", &script]);
        let mut process = Process::start(&config).unwrap();
        assert!(matches!(process.receive(Some(Instant::now())), Err(Silence::TimedOut)));
        process.send(&ToWorker::Forget, &[]).unwrap();
        assert!(readable(&process.output, Some(START_TIME)).unwrap());
        let late = process.receive(Some(Instant::now()));
        assert!(matches!(late, Ok((FromWorker::Refused { .. }, _))), "{late:?}");
    }
}
