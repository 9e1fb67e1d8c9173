//! Generator functions as functions that return an object which goes on from where it stopped.
//!
//! The interpreter has no `yield`. The body of a generator function is cut into numbered states; what lies between
//! two `yield`s keeps its text. Its variables live in the generator function, its states in a nested one:
//!
//! ```text
//! def count(n):                     def count(n):
//!     i = 0                             _mt_s = 0
//!     while i < n:                      i = None
//!         yield i            →          def _mt_step(_mt_v, _mt_x):
//!         i += 1                            nonlocal _mt_s, i
//!                                           while True:
//!                                               if _mt_s == 0: …
//!                                       return _mt_Generator(_mt_step, 'count')
//! ```
//!
//! Where the body calls tools, the object could not wait for them in a `for` loop, because the interpreter asks it
//! for the next value in one go; such a generator runs to its end at once and gives a list's iterator.

use ruff_python_ast::token::{TokenKind, Tokens};
use ruff_python_ast::visitor::source_order::{SourceOrderVisitor, walk_expr, walk_stmt};
use ruff_python_ast::{ExceptHandler, Expr, Stmt, StmtFunctionDef};
use ruff_text_size::Ranged;

use super::edits::{Edits, Source};
use super::syntax::{self, at, end, start};

/// Why a generator cannot be lowered.
pub(super) struct Unsupported {
    /// What it is, for the model.
    pub(super) what: &'static str,
    /// Where, in the text that was given.
    pub(super) offset: usize,
}

/// Lowers the outermost generator functions of a program; `None` if there is none.
pub(super) fn lower(
    source: &Source,
    body: &[Stmt],
    tokens: &Tokens,
    calls_tools: &dyn Fn(&StmtFunctionDef) -> bool,
) -> Result<Option<Source>, Unsupported> {
    let mut finder = Finder { found: Vec::new() };
    for stmt in body {
        finder.visit_stmt(stmt);
    }
    if finder.found.is_empty() {
        return Ok(None);
    }
    let mut edits = Edits::default();
    for function in finder.found {
        if function.is_async {
            return Err(Unsupported {
                what: "an asynchronous generator; collect the values in a list and return it",
                offset: start(function),
            });
        }
        let managed = function.decorator_list.iter().any(|decorator| {
            syntax::last_name(&decorator.expression).is_some_and(|name| name == "contextmanager")
        });
        if calls_tools(function) && !managed {
            eager(source, function, tokens, &mut edits);
        } else {
            lazy(source, function, tokens, &mut edits)?;
        }
    }
    Ok(Some(edits.apply(source)))
}

struct Finder<'a> {
    found: Vec<&'a StmtFunctionDef>,
}

impl<'a> SourceOrderVisitor<'a> for Finder<'a> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::FunctionDef(function) if has_yield(&function.body) => self.found.push(function),
            _ => walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, _: &'a Expr) {}
}

/// Whether statements `yield` for the function that they belong to.
pub(super) fn has_yield(body: &[Stmt]) -> bool {
    let mut scan = Scan::default();
    body.iter().for_each(|stmt| scan.visit_stmt(stmt));
    scan.yields
}

/// What a statement does to the flow of its function.
#[derive(Default)]
struct Scan {
    yields: bool,
    returns: bool,
    /// A `break` or `continue` of a loop around the statement.
    leaves_loop: bool,
    depth: usize,
}

impl<'a> SourceOrderVisitor<'a> for Scan {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::FunctionDef(function) => {
                for decorator in &function.decorator_list {
                    self.visit_expr(&decorator.expression);
                }
            }
            Stmt::ClassDef(_) => {}
            Stmt::Return(_) => {
                self.returns = true;
                walk_stmt(self, stmt);
            }
            Stmt::Break(_) | Stmt::Continue(_) => self.leaves_loop |= self.depth == 0,
            Stmt::For(_) | Stmt::While(_) => {
                self.depth += 1;
                walk_stmt(self, stmt);
                self.depth -= 1;
            }
            _ => walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Yield(_) | Expr::YieldFrom(_) => self.yields = true,
            Expr::Lambda(_) => return,
            _ => {}
        }
        walk_expr(self, expr);
    }
}

fn scan(stmt: &Stmt) -> Scan {
    let mut scan = Scan::default();
    scan.visit_stmt(stmt);
    scan
}

