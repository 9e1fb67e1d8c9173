//! Programs through the whole layer: prepared, fed to the interpreter, explained.

use martlet_core::code::CodeError;
use martlet_core::tool::ToolSpec;
use monty::{MontyRepl, ReplProgress};
use monty_types::{
    CompileOptions, ExcType, ExtFunctionResult, MontyException, MontyObject, NameLookupResult, NamedValues,
    OsFunctionCall, PrintWriter, ResourceLimits, ResourceTracker,
};
use proptest::prelude::*;
use serde_json::json;

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
                    let result = if self.tools.iter().any(|tool| tool.name == name) {
                        answer(name, &call.args)
                    } else {
                        ExtFunctionResult::NotFound(name.to_owned())
                    };
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

fn fails(code: &str) -> CodeError {
    Session::new().run(code).value.unwrap_err()
}

#[test]
fn a_program_that_needs_nothing_passes_unchanged() {
    for code in [
        "",
        "print('é', 1)\n",
        "x = [1, 2]\nprint(sum(x), len(x), sorted(x, key=lambda v: -v))",
        "import json, math\nfrom collections import Counter\nprint(json.dumps({'a': math.pi}))",
        "from typing import List\ndef f(a: List[int]) -> int:\n    return a[0]\nf([1])",
        "class P:\n    def __init__(self, x):\n        self.x = x\nprint(P(1).x)",
        "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    print(e)\nelse:\n    print('x')",
        "r = search('a')\nprint(r['k'], f\"{r!r:>10} {r=}\")",
        "rs = [search(q) for q in ['a']]\nfor r in rs:\n    print(r)",
        "s = '''\n  yield\n  del x\n'''\nprint(s)  # class A(B): yield",
        "def isinstance_of(callable):\n    return callable(1)\nprint(isinstance_of(str))",
        "x = (\n",
    ] {
        let prepared = prepare(code, &Session::new().tools, &[], &State::default()).unwrap();
        assert_eq!(prepared.code, code);
        assert!(prepared.prelude.is_empty(), "{code}");
    }
}

#[test]
fn the_value_of_a_last_assignment_is_what_was_assigned() {
    for code in ["x = 41 + 1", "x: int = 42", "x = 40\nx += 2", "x = 42  # the answer"] {
        let value = Session::new().run(code).value.unwrap();
        assert_eq!(value::to_json(&value), json!(42), "{code}");
    }
}

#[test]
fn a_tool_is_a_plain_function_and_an_awaitable() {
    for (code, later) in [
        ("r = search('q')\nprint(r)", 0),
        ("r = await search('q')\nprint(r)", 1),
        ("import asyncio\nrs = await asyncio.gather(*[search('q') for q in [1]])\nprint(rs[0])", 1),
        (
            "import asyncio\nts = [search('q') for q in [1, 2]]\nrs = await asyncio.gather(*ts)\nprint(rs[0])",
            2,
        ),
        (
            "import asyncio\nts = []\nfor q in [1, 2]:\n    ts.append(search('q'))\nprint((await asyncio.gather(*ts))[0])",
            2,
        ),
        ("import asyncio\nt = asyncio.create_task(search('q'))\nprint(await t)", 1),
        ("import asyncio\nprint(await asyncio.wait_for(search('q'), timeout=1))", 1),
        // The calls are used as values elsewhere, so they are values: awaiting a value gives the value.
        ("import asyncio\nts = [search('q')]\nseen = str(ts)\nprint((await asyncio.gather(*ts))[0])", 0),
        ("t = search('q')\nseen = str(t)\nprint(await t)", 0),
    ] {
        let mut session = Session::new();
        let ran = session.run(code);
        assert_eq!(ran.value.err(), None, "{code}");
        assert_eq!(ran.stdout, "found 'q'\n", "{code}");
        assert_eq!(session.later.len(), later, "{code}");
    }
}

#[test]
fn tools_in_callbacks_and_generators() {
    for (code, out) in [
        ("print(sorted([1, 3, 2], key=lambda v: -add(v, 0)))", "[3, 2, 1]\n"),
        (
            "print(list(map(lambda v: add(v, 1), [1, 2])), list(filter(lambda v: add(v, 0) > 1, [1, 2])))",
            "[2, 3] [2]\n",
        ),
        ("def key(v):\n    return add(v, 1)\nprint(max([1, 2], key=key), min([1, 2], key=key))", "2 1\n"),
        ("xs = [2, 1]\nxs.sort(key=lambda v: add(v, 0))\nprint(xs)", "[1, 2]\n"),
        (
            "def g():\n    for i in range(2):\n        yield add(i, 1), 'x'\nfor a in g():\n    print(a)",
            "(1, 'x')\n(2, 'x')\n",
        ),
        ("def g(): yield add(1, 1)\nprint(list(g()))", "[2]\n"),
        ("try:\n    fail_tool('no')\nexcept ValueError as e:\n    print('caught', e)", "caught no\n"),
    ] {
        assert_eq!(printed(code), out, "{code}");
    }
}

