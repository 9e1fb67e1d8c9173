//! The worker's side: one process that runs one program at a time for the pool that started it.

use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use martlet_core::code::{CodeEnd, CodeLimits};
use martlet_core::message::Blob;
use monty_types::{BASELINE_MEMORY, LIVE_MEMORY};

use crate::engine::{self, Host, Paused, Setup, Turn};
use crate::in_process::{NOT_HELD, STACK_BYTES};
use crate::wire::{self, Decoder, FromWorker, PROTOCOL, ToWorker};

/// How often the memory of the process is looked at while a program runs.
const SAMPLE_EVERY: Duration = Duration::from_millis(1);
/// What a program may map beyond one and a half times its memory before the system stops it.
const MAP_HEADROOM: u64 = 64 << 20;

/// The main function of a worker: serves the pool on stdin and stdout until stdin is closed.
///
/// A program that embeds Martlet and starts itself as its worker calls this, and nothing else, when its first
/// argument is `subprocess`: before it reads a configuration, opens a file or starts a thread.
pub fn worker_main() -> ExitCode {
    confine();
    let serving = thread::Builder::new().name("python".into()).stack_size(STACK_BYTES).spawn(|| {
        let worker = Worker {
            input: io::stdin().lock(),
            output: io::stdout().lock(),
            decoder: Decoder::default(),
            setup: None,
            waiting: None,
        };
        worker.serve()
    });
    match serving.map(thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Gives up what a worker never needs. Each is a further hedge: a system that refuses one does not stop us.
fn confine() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // A crash is expected here, and is no reason to fill a disk.
    let _ = setrlimit(Resource::Core, none);
    let _ = setrlimit(Resource::Fsize, none);
    // The end of stdin tells a worker that its pool is gone, but only when it reads: not in an endless loop.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
}

struct Worker<R, W> {
    input: R,
    output: W,
    decoder: Decoder,
    setup: Option<Setup>,
    waiting: Option<Box<Paused>>,
}

impl<R: Read, W: Write> Worker<R, W> {
    fn serve(mut self) -> io::Result<()> {
        let ready = FromWorker::Ready { protocol: PROTOCOL, dump_version: monty::DUMP_VERSION };
        wire::write(&mut self.output, &ready, &[])?;
        while let Some((message, attachment)) = self.next()? {
            match message {
                ToWorker::Setup { setup } => self.setup = Some(setup),
                ToWorker::Forget => self.waiting = None,
                ToWorker::Save => self.save()?,
                ToWorker::Start { code, variables, saved } => {
                    self.waiting = None;
                    self.run(|setup, host| {
                        engine::start(setup, &code, &variables, saved.then_some(&attachment[..]), host)
                    })?;
                }
                ToWorker::Resume { results } => match self.waiting.take() {
                    Some(paused) => {
                        self.run(|setup, host| engine::resume(setup, *paused, results, host))?;
                    }
                    None => self.refuse(NOT_HELD.into())?,
                },
                ToWorker::Restore { results } => self.run(|setup, host| match Paused::load(&attachment) {
                    Ok(paused) => engine::resume(setup, paused, results, host),
                    Err(reason) => Turn::Refused(reason),
                })?,
            }
        }
        Ok(())
    }

    fn next(&mut self) -> io::Result<Option<(ToWorker, bytes::Bytes)>> {
        loop {
            if let Some(message) = self.decoder.next()? {
                return Ok(Some(message));
            }
            if !self.decoder.read(&mut self.input)? {
                return Ok(None);
            }
        }
    }

    fn run(&mut self, program: impl FnOnce(&Setup, &mut dyn Host) -> Turn) -> io::Result<()> {
        let Some(setup) = &self.setup else { return self.refuse("no setup was sent".into()) };
        let memory = Memory::limit(&setup.limits);
        let mut host = Pipe { output: &mut self.output, memory, lost: None };
        let turn = program(setup, &mut host);
        if let Some(error) = host.lost {
            return Err(error);
        }
        let resident_bytes = memory::anonymous().unwrap_or(0);
        match turn {
            Turn::Waiting(paused, wait) => {
                self.waiting = Some(paused);
                self.reply(&FromWorker::Waiting { wait }, &[])
            }
            Turn::Ended(mut end) => {
                let session = end.session.take();
                let bytes = session.as_ref().map(|Blob(bytes)| &bytes[..]).unwrap_or_default();
                self.reply(&FromWorker::Ended { end, saved: session.is_some(), resident_bytes }, bytes)
            }
            Turn::Refused(reason) => self.refuse(reason),
        }
    }

    fn save(&mut self) -> io::Result<()> {
        match self.waiting.take().ok_or_else(|| NOT_HELD.to_owned()).and_then(|paused| paused.save()) {
            Ok(bytes) => self.reply(&FromWorker::Saved, &bytes),
            Err(reason) => self.reply(&FromWorker::NotSaved { reason }, &[]),
        }
    }

    fn refuse(&mut self, reason: String) -> io::Result<()> {
        self.reply(&FromWorker::Refused { reason }, &[])
    }

    fn reply(&mut self, message: &FromWorker, attachment: &[u8]) -> io::Result<()> {
        match wire::encode(message, attachment) {
            Ok(frame) => {
                self.output.write_all(&frame)?;
                self.output.flush()
            }
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                self.waiting = None;
                let problem = "what the program hands over (printed text, the value, the arguments of its calls) \
                               is too large; the variables are as they were before it. Hand over less at a time";
                let error = engine::own_error("MemoryError", problem.into());
                let end = Box::new(CodeEnd { error: Some(error), ..CodeEnd::default() });
                wire::write(
                    &mut self.output,
                    &FromWorker::Ended { end, saved: false, resident_bytes: u64::MAX },
                    &[],
                )
            }
            Err(error) => Err(error),
        }
    }
}