/// The place after the colon that ends a function's header.
fn after_header(function: &StmtFunctionDef, tokens: &Tokens) -> Option<usize> {
    let from =
        function.returns.as_ref().map_or_else(|| end(&*function.parameters), |returns| end(returns.as_ref()));
    let first = function.body.first()?;
    syntax::find_token(tokens, from, start(first), TokenKind::Colon).map(|range| at(range.end()))
}

/// Collects all values at once.
fn eager(source: &Source, function: &StmtFunctionDef, tokens: &Tokens, edits: &mut Edits) {
    struct Collect<'s> {
        edits: &'s mut Edits,
    }
    impl<'a> SourceOrderVisitor<'a> for Collect<'_> {
        fn visit_stmt(&mut self, stmt: &'a Stmt) {
            match stmt {
                Stmt::FunctionDef(_) | Stmt::ClassDef(_) => {}
                Stmt::Return(_) => self.edits.replace(start(stmt), end(stmt), "return iter(_mt_out)"),
                _ => walk_stmt(self, stmt),
            }
        }
        fn visit_expr(&mut self, expr: &'a Expr) {
            match expr {
                Expr::Lambda(_) => {}
                Expr::Yield(inner) => match &inner.value {
                    Some(value) => {
                        // A tuple without parentheses must not become several arguments.
                        self.edits.replace(start(expr), start(value.as_ref()), "_mt_out.append((");
                        self.visit_expr(value);
                        self.edits.insert(end(expr), "))");
                    }
                    None => self.edits.replace(start(expr), end(expr), "_mt_out.append(None)"),
                },
                Expr::YieldFrom(inner) => {
                    self.edits.replace(start(expr), start(inner.value.as_ref()), "_mt_out.extend((");
                    self.visit_expr(&inner.value);
                    self.edits.insert(end(expr), "))");
                }
                _ => walk_expr(self, expr),
            }
        }
    }
    let (Some(header), Some(first)) = (after_header(function, tokens), function.body.first()) else { return };
    let own_line = source.starts_line(start(first));
    let indent = if own_line {
        source.indent_at(start(first)).to_owned()
    } else {
        format!("{}    ", source.indent_at(start(function)))
    };
    if own_line {
        edits.insert(header, format!("\n{indent}_mt_out = []"));
    } else {
        edits.replace(header, start(first), format!("\n{indent}_mt_out = []\n{indent}"));
    }
    let mut collect = Collect { edits };
    function.body.iter().for_each(|stmt| collect.visit_stmt(stmt));
    edits.insert(end(function), format!("\n{indent}return iter(_mt_out)"));
}

/// The names that a function binds, without its parameters.
#[derive(Default)]
struct Locals {
    names: Vec<String>,
    outer: Vec<String>,
    globals: Vec<String>,
    depth: usize,
}

impl Locals {
    fn bind(&mut self, name: &str) {
        if self.depth == 0 && !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_owned());
        }
    }
}

impl<'a> SourceOrderVisitor<'a> for Locals {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::FunctionDef(function) => self.bind(&function.name),
            Stmt::ClassDef(class) => self.bind(&class.name),
            Stmt::Global(names) => self.globals.extend(names.names.iter().map(|name| name.to_string())),
            Stmt::Nonlocal(names) => self.outer.extend(names.names.iter().map(|name| name.to_string())),
            Stmt::Import(import) => {
                for alias in &import.names {
                    let name = alias.asname.as_ref().unwrap_or(&alias.name).to_string();
                    self.bind(name.split('.').next().unwrap_or_default());
                }
            }
            Stmt::ImportFrom(import) => {
                for alias in &import.names {
                    self.bind(alias.asname.as_ref().unwrap_or(&alias.name));
                }
            }
            Stmt::Try(inner) => {
                for handler in &inner.handlers {
                    let ExceptHandler::ExceptHandler(handler) = handler;
                    if let Some(name) = &handler.name {
                        self.bind(name);
                    }
                }
                walk_stmt(self, stmt);
            }
            _ => walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Name(name) if name.ctx.is_store() || name.ctx.is_del() => self.bind(&name.id),
            Expr::Named(named) => {
                if let Expr::Name(name) = named.target.as_ref() {
                    let depth = std::mem::take(&mut self.depth);
                    self.bind(&name.id);
                    self.depth = depth;
                }
                self.visit_expr(&named.value);
            }
            Expr::ListComp(_)
            | Expr::SetComp(_)
            | Expr::DictComp(_)
            | Expr::Generator(_)
            | Expr::Lambda(_) => {
                self.depth += 1;
                walk_expr(self, expr);
                self.depth -= 1;
            }
            _ => walk_expr(self, expr),
        }
    }
}