#[test]
fn a_tool_cannot_be_erased() {
    for code in [
        "search = 3",
        "def search(q): pass",
        "import math as search",
        "for search in [1]: pass",
        "final_answer = 1",
    ] {
        let error = fails(code);
        assert!(error.message.starts_with("Cannot assign to name '"), "{code}: {error}");
        assert!(error.message.contains("doing this would erase the existing tool!"), "{code}: {error}");
    }
    assert_eq!(printed("def f(search): return search\nprint(f(1), [search for search in [2]])"), "1 [2]\n");
}

#[test]
fn imports_that_are_not_there() {
    let error = fails("x = 1\nimport numpy as np");
    assert_eq!((error.kind.as_str(), error.line), ("ModuleNotFoundError", Some(2)));
    assert!(
        error.message.starts_with("Import of numpy is not allowed. Authorized imports are: ['abc', "),
        "{error}"
    );
    assert!(fails("import requests").message.contains("use the given functions"));
    assert_eq!(printed("try:\n    import numpy\nexcept ImportError:\n    print('without')"), "without\n");
}

#[test]
fn errors_name_the_line_that_the_model_wrote() {
    let error =
        fails("class E(Exception): pass\ndef g():\n    yield 1\nx = 1\ndel x\nprint(list(g()))\n1 / 0\n");
    assert_eq!((error.kind.as_str(), error.line), ("ZeroDivisionError", Some(7)), "{error}");
    assert_eq!(error.source_line.as_deref(), Some("1 / 0"));
    let error = fails("class MyError(Exception):\n    pass\nraise MyError('own')");
    assert_eq!((error.kind.as_str(), error.message.as_str(), error.line), ("MyError", "own", Some(3)));
    assert_eq!(fails("x = (").kind, "SyntaxError");
}

#[test]
fn what_is_not_supported_is_named_with_a_way_around() {
    for (code, part) in [
        ("serach('x')", "Did you mean the function `search`?"),
        ("math.pi", "Write `import math` first"),
        ("class A(metaclass=M): pass", "metaclass"),
        ("async def f():\n    async for x in y: pass", "Await the whole list"),
        ("async def g():\n    yield 1", "collect the values in a list"),
        ("def g():\n    print((yield 1))", "as a statement of its own"),
        ("class A:\n    def __str__(self): return search('x')\nprint(str(A()))", "call it first"),
    ] {
        let error = fails(code);
        assert!(error.message.contains(part), "{code}: {error}");
    }
}

#[test]
fn texts_of_several_lines_survive_generators() {
    let code = "def g(n):\n    if n:\n        text = '''a\n  b\nc'''\n        yield text\n    yield f'''x\n {n}'''\nprint(list(g(1)))";
    assert_eq!(printed(code), "['a\\n  b\\nc', 'x\\n 1']\n");
}

#[test]
fn what_the_notes_exclude_is_refused() {
    for code in [
        "class A(metaclass=M): pass",
        "async def f():\n    async for x in y: pass",
        "try:\n    pass\nexcept* ValueError:\n    pass",
        "class A:\n    class B: pass",
        "class A(dict): pass",
        "def g():\n    with x:\n        yield 1",
    ] {
        assert_eq!(fails(code).kind, "NotImplementedError", "{code}");
    }
}

/// Text that is often nearly Python.
fn program() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "def f(x):",
        "class A(B):",
        "yield",
        "yield x",
        "return",
        "del",
        "x",
        "search(",
        ")",
        "await",
        "import heapq",
        "try:",
        "except E as e:",
        "finally:",
        "raise E",
        "\n",
        "\n    ",
        "\n        ",
        "if x:",
        "for x in y:",
        "while x:",
        "else:",
        "lambda x: x",
        "(",
        "[",
        "]",
        ",",
        ":",
        "=",
        "+=",
        "'",
        "\"\"\"",
        "f'{x}'",
        ".",
        "super().x",
        "@property",
        "é",
        "\u{2063}",
        "\t",
        "\\",
        "#",
        "<",
        "x.y",
        "len(x)",
        "next(x for x in y)",
        "del x[0]",
        ";",
        "pass",
        "break",
    ]);
    prop::collection::vec(word, 0..60).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn preparing_never_panics(code in prop_oneof![program(), ".{0,200}"]) {
        let _ = prepare(&code, &[tool("search", &["query"])], &[], &State::default());
    }
}
