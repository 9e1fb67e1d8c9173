//! One program on one session, step by step: no I/O, no clock but the interpreter's, no threads.
//!
//! [`start`] and [`resume`] run Python until the program ends or has to wait, and say which. Whoever calls them
//! decides where that happens: a thread of this process or a worker process.

mod binding;
mod output;
pub(crate) mod snapshot;

use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use martlet_core::code::{CallResult, CodeCall, CodeEnd, CodeError, CodeLimits, CodeValue};
use martlet_core::message::Blob;
use martlet_core::tool::{FINAL_ANSWER, ToolSpec};
use monty::{
    Dump, MontyRepl, ReplFunctionCall, ReplNameLookup, ReplOsCall, ReplProgress, ReplResolveFutures,
    ReplStartError, SessionRef,
};
use monty_types::{
    CompileOptions, ExcType, ExtFunctionResult, MontyException, MontyObject, NameLookupResult, NamedValues,
    OsFunctionCall, OsPolicy, PrintWriter, ProcessTime, ResourceLimits, ResourceTracker,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::output::{Printed, Printer};
use self::snapshot::Kind;
use crate::dialect::{self, Prepared, value};
use crate::options::SessionOptions;

/// The name of programs in tracebacks.
const SCRIPT: &str = "program.py";
/// The time that one program may sleep in total; a single sleep is capped by the interpreter's policy at 10 s.
const MAX_SLEEP: Duration = Duration::from_secs(60);
/// The bytes of a saved session. More than that is not state but data, which belongs into a file or a tool.
const MAX_SNAPSHOT_BYTES: usize = 48 << 20;

/// What the programs of a session may use, as it travels to a worker.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Setup {
    pub(crate) tools: Arc<[ToolSpec]>,
    pub(crate) limits: CodeLimits,
    pub(crate) imports: Vec<String>,
}

impl From<SessionOptions> for Setup {
    fn from(options: SessionOptions) -> Self {
        Self { tools: options.tools, limits: options.limits, imports: options.imports }
    }
}

/// Who runs the engine.
pub(crate) trait Host {
    /// Takes what the program printed.
    fn print(&mut self, text: &str);
    /// Is asked every few hundred instructions whether the program may go on.
    fn checkpoint(&mut self) -> ControlFlow<()>;
}

/// What came of a start or a resume.
#[derive(Debug)]
pub(crate) enum Turn {
    /// The program waits.
    Waiting(Box<Paused>, Wait),
    /// The program ended.
    Ended(Box<CodeEnd>),
    /// The request cannot be performed: a fault of the host, not of the program.
    Refused(String),
}

/// What a program waits for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Wait {
    pub(crate) calls: Vec<CodeCall>,
    pub(crate) awaiting: Vec<u32>,
    /// The program sleeps and waits for no call: resume it without results after this time.
    pub(crate) sleep_ms: Option<u64>,
}

/// A program that waits.
#[derive(Debug)]
pub(crate) struct Paused {
    progress: ReplProgress,
    ledger: Ledger,
}

