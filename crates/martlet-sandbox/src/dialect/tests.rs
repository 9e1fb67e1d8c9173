//! Programs through the whole layer: prepared, fed to the interpreter, explained.

use martlet_core::code::CodeError;
use martlet_core::tool::ToolSpec;
use monty::{MontyRepl, ReplProgress};
use monty_types::{
    CompileOptions, ExcType, ExtFunctionResult, MontyException, MontyObject, NameLookupResult, NamedValues,
    OsFunctionCall, PrintWriter, ResourceLimits, ResourceTracker,
};
use serde_json::{Value, json};

use super::{Prepared, State, called_tool, explain, prepare, value};

/// A session without limits and waiting: tools answer at once, or as futures.
struct Session {
    repl: Option<MontyRepl>,
    state: State,
    tools: Vec<ToolSpec>,
    /// The names of the calls that were answered with futures.
    later: Vec<String>,
}

struct Ran {
    stdout: String,
    value: Result<MontyObject, CodeError>,
}

fn tool(name: &str, parameters: &[&str]) -> ToolSpec {
    let properties: serde_json::Map<_, _> =
        parameters.iter().map(|name| ((*name).to_owned(), json!({}))).collect();
    ToolSpec::new(name, "").parameters(json!({"type": "object", "properties": properties}))
}

fn answer(name: &str, args: &monty_types::CallArgs) -> ExtFunctionResult {
    let number = |index: usize, name: &str| {
        args.arg(index).or_else(|| args.kwarg(name)).and_then(|value| value.as_int()).unwrap_or(0)
    };
    match name {
        "add" => MontyObject::int(number(0, "a") + number(1, "b")).into(),
        "get_weather" => {
            let city =
                args.arg(0).or_else(|| args.kwarg("city")).and_then(|city| city.as_str().map(str::to_owned));
            let temp = if city.as_deref() == Some("Paris") { 15 } else { 12 };
            value::from_json(&json!({"city": city, "temp": temp})).into()
        }
        "search" => {
            MontyObject::string(format!("found {}", args.arg(0).map(|q| q.py_repr()).unwrap_or_default()))
                .into()
        }
        _ => MontyException::new(
            ExcType::ValueError,
            args.arg(0).and_then(|text| text.as_str().map(str::to_owned)),
        )
        .into(),
    }
}

impl Session {
    fn new() -> Self {
        let limits = ResourceLimits::default().max_feed_duration(std::time::Duration::from_secs(20));
        Self {
            repl: Some(MontyRepl::new("program", ResourceTracker::new(limits), CompileOptions::default())),
            state: State::default(),
            tools: vec![
                tool("add", &["a", "b"]),
                tool("get_weather", &["city"]),
                tool("fail_tool", &["text"]),
                tool("search", &["query"]),
            ],
            later: Vec::new(),
        }
    }

    fn run(&mut self, code: &str) -> Ran {
        let mut stdout = String::new();
        let prepared = match prepare(code, &self.tools, &[], &self.state) {
            Ok(prepared) => prepared,
            Err(error) => return Ran { stdout, value: Err(error) },
        };
        if std::env::var_os("MARTLET_SHOW").is_some() {
            eprintln!("{}\n--", prepared.code);
        }
        let mut repl = self.repl.take().unwrap();
        for piece in &prepared.prelude {
            repl.feed_run(piece, NamedValues::new(), PrintWriter::Disabled)
                .unwrap_or_else(|error| panic!("{error}"));
        }
        self.state = prepared.state.clone();
        let value = self.drive(repl, &prepared, &mut stdout);
        Ran { stdout, value }
    }

    fn drive(
        &mut self,
        repl: MontyRepl,
        prepared: &Prepared,
        out: &mut String,
    ) -> Result<MontyObject, CodeError> {
        let mut waiting: Vec<(u32, ExtFunctionResult)> = Vec::new();
        let mut step =
            repl.feed_start(&prepared.code, NamedValues::new(), PrintWriter::CollectString(out, None));
        loop {
            let print = PrintWriter::CollectString(out, None);
            step = match step {
                Err(failed) => {
                    self.repl = Some(failed.repl);
                    return Err(explain(&failed.error, prepared, &self.tools));
                }
                Ok(ReplProgress::Complete { repl, value }) => {
                    self.repl = Some(repl);
                    return Ok(value);
                }
                Ok(ReplProgress::NameLookup(lookup)) => {
                    let (name, _) = called_tool(&lookup.name, false);
                    let known = self.tools.iter().any(|tool| tool.name == name);
                    let answer = if known {
                        NameLookupResult::Value(MontyObject::function(lookup.name.clone(), None))
                    } else {
                        NameLookupResult::Undefined
                    };
                    lookup.resume(answer, print)
                }
                Ok(ReplProgress::FunctionCall(call)) => {
                    let (name, later) = called_tool(&call.function_name, call.allow_eager_await);
                    let result = answer(name, &call.args);
                    if later {
                        self.later.push(name.to_owned());
                        waiting.push((call.call_id, result));
                        call.resume_pending(print)
                    } else {
                        call.resume(result, print)
                    }
                }
                Ok(ReplProgress::ResolveFutures(futures)) => {
                    let ids = futures.pending_call_ids().to_vec();
                    let (ready, rest) = waiting.into_iter().partition(|(id, _)| ids.contains(id));
                    waiting = rest;
                    futures.resume(ready, print)
                }
                Ok(ReplProgress::OsCall(call)) => {
                    let result = match &call.function_call {
                        OsFunctionCall::Import(name) => ExtFunctionResult::NotFound(name.clone()),
                        OsFunctionCall::AsyncSystemSleep(_) | OsFunctionCall::AsyncSleep(_) => {
                            waiting.push((call.call_id, MontyObject::none().into()));
                            ExtFunctionResult::Future(call.call_id)
                        }
                        _ => MontyException::new(ExcType::PermissionError, None).into(),
                    };
                    call.resume(result, print)
                }
            };
        }
    }
}

fn printed(code: &str) -> String {
    let ran = Session::new().run(code);
    match ran.value {
        Ok(_) => ran.stdout,
        Err(error) => format!("{}!! {error}", ran.stdout),
    }
}

#[test]
#[ignore = "development"]
fn cases() {
    let path = std::env::var("MARTLET_PYTHON_CASES").unwrap();
    let cases: Vec<Value> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let only = std::env::var("MARTLET_CASE").ok();
    let (mut passed, mut total) = (0, 0);
    for case in &cases {
        if only.as_ref().is_some_and(|only| case["id"].to_string() != *only) {
            continue;
        }
        let mut session = Session::new();
        let mut ok = true;
        for (code, expected) in
            case["snippets"].as_array().unwrap().iter().zip(case["expected"].as_array().unwrap())
        {
            let ran = session.run(code.as_str().unwrap());
            let kind = ran.value.as_ref().err().map(|error| error.kind.as_str());
            if ran.stdout != expected["stdout"].as_str().unwrap() || kind != expected["error"].as_str() {
                ok = false;
                eprintln!(
                    "## {} {}: want {:?} got {:?} {:?}",
                    case["id"],
                    case["theme"],
                    expected["stdout"].as_str().unwrap(),
                    ran.stdout,
                    ran.value.err().map(|e| e.to_string())
                );
                break;
            }
        }
        total += 1;
        passed += u32::from(ok);
    }
    eprintln!("passed {passed} of {total}");
}
