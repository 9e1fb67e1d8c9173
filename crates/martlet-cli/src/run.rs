//! `martlet run`: one task.

use std::fs;
use std::io;

use martlet::{Agent, RunResult, RunStatus, Strategy};
use serde_json::Value;

use crate::agent::Plan;
use crate::args::{AgentArgs, Output, RunArgs};
use crate::exit::{Exit, Failure};
use crate::input;
use crate::output::{Sink, report};
use crate::render::{Level, Renderer};
use crate::signals::Signals;
use crate::style::Style;
use crate::watch::{Watched, watch};

pub(crate) async fn run(args: RunArgs) -> Result<Exit, Failure> {
    let mut signals = Signals::listen()?;
    let schema = args.output_schema.as_deref().map(read_schema).transpose()?;
    let plan = Plan::read(&args.agent, schema)?;
    let mut sink = Sink::open(args.output_file.as_deref())?;
    let level = args.agent.verbosity.level();
    let output = args.output();
    // Standard input may stay silent for long: a signal must be heard meanwhile.
    let (args, input) = signals
        .while_blocking(move || {
            let input = input::read(&args)?;
            Ok((args, input))
        })
        .await?;
    let agent = plan.build(level, &mut signals).await?;

    let mut request = agent.run(input.task);
    for part in input.parts {
        request = request.part(part);
    }
    if let Some(timeout) = plan.timeout() {
        request = request.timeout(timeout);
    }
    let mut renderer = renderer(&args.agent, &agent);
    let Watched { result, signal, unwritten } =
        watch(request.start(), &mut renderer, &mut signals, |update| match (output, update.event()) {
            (Output::Jsonl, Some(event)) => sink.event(event),
            _ => Ok(()),
        })
        .await;
    if let Some(error) = unwritten {
        return Err(error.into());
    }
    let exit = match &result {
        Ok(result) => {
            write(&mut sink, output, result, agent.model().name())?;
            explain(result, agent.spec().limits.max_steps);
            Exit::of_run(result)
        }
        Err(error) => {
            if let (Output::Json, Some(result)) = (output, error.result()) {
                write(&mut sink, output, result, agent.model().name())?;
            }
            crate::exit::tell(error, level == Level::Verbose);
            error.result().map_or(Exit::Failed, Exit::of_run)
        }
    };
    // Ends the workers of the sandbox before this process.
    drop(agent);
    Ok(match (signal, result.map(|result| result.status)) {
        (Some(signal), Ok(RunStatus::Cancelled)) => signal.exit(),
        _ => exit,
    })
}

/// What shows the runs of `agent`.
pub(crate) fn renderer(args: &AgentArgs, agent: &Agent) -> Renderer<io::Stderr> {
    let style = Style::stderr();
    let renderer = Renderer::new(io::stderr(), style, args.verbosity.level())
        .model(agent.model().name())
        .max_steps(agent.spec().limits.max_steps);
    if !style.terminal || args.verbosity.no_stream {
        return renderer;
    }
    let spec = agent.spec();
    if spec.strategy == Strategy::Reasoning {
        // Its replies are JSON for the run, and come several at a time.
        return renderer;
    }
    renderer.streaming(spec.strategy == Strategy::Code && spec.profile.small && spec.profile.prefill)
}

fn write(sink: &mut Sink, output: Output, result: &RunResult, model: &str) -> Result<(), Failure> {
    match output {
        Output::Text if result.output.is_null() && result.status != RunStatus::Succeeded => Ok(()),
        Output::Text => Ok(sink.answer(&result.answer_text())?),
        Output::Json => Ok(sink.line(&report(result, model)?)?),
        Output::Jsonl => Ok(()),
    }
}

/// Says in words why a run that did not fail has no answer of its own, and what to do.
pub(crate) fn explain(result: &RunResult, max_steps: u32) {
    let text = match result.status {
        RunStatus::StepLimit if let Some(failure) = &result.failure => format!(
            "the steps are used up (--max-steps {max_steps}), and the last call for an answer failed: {failure}"
        ),
        RunStatus::StepLimit if result.output.is_null() => format!(
            "the steps are used up (--max-steps {max_steps}) and there is no answer: give more, or a simpler task"
        ),
        RunStatus::StepLimit => format!(
            "the steps are used up (--max-steps {max_steps}); the answer is what the model could say by then"
        ),
        RunStatus::TokenLimit => {
            "the tokens were used up: give more with --max-tokens, or a simpler task".into()
        }
        RunStatus::TimedOut => "the time was up: give more with --timeout, or a simpler task".into(),
        _ => return,
    };
    crate::exit::tell(anyhow::Error::msg(text).as_ref(), false);
}

fn read_schema(path: &std::path::Path) -> Result<Value, Failure> {
    let shown = path.display();
    let failed = |what: &str, error: anyhow::Error| {
        Failure::new(Exit::Usage, error.context(format!("cannot use the schema {shown}: {what}")))
    };
    let text = fs::read(path).map_err(|error| {
        let what = error.to_string();
        failed(&what, error.into())
    })?;
    serde_json::from_slice(&text).map_err(|error| {
        let what = format!("it is not JSON ({error})");
        failed(&what, error.into())
    })
}