/// What we know of a program, besides what the interpreter knows.
#[derive(Debug, Serialize, Deserialize)]
struct Ledger {
    /// The program as the model wrote it.
    code: String,
    /// The dialect's state before and with the program.
    before: dialect::State,
    state: dialect::State,
    printed: Printed,
    /// How many calls it made.
    made: u32,
    /// Calls whose result the program has not been given, by the interpreter's id.
    open: Vec<OpenCall>,
    /// Calls that were not reported in an outcome yet.
    unreported: Vec<CodeCall>,
    /// Results that the program could not be given yet.
    results: Vec<CallResult>,
    /// `asyncio.sleep`s that are not over.
    sleeps: Vec<Sleep>,
    /// When the `time.sleep` at which the program waits is over.
    asleep_until: Option<u64>,
    slept_ms: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct OpenCall {
    index: u32,
    id: u32,
    tool: String,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Sleep {
    id: u32,
    until_ms: u64,
}

/// What is saved of a session besides the interpreter's dump.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    state: dialect::State,
}

/// Runs a program in a saved session, or in a new one, after `variables` were set in it.
pub(crate) fn start(
    setup: &Setup,
    code: &str,
    variables: &Map<String, Value>,
    saved: Option<&[u8]>,
    host: &mut dyn Host,
) -> Turn {
    let limit = setup.limits.source_bytes;
    if code.len() > limit {
        let message = format!(
            "the program has {} bytes, {limit} are allowed; split it into several steps (variables are kept)",
            code.len()
        );
        return failed_before_start("ValueError", message);
    }
    let (mut repl, before) = match saved.map(load_session) {
        None => (new_session(setup), dialect::State::default()),
        Some(Ok((repl, state))) => (repl, state),
        Some(Err(reason)) => return Turn::Refused(reason),
    };
    *repl.tracker_mut() = ResourceTracker::new(resource_limits(&setup.limits));
    // What was saved stands if the program is not begun, unless it lacks the variables.
    let unchanged =
        || saved.filter(|_| variables.is_empty()).map(|bytes| Blob(Bytes::copy_from_slice(bytes)));
    if let Err(error) = set(&mut repl, variables) {
        let kind = error.exc_type().to_string();
        let problem = exceeded(&setup.limits, &error).unwrap_or_else(|| error.summary());
        return failed_before_start(&kind, format!("the variables of the task cannot be set: {problem}"));
    }
    // Before anything else parses it: the parser's stack grows with the nesting.
    let nesting = repl.check_source(code).map(|_| ()).map_err(|error| {
        let text = error.message().unwrap_or_default();
        own_error("SyntaxError", format!("{text}; assign parts of it to variables"))
    });
    let prepared = match nesting.and_then(|()| dialect::prepare(code, &setup.tools, &setup.imports, &before))
    {
        Ok(prepared) => prepared,
        Err(error) => {
            let end = CodeEnd { error: Some(error), session: unchanged(), ..CodeEnd::default() };
            return Turn::Ended(Box::new(end));
        }
    };
    for piece in &prepared.prelude {
        if let Err(error) = repl.feed_run(piece, NamedValues::new(), PrintWriter::Disabled) {
            let session = unchanged();
            let error = match exceeded(&setup.limits, &error) {
                Some(message) => own_error(&error.exc_type().to_string(), message),
                None => match hidden_builtins(setup, &mut repl) {
                    names if names.is_empty() => {
                        let problem = dialect::shown_message(&error.summary());
                        tracing::warn!(problem, "a part of our own Python failed");
                        let advice = "write the program in a simpler way, with functions, lists and dicts";
                        own_error(
                            "RuntimeError",
                            format!("the sandbox cannot prepare this program ({problem}); {advice}"),
                        )
                    }
                    names => own_error("NameError", hides(&names)),
                },
            };
            return Turn::Ended(Box::new(CodeEnd { error: Some(error), session, ..CodeEnd::default() }));
        }
    }
    let ledger = Ledger {
        code: code.to_owned(),
        before,
        state: prepared.state.clone(),
        printed: Printed::default(),
        made: 0,
        open: Vec::new(),
        unreported: Vec::new(),
        results: Vec::new(),
        sleeps: Vec::new(),
        asleep_until: None,
        slept_ms: 0,
    };
    let code = prepared.code.clone();
    let mut running = Running::new(setup, ledger, Some(prepared), host);
    let step = repl.feed_start(&code, NamedValues::new(), PrintWriter::Callback(&mut running.printer));
    running.drive(step)
}

fn set(repl: &mut MontyRepl, variables: &Map<String, Value>) -> Result<(), MontyException> {
    if variables.is_empty() {
        return Ok(());
    }
    let mut values = NamedValues::new();
    for (name, value) in variables {
        values.push(name, value::from_json(value));
    }
    repl.feed_run("None", values, PrintWriter::Disabled).map(drop)
}

/// Gives a waiting program results of its calls, and goes on with it if that is enough.
pub(crate) fn resume(setup: &Setup, paused: Paused, results: Vec<CallResult>, host: &mut dyn Host) -> Turn {
    let Paused { progress, mut ledger } = paused;
    for result in results {
        let index = result.index;
        let known = ledger.open.iter().any(|call| call.index == index);
        if !known || ledger.results.iter().any(|earlier| earlier.index == index) {
            return Turn::Refused(format!("call {index} was never made, or has its result already"));
        }
        ledger.results.push(result);
    }
    let running = Running::new(setup, ledger, None, host);
    running.go_on(progress)
}

impl Paused {
    /// Saves the program where it waits.
    pub(crate) fn save(&self) -> Result<Vec<u8>, String> {
        let dump = monty::dump(SCRIPT, None, &[], SessionRef::Suspended(&self.progress))
            .map_err(|error| error.to_string())?;
        let bytes = snapshot::seal(Kind::Program, &self.ledger, &dump).map_err(|error| error.to_string())?;
        too_large(&bytes).map_or(Ok(bytes), Err)
    }

