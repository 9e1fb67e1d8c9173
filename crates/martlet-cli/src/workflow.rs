//! `martlet workflow`: the workflows of the configuration.

mod input;
mod progress;
mod screen;

use std::path::Path;

use martlet::core::graph;
use martlet::core::tool::display_value;
use martlet::{Graph, GraphResult, GraphRunError, GraphStatus, NodeFailureKind};
use martlet_config::{Builder, Config};
use serde::Serialize;

use crate::args::{Output, PictureFormat, PythonOutput, WorkflowCommand, WorkflowRunArgs};
use crate::config::{self, CommandHost};
use crate::exit::{Exit, Failure};
use crate::output::Sink;
use crate::render::Level;
use crate::signals::Signals;
use crate::style::Style;
use crate::watch::{Watched, watch};
use screen::Screen;

/// The version of the object that `--output json` writes.
const SCHEMA: u32 = 1;

pub(crate) async fn workflow(command: WorkflowCommand) -> Result<Exit, Failure> {
    match command {
        WorkflowCommand::List { output, config } => list(&config::load(&config)?, output),
        WorkflowCommand::Check { name, config } => check(&config::load(&config)?, name.as_deref()),
        WorkflowCommand::Graph { name, format, output_file, config } => {
            let config = config::load(&config)?;
            let host = CommandHost::new(&config, None)?;
            let graph = Builder::new(&config, &host).workflow(&name)?;
            Sink::open(output_file.as_deref())?.line(picture(&graph, None, format).trim_end())?;
            Ok(Exit::Success)
        }
        WorkflowCommand::Run(args) => run(*args).await,
    }
}

/// A workflow of the configuration.
#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    description: &'a str,
    nodes: usize,
}

fn list(config: &Config, output: PythonOutput) -> Result<Exit, Failure> {
    let workflows = &config.settings().workflows;
    let listed: Vec<Listed<'_>> = workflows
        .iter()
        .map(|(name, table)| Listed { name, description: &table.description, nodes: table.nodes.len() })
        .collect();
    match output {
        PythonOutput::Json => {
            let json =
                serde_json::to_string(&listed).map_err(|error| Failure::host("cannot write JSON", error))?;
            Sink::Stdout.line(&json)?;
        }
        PythonOutput::Text if listed.is_empty() => return Err(none_configured()),
        PythonOutput::Text => {
            let width = listed.iter().map(|workflow| workflow.name.chars().count()).max().unwrap_or_default();
            let lines: Vec<String> = listed
                .iter()
                .map(|workflow| {
                    let line = format!(
                        "{:width$}  {}  {}",
                        workflow.name,
                        config::counted(workflow.nodes, "node"),
                        workflow.description
                    );
                    line.trim_end().to_owned()
                })
                .collect();
            Sink::Stdout.line(&lines.join("\n"))?;
        }
    }
    Ok(Exit::Success)
}

fn none_configured() -> Failure {
    Failure::usage(
        "no workflow is configured: write tables [workflows.NAME.nodes.NODE] into martlet.toml (see \
         docs/configuration.md)",
    )
}

fn check(config: &Config, name: Option<&str>) -> Result<Exit, Failure> {
    let host = CommandHost::new(config, None)?;
    let builder = Builder::new(config, &host);
    let names: Vec<&str> = match name {
        Some(name) => vec![name],
        None => config.settings().workflows.keys().map(String::as_str).collect(),
    };
    if names.is_empty() {
        return Err(none_configured());
    }
    let mut exit = Exit::Success;
    for name in names {
        match builder.workflow(name) {
            Ok(graph) => Sink::Stdout.line(&format!(
                "{name}: {} and {}: it can run",
                config::counted(graph.spec().len(), "node"),
                config::counted(graph.spec().edges.len(), "edge"),
            ))?,
            Err(error) => exit = config::tell(error.problems()),
        }
    }
    Ok(exit)
}

fn picture(graph: &Graph, result: Option<&GraphResult>, format: PictureFormat) -> String {
    let spec = graph.spec();
    match (format, result) {
        (PictureFormat::Mermaid, None) => graph::mermaid(spec),
        (PictureFormat::Mermaid, Some(result)) => graph::mermaid_of(spec, result),
        (PictureFormat::Dot, None) => graph::dot(spec),
        (PictureFormat::Dot, Some(result)) => graph::dot_of(spec, result),
        (PictureFormat::Svg, result) => graph::svg(spec, result),
        (PictureFormat::Text, result) => graph::text(spec, result),
    }
}