/// The engine's host in a worker.
struct Pipe<'a, W> {
    output: &'a mut W,
    memory: Memory,
    /// The pool is gone.
    lost: Option<io::Error>,
}

impl<W: Write> Host for Pipe<'_, W> {
    fn print(&mut self, text: &str) {
        if self.lost.is_none() {
            let printed = FromWorker::Printed { text: text.to_owned() };
            self.lost = wire::write(self.output, &printed, &[]).err();
        }
    }

    fn checkpoint(&mut self) -> ControlFlow<()> {
        self.memory.sample();
        if self.lost.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// The memory of the program that runs.
///
/// The interpreter compares the memory in use with the limit; that counter is fed here with what the system
/// says the process has taken since the program started. What grows between two looks, or inside one native
/// operation that is not counted, meets the limit of the address space, and that ends the process.
struct Memory {
    before: u64,
    sampled: Instant,
}

impl Memory {
    fn limit(limits: &CodeLimits) -> Self {
        if let Some(mapped) = memory::mapped() {
            use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
            let most = mapped
                .saturating_add(limits.memory_bytes)
                .saturating_add(limits.memory_bytes / 2)
                .saturating_add(MAP_HEADROOM);
            let maximum = getrlimit(Resource::As).maximum;
            let current = Some(maximum.map_or(most, |maximum| most.min(maximum)));
            // Without it the interpreter's own checks remain, and the host's memory.
            let _ = setrlimit(Resource::As, Rlimit { current, maximum });
        }
        BASELINE_MEMORY.store(0, Ordering::Relaxed);
        LIVE_MEMORY.store(0, Ordering::Relaxed);
        Self { before: memory::anonymous().unwrap_or(0), sampled: Instant::now() }
    }

    fn sample(&mut self) {
        if self.sampled.elapsed() < SAMPLE_EVERY {
            return;
        }
        if let Some(now) = memory::anonymous() {
            let grown = usize::try_from(now.saturating_sub(self.before)).unwrap_or(usize::MAX);
            LIVE_MEMORY.store(grown, Ordering::Relaxed);
        }
        self.sampled = Instant::now();
    }
}

/// What the system says of this process, in bytes; `None` where it does not say.
mod memory {
    /// The address space in use.
    pub(super) fn mapped() -> Option<u64> {
        pages(0)
    }

    /// The memory that is not shared with files.
    pub(super) fn anonymous() -> Option<u64> {
        Some(pages(1)?.saturating_sub(pages(2)?))
    }

    #[cfg(target_os = "linux")]
    fn pages(field: usize) -> Option<u64> {
        let text = std::fs::read_to_string("/proc/self/statm").ok()?;
        let pages: u64 = text.split_whitespace().nth(field)?.parse().ok()?;
        Some(pages * rustix::param::page_size() as u64)
    }

    #[cfg(not(target_os = "linux"))]
    fn pages(_field: usize) -> Option<u64> {
        None
    }
}