    /// Restores a program that was saved where it waited.
    pub(crate) fn load(bytes: &[u8]) -> Result<Self, String> {
        let (ledger, dump) = snapshot::unseal(Kind::Program, bytes).map_err(|error| error.to_string())?;
        match Dump::load(dump).map_err(|error| error.to_string())?.state {
            monty::Session::Suspended(progress) => Ok(Self { progress: *progress, ledger }),
            _ => Err("it holds no waiting program".into()),
        }
    }
}

/// A program while Python executes.
struct Running<'a> {
    setup: &'a Setup,
    ledger: Ledger,
    /// `None` after a restore, until an error has to be explained.
    prepared: Option<Prepared>,
    printer: Printer<'a>,
    /// What the program ended with, where that is not an exception of its own.
    ending: Option<Ending>,
}

enum Ending {
    Answer(CodeValue),
    Limit(String),
}

type Step = Result<ReplProgress, Box<ReplStartError>>;
/// Either the interpreter's next step, or the outcome of the turn.
type Flow = ControlFlow<ReplProgress, Step>;

impl<'a> Running<'a> {
    fn new(setup: &'a Setup, mut ledger: Ledger, prepared: Option<Prepared>, host: &'a mut dyn Host) -> Self {
        let printer = Printer::new(mem::take(&mut ledger.printed), setup.limits.output_chars, host);
        Self { setup, ledger, prepared, printer, ending: None }
    }

    fn drive(mut self, mut step: Step) -> Turn {
        loop {
            let flow = match step {
                Ok(ReplProgress::Complete { repl, value }) => return self.completed(repl, &value),
                Ok(ReplProgress::NameLookup(lookup)) => ControlFlow::Continue(self.look_up(lookup)),
                Ok(ReplProgress::FunctionCall(call)) => self.call(call),
                Ok(ReplProgress::OsCall(call)) => self.os_call(call),
                Ok(ReplProgress::ResolveFutures(futures)) => self.resolve(futures),
                Err(failure) => return self.failed(*failure),
            };
            step = match flow {
                ControlFlow::Continue(step) => step,
                ControlFlow::Break(progress) => return self.wait(progress),
            };
        }
    }

    /// Goes on with a program that waited, if what it waits for is there.
    fn go_on(mut self, progress: ReplProgress) -> Turn {
        let flow = match progress {
            ReplProgress::FunctionCall(call) => match self.result_for(call.call_id) {
                Some(result) => ControlFlow::Continue(call.resume(result, self.print())),
                None => ControlFlow::Break(ReplProgress::FunctionCall(call)),
            },
            ReplProgress::OsCall(call) => {
                if self.ledger.asleep_until.is_some_and(|until| now_ms() < until) {
                    ControlFlow::Break(ReplProgress::OsCall(call))
                } else {
                    self.ledger.asleep_until = None;
                    ControlFlow::Continue(call.resume(MontyObject::none(), self.print()))
                }
            }
            ReplProgress::ResolveFutures(futures) => self.resolve(futures),
            other => ControlFlow::Continue(Ok(other)),
        };
        match flow {
            ControlFlow::Continue(step) => self.drive(step),
            ControlFlow::Break(progress) => self.wait(progress),
        }
    }

