//! Which tool calls a program wants as futures.
//!
//! A tool is a plain function and an awaitable: `r = search(q)` waits for the result, and in
//! `tasks = [search(q) for q in qs]; await asyncio.gather(*tasks)` the calls run at the same time. A call is wanted
//! as a future where its value certainly goes into an `await` or one of asyncio's functions. What is not found
//! here still works, one after the other: awaiting a plain value gives the value.

use std::collections::{HashMap, HashSet};

use ruff_python_ast::visitor::source_order::{SourceOrderVisitor, walk_expr, walk_stmt};
use ruff_python_ast::{Comprehension, Expr, ExprCall, Stmt};

use super::syntax::{last_name, name, start};

/// asyncio's functions that take awaitables.
const TAKERS: &[&str] = &[
    "gather",
    "create_task",
    "ensure_future",
    "wait_for",
    "shield",
    "as_completed",
    "wait",
    "run_until_complete",
];

/// The places of the names of the tool calls that are wanted as futures.
pub(super) fn wanted(body: &[Stmt], is_tool: &dyn Fn(&str) -> bool) -> HashSet<usize> {
    let mut uses = Uses::new(is_tool);
    body.iter().for_each(|stmt| uses.visit_stmt(stmt));
    uses.resolve()
}

struct Uses<'a, 't> {
    is_tool: &'t dyn Fn(&str) -> bool,
    /// Expressions that are taken as awaitables.
    taken: Vec<&'a Expr>,
    /// How often a name is read, and how often in a way that wants awaitables or does not mind them.
    loads: HashMap<&'a str, usize>,
    fine: HashMap<&'a str, usize>,
    /// `for target in items`, by names.
    iterations: Vec<(&'a str, &'a str)>,
    /// What is assigned to names or appended to lists of that name.
    assigned: Vec<(&'a str, &'a Expr)>,
}

impl<'a, 't> Uses<'a, 't> {
    fn new(is_tool: &'t dyn Fn(&str) -> bool) -> Self {
        Self {
            is_tool,
            taken: Vec::new(),
            loads: HashMap::new(),
            fine: HashMap::new(),
            iterations: Vec::new(),
            assigned: Vec::new(),
        }
    }

    fn fine(&mut self, expr: &'a Expr) {
        if let Some(name) = name(expr) {
            *self.fine.entry(name).or_default() += 1;
        }
    }

    fn take(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Starred(starred) => self.take(&starred.value),
            Expr::Name(_) => {
                self.fine(expr);
                self.taken.push(expr);
            }
            Expr::ListComp(inner) => self.take(&inner.elt),
            Expr::Generator(inner) => self.take(&inner.elt),
            Expr::SetComp(inner) => self.take(&inner.elt),
            Expr::List(inner) => inner.elts.iter().for_each(|item| self.take(item)),
            Expr::Tuple(inner) => inner.elts.iter().for_each(|item| self.take(item)),
            Expr::Set(inner) => inner.elts.iter().for_each(|item| self.take(item)),
            Expr::If(inner) => {
                self.take(&inner.body);
                self.take(&inner.orelse);
            }
            Expr::Call(_) => self.taken.push(expr),
            _ => {}
        }
    }

    fn call(&mut self, call: &'a ExprCall) {
        match call.func.as_ref() {
            Expr::Attribute(attribute) if attribute.attr.as_str() == "append" => {
                self.fine(&attribute.value);
                if let (Some(list), [item]) = (name(&attribute.value), &*call.arguments.args) {
                    self.assigned.push((list, item));
                    // What is appended by name goes where the list goes.
                    if let Some(item) = name(item) {
                        self.iterations.push((list, item));
                    }
                }
            }
            Expr::Name(function) if function.id.as_str() == "len" => {
                call.arguments.args.iter().for_each(|argument| self.fine(argument));
            }
            function if last_name(function).is_some_and(|name| TAKERS.contains(&name)) => {
                let count = if last_name(function) == Some("wait_for") { 1 } else { usize::MAX };
                call.arguments.args.iter().take(count).for_each(|argument| self.take(argument));
            }
            _ => {}
        }
    }

    fn resolve(self) -> HashSet<usize> {
        // Names that are only used as awaitables; a name that is iterated over is one if the loop's variable is.
        let mut fine = self.fine;
        let mut counted = vec![false; self.iterations.len()];
        loop {
            let mut changed = false;
            for (index, (target, items)) in self.iterations.iter().enumerate() {
                let (Some(done), Some(loads)) = (counted.get_mut(index), self.loads.get(target)) else {
                    continue;
                };
                if !*done && fine.get(target).copied().unwrap_or(0) >= *loads {
                    *done = true;
                    changed = true;
                    *fine.entry(*items).or_default() += 1;
                }
            }
            if !changed {
                break;
            }
        }
        let awaitable = |name: &str| {
            self.loads
                .get(name)
                .is_some_and(|loads| *loads > 0 && fine.get(name).copied().unwrap_or(0) >= *loads)
        };
        let mut out = HashSet::new();
        for expr in &self.taken {
            mark(expr, self.is_tool, &mut out);
        }
        for (name, value) in &self.assigned {
            if awaitable(name) {
                mark(value, self.is_tool, &mut out);
            }
        }
        out
    }
}