/// The picture that a file's name asks for.
fn format_of(path: &Path) -> Result<PictureFormat, Failure> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("svg") => Ok(PictureFormat::Svg),
        Some("mmd" | "mermaid") => Ok(PictureFormat::Mermaid),
        Some("dot" | "gv") => Ok(PictureFormat::Dot),
        Some("txt") => Ok(PictureFormat::Text),
        _ => Err(Failure::usage(format!(
            "the name {} does not say which picture it is to be: end it in .svg, .mmd, .dot or .txt",
            path.display()
        ))),
    }
}

async fn run(args: WorkflowRunArgs) -> Result<Exit, Failure> {
    let mut signals = Signals::listen()?;
    let config = config::load(&args.config)?;
    let table = config.workflow_table(&args.name).map_err(Failure::usage)?;
    // Standard input may stay silent for long: a signal must be heard meanwhile.
    let (args, input) = signals
        .while_blocking(move || {
            let input = input::read(&args)?;
            Ok((args, input))
        })
        .await?;
    let mut sink = Sink::open(args.output_file.as_deref())?;
    let picture_file = match &args.picture {
        Some(path) => Some((format_of(path)?, Sink::open(Some(path))?)),
        None => None,
    };
    let host = CommandHost::new(&config, args.sandbox)?;
    let builder = Builder::new(&config, &host);
    let graph = builder.workflow(&args.name)?;
    let level = args.verbosity.level();
    host.provide(&builder.embedded(), level, &mut signals).await?;

    let mut request = graph.run(&input);
    if args.sequential {
        request = request.sequential();
    }
    if let Some(nodes) = args.max_parallel {
        request = request.max_parallel(nodes);
    }
    if let Some(time) = args.timeout.or(table.timeout.map(|time| time.0)) {
        request = request.timeout(time);
    }
    let output = args.output();
    let mut screen = Screen::new(&graph, Style::stderr(), level, args.verbosity.no_stream);
    let Watched { result, signal, unwritten } =
        watch(request.start(), &mut screen, &mut signals, |update| match (output, update.event()) {
            (Output::Jsonl, Some(event)) => sink.event(event),
            _ => Ok(()),
        })
        .await;
    if let Some(error) = unwritten {
        return Err(error.into());
    }
    let (ended, error) = match &result {
        Ok(result) => (Some(result), None),
        Err(error) => (error.result(), Some(error)),
    };
    if let Some(result) = ended {
        screen.summary(result);
        if let Some((format, mut file)) = picture_file {
            file.line(picture(&graph, Some(result), format).trim_end())?;
        }
        write(&mut sink, output, result)?;
    }
    let exit = match error {
        Some(error) => {
            crate::exit::tell(error, level == Level::Verbose);
            of_error(error)
        }
        None => ended.map_or(Exit::Failed, |result| of_status(result.status)),
    };
    // Ends the workers of the sandbox before this process.
    drop((graph, builder));
    Ok(match (signal, exit) {
        (Some(signal), Exit::Interrupted) => signal.exit(),
        _ => exit,
    })
}

/// What `--output json` writes.
#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    #[serde(flatten)]
    result: &'a GraphResult,
}

fn write(sink: &mut Sink, output: Output, result: &GraphResult) -> Result<(), Failure> {
    match output {
        Output::Text if !result.succeeded() => Ok(()),
        Output::Text => Ok(sink.answer(&display_value(&result.output))?),
        Output::Json => {
            let report = Report { schema: SCHEMA, result };
            let json = serde_json::to_string(&report)
                .map_err(|error| Failure::host("cannot write the run as JSON", error))?;
            Ok(sink.line(&json)?)
        }
        Output::Jsonl => Ok(()),
    }
}

fn of_status(status: GraphStatus) -> Exit {
    match status {
        GraphStatus::Success | GraphStatus::Partial => Exit::Success,
        GraphStatus::TimedOut => Exit::TimedOut,
        GraphStatus::Cancelled => Exit::Interrupted,
        _ => Exit::Failed,
    }
}

fn of_error(error: &GraphRunError) -> Exit {
    match error {
        GraphRunError::Failed { failure, .. } => match (failure.failure.kind, failure.failure.model) {
            (NodeFailureKind::Limit, _) => Exit::Limit,
            (_, Some(kind)) => Exit::of_model(kind),
            (NodeFailureKind::Unavailable, None) => Exit::Unreachable,
            _ => Exit::Failed,
        },
        GraphRunError::Input(_) => Exit::Usage,
        _ => Exit::Failed,
    }
}