    fn print(&mut self) -> PrintWriter<'_> {
        PrintWriter::Callback(&mut self.printer)
    }

    fn tool(&self, name: &str) -> Option<&'a ToolSpec> {
        self.setup.tools.iter().find(|tool| tool.name == name)
    }

    fn look_up(&mut self, lookup: ReplNameLookup) -> Step {
        let (name, _) = dialect::called_tool(&lookup.name, false);
        let known = lookup.object_id().is_none() && (name == FINAL_ANSWER || self.tool(name).is_some());
        let answer = if known {
            NameLookupResult::Value(MontyObject::function(lookup.name.clone(), None))
        } else {
            NameLookupResult::Undefined
        };
        lookup.resume(answer, self.print())
    }

    fn call(&mut self, mut call: ReplFunctionCall) -> Flow {
        let args = mem::take(&mut call.args);
        let (name, later) = dialect::called_tool(&call.function_name, call.allow_eager_await);
        if name == FINAL_ANSWER {
            return ControlFlow::Continue(match binding::answer(&args) {
                Ok(answer) => {
                    self.ending = Some(Ending::Answer(answer));
                    call.abort(stop_signal(), self.print())
                }
                Err(error) => call.resume(error, self.print()),
            });
        }
        let Some(tool) = self.tool(name) else {
            let result = ExtFunctionResult::NotFound(name.to_owned());
            return ControlFlow::Continue(call.resume(result, self.print()));
        };
        if self.ledger.made >= self.setup.limits.calls {
            self.ending = Some(Ending::Limit(format!(
                "the program made {} tool calls, which is all that one program may make; do the rest in the next \
                 step, or look at fewer things",
                self.ledger.made
            )));
            return ControlFlow::Continue(call.abort(stop_signal(), self.print()));
        }
        let arguments = match binding::bind(tool, &args) {
            Ok(arguments) => arguments,
            Err(error) => return ControlFlow::Continue(call.resume(error, self.print())),
        };
        let index = self.ledger.made;
        self.ledger.made += 1;
        self.ledger.open.push(OpenCall { index, id: call.call_id, tool: tool.name.clone() });
        self.ledger.unreported.push(CodeCall { index, name: tool.name.clone(), arguments });
        if later {
            ControlFlow::Continue(call.resume_pending(self.print()))
        } else {
            ControlFlow::Break(ReplProgress::FunctionCall(call))
        }
    }

    fn os_call(&mut self, call: ReplOsCall) -> Flow {
        let result = match &call.function_call {
            OsFunctionCall::Import(name) => ExtFunctionResult::NotFound(name.clone()),
            OsFunctionCall::SystemSleep(time) | OsFunctionCall::Sleep(time) => match self.sleep(*time) {
                Ok(until) => {
                    self.ledger.asleep_until = Some(until);
                    return ControlFlow::Break(ReplProgress::OsCall(call));
                }
                Err(error) => ExtFunctionResult::Error(error),
            },
            OsFunctionCall::AsyncSystemSleep(time) | OsFunctionCall::AsyncSleep(time) => {
                match self.sleep(*time) {
                    Ok(until_ms) => {
                        self.ledger.sleeps.push(Sleep { id: call.call_id, until_ms });
                        ExtFunctionResult::Future(call.call_id)
                    }
                    Err(error) => ExtFunctionResult::Error(error),
                }
            }
            denied => ExtFunctionResult::Error(deny(denied)),
        };
        ControlFlow::Continue(call.resume(result, self.print()))
    }

    /// When a sleep is over, if the program may sleep that long.
    fn sleep(&mut self, time: Duration) -> Result<u64, MontyException> {
        let total = self.ledger.slept_ms.saturating_add(millis(time));
        if total > millis(MAX_SLEEP) {
            let message = format!(
                "a program may sleep {} s in total; end the step and look again in the next one",
                MAX_SLEEP.as_secs()
            );
            return Err(MontyException::new(ExcType::TimeoutError, Some(message)));
        }
        self.ledger.slept_ms = total;
        Ok(now_ms().saturating_add(millis(time)))
    }

    /// Gives a program that awaits something all the results that are there.
    fn resolve(&mut self, futures: ReplResolveFutures) -> Flow {
        let pending = futures.pending_call_ids();
        let now = now_ms();
        let mut settled = Vec::new();
        let mut over: Vec<Sleep> = Vec::new();
        self.ledger.sleeps.retain(|sleep| {
            let done = sleep.until_ms <= now && pending.contains(&sleep.id);
            if done {
                over.push(*sleep);
            }
            !done
        });
        over.sort_by_key(|sleep| sleep.until_ms);
        settled.extend(over.iter().map(|sleep| (sleep.id, ExtFunctionResult::Return(MontyObject::none()))));
        let ids: Vec<u32> =
            self.ledger.results.iter().filter_map(|result| self.id_of(result.index)).collect();
        for id in ids.into_iter().filter(|id| pending.contains(id)) {
            settled.extend(self.result_for(id).map(|result| (id, result)));
        }
        if settled.is_empty() {
            return ControlFlow::Break(ReplProgress::ResolveFutures(futures));
        }
        ControlFlow::Continue(futures.resume(settled, self.print()))
    }

    fn id_of(&self, index: u32) -> Option<u32> {
        self.ledger.open.iter().find(|call| call.index == index).map(|call| call.id)
    }

    /// Takes the result of a call out of the ledger.
    fn result_for(&mut self, id: u32) -> Option<ExtFunctionResult> {
        let at = self.ledger.open.iter().position(|call| call.id == id)?;
        let index = self.ledger.open.get(at)?.index;
        let result = self.ledger.results.iter().position(|result| result.index == index)?;
        self.ledger.open.remove(at);
        Some(match self.ledger.results.remove(result).result {
            Ok(json) => ExtFunctionResult::Return(value::from_json(&json)),
            Err(failure) => ExtFunctionResult::Error(binding::exception(&failure)),
        })
    }

    fn wait(mut self, progress: ReplProgress) -> Turn {
        self.printer.flush();
        let waits_for = |id: u32| match &progress {
            ReplProgress::FunctionCall(call) => call.call_id == id,
            ReplProgress::ResolveFutures(futures) => futures.pending_call_ids().contains(&id),
            _ => false,
        };
        let mut awaiting: Vec<u32> =
            self.ledger.open.iter().filter(|call| waits_for(call.id)).map(|call| call.index).collect();
        awaiting.sort_unstable();
        let until = match &progress {
            ReplProgress::OsCall(_) => self.ledger.asleep_until,
            _ => self.ledger.sleeps.iter().map(|sleep| sleep.until_ms).min(),
        };
        // Calls come first: they are made known at once, and sleeps run on meanwhile. While the program only
        // sleeps, nothing is reported: an outcome has to name a call that the program waits for.
        let (calls, sleep_ms) = match until.filter(|_| awaiting.is_empty()) {
            Some(until) => (Vec::new(), Some(until.saturating_sub(now_ms()))),
            None if awaiting.is_empty() => {
                return Turn::Refused("the program waits for something that is not known here".into());
            }
            None => (mem::take(&mut self.ledger.unreported), None),
        };
        self.ledger.printed = self.printer.printed;
        let wait = Wait { calls, awaiting, sleep_ms };
        Turn::Waiting(Box::new(Paused { progress, ledger: self.ledger }), wait)
    }

    fn completed(mut self, repl: MontyRepl, value: &MontyObject) -> Turn {
        let value = (value.type_name() != "NoneType").then(|| binding::shown_value(value));
        self.note_calls_never_made();
        self.end(Some(repl), CodeEnd { value, ..CodeEnd::default() })
    }

    fn failed(mut self, failure: ReplStartError) -> Turn {
        let ReplStartError { repl, error } = failure;
        let end = match self.ending.take() {
            Some(Ending::Answer(answer)) => CodeEnd { answer: Some(answer), ..CodeEnd::default() },
            Some(Ending::Limit(message)) => {
                CodeEnd { error: Some(own_error("RuntimeError", message)), ..CodeEnd::default() }
            }
            None => match exceeded(&self.setup.limits, &error) {
                Some(message) => {
                    let kind = error.exc_type().to_string();
                    // What used up the memory may still hang on a variable: then nothing would run any more.
                    let keep = error.exc_type() != ExcType::MemoryError;
                    let end = CodeEnd { error: Some(own_error(&kind, message)), ..CodeEnd::default() };
                    return self.end(keep.then_some(repl), end);
                }
                None => CodeEnd { error: Some(self.explain(&error)), ..CodeEnd::default() },
            },
        };
        self.end(Some(repl), end)
    }

    fn explain(&self, error: &MontyException) -> CodeError {
        let tools = &self.setup.tools;
        if let Some(prepared) = &self.prepared {
            return dialect::explain(error, prepared, tools);
        }
        // After a restore: the same program in the same state is prepared in the same way.
        match dialect::prepare(&self.ledger.code, tools, &self.setup.imports, &self.ledger.before) {
            Ok(prepared) => dialect::explain(error, &prepared, tools),
            Err(_) => {
                let message = dialect::shown_message(error.message().unwrap_or_default());
                own_error(&error.exc_type().to_string(), message)
            }
        }
    }

    /// As CPython warns of a coroutine that was never awaited.
    fn note_calls_never_made(&mut self) {
        for call in mem::take(&mut self.ledger.unreported) {
            self.printer.note(&format!(
                "RuntimeWarning: the call of {}() was never awaited, so it was not made",
                call.name
            ));
        }
    }

    fn end(mut self, repl: Option<MontyRepl>, mut end: CodeEnd) -> Turn {
        self.printer.flush();
        end.stdout = self.printer.printed.text;
        if let Some(repl) = repl {
            match save_session(&repl, self.ledger.state) {
                Ok(bytes) => end.session = Some(Blob(bytes.into())),
                Err(problem) if end.error.is_none() => end.error = Some(own_error("MemoryError", problem)),
                Err(_) => {}
            }
        }
        Turn::Ended(Box::new(end))
    }
}

