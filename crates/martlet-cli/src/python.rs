//! `martlet python`: programs in the sandbox, in one session.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;

use martlet::core::Blob;
use martlet::core::code::{CodeEnd, CodeError, CodeLimits, CodeOutcome, CodeRequest};
use martlet::sandbox::{Session, SessionOptions};
use serde::Serialize;
use tokio::sync::Notify;

use crate::args::{PythonArgs, PythonOutput};
use crate::exit::{Exit, Failure};
use crate::output::Sink;
use crate::signals::Signals;

/// What `--output json` writes for each file.
#[derive(Serialize)]
struct Report<'a> {
    file: &'a str,
    stdout: &'a str,
    value: Option<&'a str>,
    error: Option<Error<'a>>,
}

#[derive(Serialize)]
struct Error<'a> {
    r#type: &'a str,
    message: &'a str,
}

pub(crate) async fn python(args: PythonArgs) -> Result<Exit, Failure> {
    let mut signals = Signals::listen()?;
    let limits = CodeLimits {
        time_ms: u64::try_from(args.timeout.as_millis()).unwrap_or(u64::MAX).max(1),
        memory_bytes: args.memory << 20,
        ..CodeLimits::default()
    };
    let options = SessionOptions::new([]).limits(limits).imports(args.imports.iter().cloned())?;
    let sandbox = args.sandbox.open()?;
    let mut session = sandbox.open(options);
    let mut saved: Option<Blob> = None;
    let mut exit = Exit::Success;
    for path in &args.files {
        let source = read(path.clone(), &mut signals).await?;
        let name = path.display().to_string();
        let name = if path.as_os_str() == "-" { "-" } else { name.as_str() };
        let work = perform(session.as_mut(), &source, saved.clone(), args.output);
        let end = signals.unless_stopped(work).await?;
        if end.session.is_some() {
            saved.clone_from(&end.session);
        }
        if end.error.is_some() {
            exit = Exit::Failed;
        }
        match args.output {
            PythonOutput::Json => Sink::Stdout.line(&report(name, &end)?)?,
            PythonOutput::Text => {
                if let Some(error) = &end.error {
                    tell(name, error);
                }
            }
        }
    }
    Ok(exit)
}

/// The program in the file; `-` is standard input.
async fn read(path: std::path::PathBuf, signals: &mut Signals) -> Result<String, Failure> {
    let shown = path.display().to_string();
    let reading = tokio::task::spawn_blocking(move || {
        if path == Path::new("-") {
            let mut text = Vec::new();
            io::stdin().lock().read_to_end(&mut text).map(|_| text)
        } else {
            fs::read(&path)
        }
    });
    let read = signals
        .unless_stopped(async {
            reading.await.map_err(|error| Failure::host("cannot read the program", error))
        })
        .await?;
    let bytes = read.map_err(|error| {
        Failure::new(
            Exit::Usage,
            anyhow::Error::new(error).context(format!("cannot read the program {shown}: check the path")),
        )
    })?;
    String::from_utf8(bytes)
        .map_err(|_| Failure::usage(format!("{shown} is not UTF-8 text: Python programs are")))
}

async fn perform(
    session: &mut dyn Session,
    source: &str,
    saved: Option<Blob>,
    output: PythonOutput,
) -> Result<CodeEnd, Failure> {
    let request = CodeRequest::start(source, saved);
    let unwritten: Mutex<Option<io::Error>> = Mutex::new(None);
    let stop = Notify::new();
    let print = |text: &str| {
        let mut stdout = io::stdout().lock();
        if let Err(error) = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            *unwritten.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            stop.notify_one();
        }
    };
    let work = match output {
        PythonOutput::Text => session.perform(request, Some(&print)),
        PythonOutput::Json => session.perform(request, None),
    };
    // A program whose output nobody gets must not compute on: dropping the work ends it.
    let outcome = tokio::select! {
        biased;
        () = stop.notified() => None,
        outcome = work => Some(outcome?),
    };
    if let Some(error) = unwritten.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error.into());
    }
    let Some(outcome) = outcome else { return Err(Failure::Quiet(Exit::Failed)) };
    match outcome {
        CodeOutcome::Ended(end) => Ok(end),
        CodeOutcome::Lost { reason, .. } => Ok(failed("WorkerCrashed", reason)),
        CodeOutcome::Waiting { .. } => Ok(failed("RuntimeError", "there are no tools here".into())),
    }
}

fn failed(kind: &str, message: String) -> CodeEnd {
    let error = CodeError { kind: kind.into(), message, line: None, source_line: None };
    CodeEnd { error: Some(error), ..CodeEnd::default() }
}

fn report(file: &str, end: &CodeEnd) -> Result<String, Failure> {
    let error = end.error.as_ref().map(|error| Error { r#type: &error.kind, message: &error.message });
    // `final_answer` ends a program anywhere; here its argument is a value like any other.
    let value = end.value.as_ref().or(end.answer.as_ref()).map(|value| value.repr.as_str());
    let report = Report { file, stdout: &end.stdout, value, error };
    serde_json::to_string(&report).map_err(|error| Failure::host("cannot write the result as JSON", error))
}

fn tell(file: &str, error: &CodeError) {
    let place = error.line.map(|line| format!(":{line}")).unwrap_or_default();
    let mut text = format!("{file}{place}: {error}");
    if let Some(line) = &error.source_line {
        text.push_str(&format!("\n    {}", line.trim()));
    }
    crate::exit::tell(anyhow::Error::msg(text).as_ref(), false);
}