/// Where control goes when a statement leaves its place.
#[derive(Clone, Copy, Default)]
struct Around {
    /// The loop's `break` and `continue`: the states and how many `finally` blocks are around the loop.
    exit: Option<(usize, usize)>,
    next: Option<usize>,
    /// The state that handles an exception.
    handler: Option<usize>,
}

/// A `finally` block that is being built.
struct Finally {
    number: usize,
    state: usize,
    /// The jumps that go through it: where to.
    jumps: Vec<usize>,
}

struct Line {
    indent: usize,
    text: String,
    origin: u32,
}

struct Lowering<'s> {
    source: &'s Source,
    tokens: &'s Tokens,
    states: Vec<Vec<Line>>,
    handlers: Vec<Option<usize>>,
    current: usize,
    finals: Vec<Finally>,
    counter: usize,
    extra: Vec<String>,
    uses_handlers: bool,
}

fn lazy(
    source: &Source,
    function: &StmtFunctionDef,
    tokens: &Tokens,
    edits: &mut Edits,
) -> Result<(), Unsupported> {
    let Some(header) = after_header(function, tokens) else { return Ok(()) };
    let mut locals = Locals::default();
    function.body.iter().for_each(|stmt| locals.visit_stmt(stmt));
    let parameters: Vec<&str> =
        function.parameters.iter().map(|parameter| parameter.name().as_str()).collect();
    let mut lowering = Lowering {
        source,
        tokens,
        states: vec![Vec::new()],
        handlers: vec![None],
        current: 0,
        finals: Vec::new(),
        counter: 0,
        extra: Vec::new(),
        uses_handlers: false,
    };
    lowering.block(&function.body, Around::default())?;
    lowering.emit(0, "_mt_s = -1; return (False, None)", end(function));

    let names: Vec<&String> = locals
        .names
        .iter()
        .filter(|name| !locals.outer.contains(name) && !locals.globals.contains(name))
        .collect();
    let base = source.indent_at(start(function)).to_owned();
    let first = source.line_at(header);
    let mut out = Output { text: String::new(), lines: vec![first], base };
    out.line(4, "_mt_s = 0", first);
    let fresh: Vec<&str> =
        names.iter().map(|name| name.as_str()).filter(|name| !parameters.contains(name)).collect();
    for name in fresh.iter().copied().chain(lowering.extra.iter().map(String::as_str)) {
        out.line(4, &format!("{name} = None"), first);
    }
    out.line(4, "def _mt_step(_mt_v, _mt_x):", first);
    let mut nonlocal = vec!["_mt_s"];
    nonlocal.extend(names.iter().map(|name| name.as_str()));
    nonlocal.extend(locals.outer.iter().map(String::as_str));
    nonlocal.extend(lowering.extra.iter().map(String::as_str));
    out.line(8, &format!("nonlocal {}", nonlocal.join(", ")), first);
    if !locals.globals.is_empty() {
        out.line(8, &format!("global {}", locals.globals.join(", ")), first);
    }
    out.line(8, "while True:", first);
    let inner = if lowering.uses_handlers { 16 } else { 12 };
    if lowering.uses_handlers {
        out.line(12, "try:", first);
    }
    out.line(inner, "if _mt_x is not None:", first);
    out.line(inner + 4, "_mt_y = _mt_x; _mt_x = None", first);
    out.line(inner + 4, "raise _mt_y", first);
    for (number, state) in lowering.states.iter().enumerate() {
        let keyword = if number == 0 { "if" } else { "elif" };
        let origin = state.first().map_or(first, |line| line.origin);
        out.line(inner, &format!("{keyword} _mt_s == {number}:"), origin);
        for content in state {
            if content.indent == usize::MAX {
                // A line within a text of several lines.
                out.raw(&content.text, content.origin);
            } else {
                out.line(inner + 4 + content.indent, &content.text, content.origin);
            }
        }
    }
    out.line(inner, "else:", first);
    out.line(inner + 4, "return (False, None)", first);
    if lowering.uses_handlers {
        out.line(12, "except BaseException as _mt_error:", first);
        let mut keyword = "if";
        for (state, handler) in lowering.handlers.iter().enumerate() {
            if let Some(handler) = handler {
                out.line(16, &format!("{keyword} _mt_s == {state}:"), first);
                out.line(20, &format!("_mt_e = _mt_error; _mt_s = {handler}"), first);
                keyword = "elif";
            }
        }
        out.line(16, "else:", first);
        out.line(20, "_mt_s = -1", first);
        out.line(20, "raise", first);
    }
    out.line(4, &format!("return _mt_Generator(_mt_step, '{}')", function.name), first);
    edits.replace_lines(header, end(function), out.text, out.lines);
    Ok(())
}