/// What to tell of a limit of ours that a program hit.
fn exceeded(limits: &CodeLimits, error: &MontyException) -> Option<String> {
    let text = error.message().unwrap_or_default();
    match error.exc_type() {
        ExcType::TimeoutError if text.contains("time limit exceeded") => Some(time_exceeded(limits)),
        ExcType::MemoryError if text.contains("memory limit exceeded") => Some(memory_exceeded(limits)),
        _ => None,
    }
}

/// The built-in names that our own Python reads and that mean something else in this session.
fn hidden_builtins(setup: &Setup, repl: &mut MontyRepl) -> Vec<&'static str> {
    let mut fresh = new_session(setup);
    let shown = |repl: &mut MontyRepl, name: &str| {
        repl.feed_run(name, NamedValues::new(), PrintWriter::Disabled).ok().map(|value| value::repr(&value))
    };
    dialect::PRELUDE_READS
        .iter()
        .copied()
        .filter(|name| shown(repl, name) != shown(&mut fresh, name))
        .collect()
}

fn hides(names: &[&str]) -> String {
    let names = names.join(", ");
    format!(
        "the program cannot run because earlier steps gave built-in names another meaning: {names}. Delete them in a \
         step of its own (`del {names}`; to keep a value, give it another name first), then run the program again"
    )
}