fn mark(expr: &Expr, is_tool: &dyn Fn(&str) -> bool, out: &mut HashSet<usize>) {
    match expr {
        Expr::Call(call) => {
            if let Expr::Name(function) = call.func.as_ref()
                && is_tool(&function.id)
            {
                out.insert(start(call.func.as_ref()));
            }
        }
        Expr::ListComp(inner) => mark(&inner.elt, is_tool, out),
        Expr::Generator(inner) => mark(&inner.elt, is_tool, out),
        Expr::SetComp(inner) => mark(&inner.elt, is_tool, out),
        Expr::List(inner) => inner.elts.iter().for_each(|item| mark(item, is_tool, out)),
        Expr::Tuple(inner) => inner.elts.iter().for_each(|item| mark(item, is_tool, out)),
        Expr::If(inner) => {
            mark(&inner.body, is_tool, out);
            mark(&inner.orelse, is_tool, out);
        }
        _ => {}
    }
}

impl<'a> SourceOrderVisitor<'a> for Uses<'a, '_> {
    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::Assign(assign) => {
                if let [Expr::Name(target)] = &*assign.targets {
                    self.assigned.push((target.id.as_str(), &assign.value));
                }
            }
            Stmt::AugAssign(assign) => {
                if let Expr::Name(target) = assign.target.as_ref() {
                    self.assigned.push((target.id.as_str(), &assign.value));
                }
            }
            Stmt::For(inner) => {
                if let (Some(target), Some(items)) = (name(&inner.target), name(&inner.iter)) {
                    self.iterations.push((target, items));
                }
            }
            _ => {}
        }
        walk_stmt(self, stmt);
    }

    fn visit_comprehension(&mut self, comprehension: &'a Comprehension) {
        if let (Some(target), Some(items)) = (name(&comprehension.target), name(&comprehension.iter)) {
            self.iterations.push((target, items));
        }
        ruff_python_ast::visitor::source_order::walk_comprehension(self, comprehension);
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Name(name) if name.ctx.is_load() => *self.loads.entry(name.id.as_str()).or_default() += 1,
            // The interpreter knows an await on the spot only while nothing else runs: not inside a gather.
            Expr::Await(inner) => {
                self.fine(&inner.value);
                if inner.value.is_call_expr() {
                    self.taken.push(&inner.value);
                }
            }
            Expr::Call(call) => self.call(call),
            _ => {}
        }
        walk_expr(self, expr);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted_names(code: &str) -> Vec<String> {
        let parsed = ruff_python_parser::parse_module(code).unwrap();
        let mut places: Vec<usize> =
            wanted(&parsed.syntax().body, &|name| name == "search").into_iter().collect();
        places.sort_unstable();
        places.into_iter().map(|place| code[..place].matches('\n').count().to_string()).collect()
    }

    #[test]
    fn plain_calls_are_not_wanted() {
        for code in [
            "r = search(q)\nprint(r)",
            "rs = [search(q) for q in qs]\nfor r in rs: print(r)",
            "t = search(q)\nawait t\nprint(t)",
            "x = search(q)['a']",
        ] {
            assert!(wanted_names(code).is_empty(), "{code}");
        }
    }

    #[test]
    fn calls_that_flow_into_awaits_are_wanted() {
        for (code, line) in [
            ("await search(q)", "0"),
            ("await asyncio.gather(search(1), search(2))", "0"),
            ("await asyncio.gather(*[search(q) for q in qs])", "0"),
            ("await asyncio.gather(*(search(q) for q in qs))", "0"),
            ("t = [search(q) for q in qs]\nrs = await asyncio.gather(*t)", "0"),
            ("t = []\nfor q in qs:\n    t.append(search(q))\nrs = await asyncio.gather(*t)", "2"),
            ("t = asyncio.create_task(search(q))\nprint(await t)", "0"),
            ("a = search(1)\nb = await a", "0"),
            ("t = [search(q) for q in qs]\nrs = [await x for x in t]", "0"),
            ("t = [search(q) for q in qs]\nfor x in t:\n    print(await x)", "0"),
            ("await asyncio.wait_for(search(q), timeout=3)", "0"),
            ("for q in qs:\n    t = search(q)\n    ts.append(t)\nawait gather(*ts)", "1"),
        ] {
            let found = wanted_names(code);
            assert_eq!(found.first().map(String::as_str), Some(line), "{code}");
        }
    }
}