struct Output {
    text: String,
    lines: Vec<u32>,
    base: String,
}

impl Output {
    fn line(&mut self, indent: usize, content: &str, origin: u32) {
        self.text.push('\n');
        self.text.push_str(&self.base);
        self.text.push_str(&" ".repeat(indent));
        self.text.push_str(content);
        self.lines.push(origin);
    }

    fn raw(&mut self, content: &str, origin: u32) {
        self.text.push('\n');
        self.text.push_str(content);
        self.lines.push(origin);
    }
}

impl Lowering<'_> {
    fn state(&mut self, around: Around) -> usize {
        self.states.push(Vec::new());
        self.handlers.push(around.handler);
        self.states.len() - 1
    }

    fn emit(&mut self, indent: usize, text: impl Into<String>, offset: usize) {
        let origin = self.source.line_at(offset);
        if let Some(state) = self.states.get_mut(self.current) {
            state.push(Line { indent, text: text.into(), origin });
        }
    }

    fn jump(&mut self, state: usize, offset: usize) {
        self.emit(0, format!("_mt_s = {state}; continue"), offset);
    }

    fn name(&mut self, kind: &str) -> String {
        self.counter += 1;
        let name = format!("_mt_{kind}{}", self.counter);
        self.extra.push(name.clone());
        name
    }

    fn text(&self, node: &impl Ranged) -> String {
        self.source.text.get(start(node)..end(node)).unwrap_or_default().to_owned()
    }

    /// How to go to a state which is inside `depth` finally blocks, in one line.
    fn leave(&mut self, target: usize, depth: usize) -> String {
        if self.finals.len() > depth
            && let Some(last) = self.finals.last_mut()
        {
            if !last.jumps.contains(&target) {
                last.jumps.push(target);
            }
            return format!("_mt_f{} = (3, {target}); _mt_s = {}; continue", last.number, last.state);
        }
        format!("_mt_s = {target}; continue")
    }

    fn finish(&self, value: &str) -> String {
        match self.finals.last() {
            Some(last) => format!("_mt_f{} = (2, {value}); _mt_s = {}; continue", last.number, last.state),
            None => format!("_mt_s = -1; return (False, {value})"),
        }
    }

    fn block(&mut self, body: &[Stmt], around: Around) -> Result<(), Unsupported> {
        for stmt in body {
            self.statement(stmt, around)?;
        }
        Ok(())
    }

    fn statement(&mut self, stmt: &Stmt, around: Around) -> Result<(), Unsupported> {
        let flow = scan(stmt);
        let offset = start(stmt);
        if !flow.yields && (!flow.returns || self.finals.is_empty()) {
            self.native(stmt, around);
            return Ok(());
        }
        match stmt {
            Stmt::Return(inner) => {
                let value = match inner.value.as_deref() {
                    Some(Expr::YieldFrom(delegate)) => self.delegate(&delegate.value, offset, around),
                    Some(value) if syntax::yields(value) => return Err(nested(value)),
                    Some(value) => format!("({})", self.text(value)),
                    None => "None".to_owned(),
                };
                let line = self.finish(&value);
                self.emit(0, line, offset);
            }
            Stmt::Expr(inner) => match inner.value.as_ref() {
                Expr::Yield(value) => self.give(value.value.as_deref(), None, offset, around)?,
                Expr::YieldFrom(value) => {
                    self.delegate(&value.value, offset, around);
                }
                other => return Err(nested(other)),
            },
            Stmt::Assign(inner) => {
                let targets: Vec<String> = inner.targets.iter().map(|target| self.text(target)).collect();
                match inner.value.as_ref() {
                    Expr::Yield(value) => {
                        self.give(value.value.as_deref(), Some(targets.join(" = ")), offset, around)?
                    }
                    Expr::YieldFrom(value) => {
                        let value = self.delegate(&value.value, offset, around);
                        self.emit(0, format!("{} = {value}", targets.join(" = ")), offset);
                    }
                    other => return Err(nested(other)),
                }
            }
            Stmt::If(inner) => {
                let done = self.state(around);
                let mut clauses: Vec<(Option<&Expr>, &[Stmt])> = vec![(Some(&inner.test), &inner.body)];
                clauses.extend(
                    inner
                        .elif_else_clauses
                        .iter()
                        .map(|clause| (clause.test.as_ref(), clause.body.as_slice())),
                );
                for (test, body) in clauses {
                    let Some(test) = test else {
                        self.block(body, around)?;
                        continue;
                    };
                    if syntax::yields(test) {
                        return Err(nested(test));
                    }
                    let other = self.state(around);
                    let test_text = self.text(test);
                    self.emit(0, format!("if not ({test_text}):"), start(test));
                    self.emit(4, format!("_mt_s = {other}; continue"), start(test));
                    self.block(body, around)?;
                    self.jump(done, end(stmt));
                    self.current = other;
                }
                self.jump(done, end(stmt));
                self.current = done;
            }
            Stmt::While(inner) => {
                let (head, otherwise, done) = (self.state(around), self.state(around), self.state(around));
                if syntax::yields(&inner.test) {
                    return Err(nested(&inner.test));
                }
                self.jump(head, offset);
                self.current = head;
                let test = self.text(inner.test.as_ref());
                self.emit(0, format!("if not ({test}):"), offset);
                self.emit(4, format!("_mt_s = {otherwise}; continue"), offset);
                self.looped(&inner.body, &inner.orelse, head, otherwise, done, around, end(stmt))?;
            }
            Stmt::For(inner) => {
                if inner.is_async || syntax::yields(&inner.iter) {
                    return Err(nested(&inner.iter));
                }
                let (head, otherwise, done) = (self.state(around), self.state(around), self.state(around));
                let (items, item) = (self.name("items"), self.name("item"));
                let (iter, target) = (self.text(inner.iter.as_ref()), self.text(inner.target.as_ref()));
                self.emit(0, format!("{items} = iter(({iter}))"), offset);
                self.jump(head, offset);
                self.current = head;
                self.emit(0, format!("{item} = next({items}, _mt_end)"), offset);
                self.emit(0, format!("if {item} is _mt_end:"), offset);
                self.emit(4, format!("_mt_s = {otherwise}; continue"), offset);
                self.emit(0, format!("{target} = {item}"), offset);
                self.looped(&inner.body, &inner.orelse, head, otherwise, done, around, end(stmt))?;
            }
            Stmt::Try(inner) => {
                if inner.is_star {
                    return Err(Unsupported { what: "`except*` in a generator", offset });
                }
                self.attempt(inner, around)?;
            }
            Stmt::With(_) => {
                return Err(Unsupported {
                    what: "`yield` inside a `with` block; collect the values in a list and return it",
                    offset,
                });
            }
            Stmt::Match(_) => {
                return Err(Unsupported {
                    what: "`yield` inside a `match` block; use `if`/`elif`, or collect the values in a list",
                    offset,
                });
            }
            _ => {
                return Err(Unsupported {
                    what: "`yield` inside an expression; write it as a statement of its own",
                    offset,
                });
            }
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the three states of a loop belong together")]
    fn looped(
        &mut self,
        body: &[Stmt],
        orelse: &[Stmt],
        head: usize,
        otherwise: usize,
        done: usize,
        around: Around,
        last: usize,
    ) -> Result<(), Unsupported> {
        let depth = self.finals.len();
        self.block(body, Around { exit: Some((done, depth)), next: Some(head), ..around })?;
        self.jump(head, last);
        self.current = otherwise;
        self.block(orelse, around)?;
        self.jump(done, last);
        self.current = done;
        Ok(())
    }

    fn attempt(&mut self, stmt: &ruff_python_ast::StmtTry, around: Around) -> Result<(), Unsupported> {
        self.uses_handlers = true;
        if !self.extra.iter().any(|name| name == "_mt_e") {
            self.extra.push("_mt_e".to_owned());
        }
        let offset = start(stmt);
        let done = self.state(around);
        let mut outer = around;
        if !stmt.finalbody.is_empty() {
            // An exception in the body or in a handler goes through the block as `(1, exception)`.
            self.counter += 1;
            let number = self.counter;
            self.extra.push(format!("_mt_f{number}"));
            let block = self.state(around);
            let entry = self.state(around);
            if let Some(lines) = self.states.get_mut(entry) {
                let origin = self.source.line_at(offset);
                lines.push(Line {
                    indent: 0,
                    text: format!("_mt_f{number} = (1, _mt_e); _mt_s = {block}; continue"),
                    origin,
                });
            }
            outer = Around { handler: Some(entry), ..around };
            self.finals.push(Finally { number, state: block, jumps: Vec::new() });
        }
        let after = match self.finals.last() {
            Some(last) if !stmt.finalbody.is_empty() => {
                format!("_mt_f{} = (0, None); _mt_s = {}; continue", last.number, last.state)
            }
            _ => format!("_mt_s = {done}; continue"),
        };
        let handling = if stmt.handlers.is_empty() { None } else { Some(self.state(outer)) };
        let inside = Around { handler: handling.or(outer.handler), ..around };
        let body = self.state(inside);
        self.jump(body, offset);
        self.current = body;
        self.block(&stmt.body, inside)?;
        let orelse = self.state(outer);
        self.jump(orelse, offset);
        self.current = orelse;
        self.block(&stmt.orelse, outer)?;
        self.emit(0, after.clone(), offset);
        if let Some(handling) = handling {
            self.current = handling;
            for handler in &stmt.handlers {
                let ExceptHandler::ExceptHandler(handler) = handler;
                let place = start(handler);
                let next = self.state(outer);
                if let Some(types) = &handler.type_ {
                    let types = self.text(types.as_ref());
                    self.emit(0, format!("if not _mt_catches(_mt_e, ({types})):"), place);
                    self.emit(4, format!("_mt_s = {next}; continue"), place);
                }
                if let Some(name) = &handler.name {
                    self.emit(0, format!("{name} = _mt_plain(_mt_e)"), place);
                }
                self.block(&handler.body, outer)?;
                self.emit(0, after.clone(), place);
                self.current = next;
            }
            self.emit(0, "raise _mt_e", offset);
        }
        if !stmt.finalbody.is_empty()
            && let Some(block) = self.finals.pop()
        {
            self.current = block.state;
            self.block(&stmt.finalbody, around)?;
            let place = stmt.finalbody.first().map_or(offset, start);
            let record = format!("_mt_f{}", block.number);
            self.emit(0, format!("if {record}[0] == 1:"), place);
            self.emit(4, format!("raise {record}[1]"), place);
            let leave = self.finish(&format!("{record}[1]"));
            self.emit(0, format!("if {record}[0] == 2:"), place);
            self.emit(4, leave, place);
            for target in block.jumps {
                // The loop that is left lies outside of this block; how far outside decides the next step.
                let depth = around.exit.map_or(0, |(_, depth)| depth);
                let leave = self.leave(target, depth);
                self.emit(0, format!("if {record} == (3, {target}):"), place);
                self.emit(4, leave, place);
            }
            self.jump(done, place);
        }
        self.current = done;
        Ok(())
    }

    fn give(
        &mut self,
        value: Option<&Expr>,
        target: Option<String>,
        offset: usize,
        around: Around,
    ) -> Result<(), Unsupported> {
        let text = match value {
            Some(value) if syntax::yields(value) => return Err(nested(value)),
            Some(value) => format!("({})", self.text(value)),
            None => "None".to_owned(),
        };
        let next = self.state(around);
        // The value is computed in this state: its exceptions belong here, what is thrown in belongs there.
        self.emit(0, format!("_mt_r = {text}; _mt_s = {next}; return (True, _mt_r)"), offset);
        self.current = next;
        if let Some(target) = target {
            self.emit(0, format!("{target} = _mt_v"), offset);
        }
        Ok(())
    }

    /// `yield from`; gives the name of its value.
    fn delegate(&mut self, items: &Expr, offset: usize, around: Around) -> String {
        let name = self.name("from");
        let text = self.text(items);
        self.emit(0, format!("{name} = _mt_Delegate(({text}))"), offset);
        let head = self.state(around);
        self.emit(0, "_mt_v = None", offset);
        self.jump(head, offset);
        self.current = head;
        self.emit(0, format!("_mt_r = {name}.step(_mt_v, None)"), offset);
        self.emit(0, "if _mt_r[0]:", offset);
        self.emit(4, "return _mt_r", offset);
        format!("{name}.value")
    }

    /// A statement that keeps its text, but for what leaves it.
    fn native(&mut self, stmt: &Stmt, around: Around) {
        struct Exits<'e> {
            edits: Vec<(usize, usize, String)>,
            stop: &'e str,
            next: &'e str,
            finish: &'e dyn Fn(Option<&Expr>) -> String,
            depth: usize,
        }
        impl<'a> SourceOrderVisitor<'a> for Exits<'_> {
            fn visit_stmt(&mut self, stmt: &'a Stmt) {
                match stmt {
                    Stmt::FunctionDef(_) | Stmt::ClassDef(_) => {}
                    Stmt::Return(inner) => {
                        self.edits.push((start(stmt), end(stmt), (self.finish)(inner.value.as_deref())));
                    }
                    Stmt::Break(_) if self.depth == 0 => {
                        self.edits.push((start(stmt), end(stmt), self.stop.to_owned()));
                    }
                    Stmt::Continue(_) if self.depth == 0 => {
                        self.edits.push((start(stmt), end(stmt), self.next.to_owned()));
                    }
                    Stmt::For(_) | Stmt::While(_) => {
                        self.depth += 1;
                        walk_stmt(self, stmt);
                        self.depth -= 1;
                    }
                    _ => walk_stmt(self, stmt),
                }
            }
            fn visit_expr(&mut self, _: &'a Expr) {}
        }
        let (stop, next) = match (around.exit, around.next) {
            (Some((done, depth)), Some(head)) => {
                let flow = scan(stmt);
                if flow.leaves_loop {
                    (self.leave(done, depth), self.leave(head, depth))
                } else {
                    (String::new(), String::new())
                }
            }
            _ => ("break".to_owned(), "continue".to_owned()),
        };
        let source = self.source;
        let finals = self.finish("\u{0}");
        let finish = move |value: Option<&Expr>| {
            let text = value
                .and_then(|value| source.text.get(start(value)..end(value)))
                .map_or_else(|| "None".to_owned(), |text| format!("({text})"));
            finals.replace('\u{0}', &text)
        };
        let mut exits = Exits { edits: Vec::new(), stop: &stop, next: &next, finish: &finish, depth: 0 };
        exits.visit_stmt(stmt);
        let mut text = String::new();
        let mut at_byte = start(stmt);
        for (from, to, replacement) in &exits.edits {
            text.push_str(source.text.get(at_byte..*from).unwrap_or_default());
            text.push_str(replacement);
            at_byte = *to;
        }
        text.push_str(source.text.get(at_byte..end(stmt)).unwrap_or_default());
        let indent = source.indent_at(start(stmt)).to_owned();
        let first = source.line_at(start(stmt));
        let inside = self.lines_inside_texts(stmt);
        for (index, line) in text.split('\n').enumerate() {
            let number = first + u32::try_from(index).unwrap_or(0);
            if index > 0 && inside.contains(&number) {
                self.push_raw(line, number);
                continue;
            }
            let stripped = if index == 0 {
                line
            } else {
                line.strip_prefix(indent.as_str()).unwrap_or_else(|| line.trim_start())
            };
            if let Some(state) = self.states.get_mut(self.current) {
                state.push(Line { indent: 0, text: stripped.to_owned(), origin: number });
            }
        }
    }

    fn push_raw(&mut self, line: &str, origin: u32) {
        if let Some(state) = self.states.get_mut(self.current) {
            state.push(Line { indent: usize::MAX, text: line.to_owned(), origin });
        }
    }

    /// The lines of a statement that begin inside a text of several lines: their white space is part of it.
    fn lines_inside_texts(&self, stmt: &Stmt) -> Vec<u32> {
        let mut out = Vec::new();
        for token in syntax::tokens_in(self.tokens, start(stmt), end(stmt)) {
            if matches!(token.kind(), TokenKind::String | TokenKind::FStringMiddle | TokenKind::TStringMiddle)
            {
                let from = self.source.line_at(start(token));
                let to = self.source.line_at(end(token));
                out.extend(from + 1..=to);
            }
        }
        out
    }
}

fn nested(expr: &Expr) -> Unsupported {
    Unsupported {
        what: "`yield` inside an expression; write it as a statement of its own",
        offset: start(expr),
    }
}