pub(crate) fn time_exceeded(limits: &CodeLimits) -> String {
    format!(
        "the program computed for more than {} s and was stopped; do less in one step, or use a better algorithm \
         (waiting for tools does not count)",
        limits.time_ms as f64 / 1000.0
    )
}

pub(crate) fn memory_exceeded(limits: &CodeLimits) -> String {
    format!(
        "the program needed more than {} MiB and was stopped; the variables are as they were before it. Work on \
         smaller pieces, and do not keep large intermediate results",
        limits.memory_bytes >> 20
    )
}

pub(crate) fn own_error(kind: &str, message: String) -> CodeError {
    CodeError { kind: kind.to_owned(), message, line: None, source_line: None }
}

fn failed_before_start(kind: &str, message: String) -> Turn {
    Turn::Ended(Box::new(CodeEnd { error: Some(own_error(kind, message)), ..CodeEnd::default() }))
}

fn new_session(setup: &Setup) -> MontyRepl {
    let policy = OsPolicy { process_time: ProcessTime::Elapsed, ..OsPolicy::default() };
    let tracker = ResourceTracker::new(resource_limits(&setup.limits));
    MontyRepl::new(SCRIPT, tracker, CompileOptions::default()).with_os_policy(policy)
}

fn resource_limits(limits: &CodeLimits) -> ResourceLimits {
    ResourceLimits::default()
        .max_feed_duration(Duration::from_millis(limits.time_ms))
        .max_memory(usize::try_from(limits.memory_bytes).unwrap_or(usize::MAX))
        .max_recursion_depth(limits.recursion as usize)
}

fn save_session(repl: &MontyRepl, state: dialect::State) -> Result<Vec<u8>, String> {
    let dump = monty::dump(SCRIPT, None, &[], SessionRef::Idle(repl))
        .map_err(|error| format!("the variables cannot be kept ({error}); they are as before the program"))?;
    let bytes = snapshot::seal(Kind::Session, &Record { state }, &dump).map_err(|error| error.to_string())?;
    too_large(&bytes).map_or(Ok(bytes), Err)
}

fn load_session(bytes: &[u8]) -> Result<(MontyRepl, dialect::State), String> {
    let (record, dump): (Record, _) =
        snapshot::unseal(Kind::Session, bytes).map_err(|error| error.to_string())?;
    match Dump::load(dump).map_err(|error| error.to_string())?.state {
        monty::Session::Idle(repl) => Ok((*repl, record.state)),
        _ => Err("it holds a waiting program".into()),
    }
}

fn too_large(bytes: &[u8]) -> Option<String> {
    (bytes.len() > MAX_SNAPSHOT_BYTES).then(|| {
        format!(
            "the variables have {} MiB, {} MiB can be kept from one program to the next; they are as before the \
             program. Keep only what later steps need",
            bytes.len() >> 20,
            MAX_SNAPSHOT_BYTES >> 20
        )
    })
}

/// What the interpreter is aborted with; nobody sees it.
fn stop_signal() -> MontyException {
    MontyException::new(ExcType::SystemExit, None)
}

fn deny(call: &OsFunctionCall) -> MontyException {
    let denied = call.on_no_handler();
    let hint = if call.fs_primary_path().is_some() {
        "programs have no files here: keep data in variables, and use the tools to read or write files"
    } else {
        "programs do not see the host here: use the tools"
    };
    let text = denied.message().unwrap_or_default();
    MontyException::new(denied.exc_type(), Some(format!("{text}; {hint}")))
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Host for Nobody {
        fn print(&mut self, _: &str) {}

        fn checkpoint(&mut self) -> ControlFlow<()> {
            ControlFlow::Continue(())
        }
    }

    fn ended(turn: Turn) -> CodeEnd {
        match turn {
            Turn::Ended(end) => *end,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn built_in_names_that_were_hidden_unseen_are_the_programs_to_mend() {
        let setup = Setup { tools: [].into(), limits: CodeLimits::default(), imports: Vec::new() };
        // As a program that got past the dialect would leave it: nothing was copied before.
        let mut repl = new_session(&setup);
        repl.feed_run("type = 'pie'\nkept = 5", NamedValues::new(), PrintWriter::Disabled).unwrap();
        let saved = save_session(&repl, dialect::State::default()).unwrap();
        let classes = "class A:\n    pass\nclass B(A):\n    pass\nkept";
        let end = ended(start(&setup, classes, &Map::new(), Some(&saved), &mut Nobody));
        let error = end.error.unwrap();
        assert_eq!(error.kind, "NameError");
        assert!(error.message.contains("`del type`"), "{}", error.message);
        let saved = end.session.unwrap().0;
        let end = ended(start(&setup, "del type", &Map::new(), Some(&saved), &mut Nobody));
        assert_eq!(end.error, None);
        let end = ended(start(&setup, classes, &Map::new(), Some(&end.session.unwrap().0), &mut Nobody));
        assert_eq!(end.error, None);
        assert_eq!(end.value.unwrap().repr, "5");
    }
}
