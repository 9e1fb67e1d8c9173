//! The changes of one program's text, but for generators.

use std::collections::{BTreeSet, HashSet};

use ruff_python_ast::token::{TokenKind, Tokens};
use ruff_python_ast::visitor::source_order::{
    SourceOrderVisitor, walk_expr, walk_interpolated_string_element, walk_stmt,
};
use ruff_python_ast::{
    Alias, CmpOp, ExceptHandler, Expr, ExprAttribute, ExprCall, ExprContext, ExprGenerator,
    InterpolatedStringElement, Operator, Stmt, StmtAugAssign, StmtClassDef, StmtDelete, StmtFunctionDef,
    StmtImport, StmtImportFrom, StmtTry, UnaryOp,
};
use ruff_text_size::Ranged;

use super::edits::{Edits, Source};
use super::facts::{EXCEPTIONS, Facts, Kind, kind, member_name, members};
use super::modules::{self, Provision};
use super::syntax::{self, end, last_name, name, start};
use super::{LATER, Problem};

/// The builtins that the prelude stands in for: where a program defines one of these names, it means its own.
pub(super) const BUILTINS: &[&str] = &[
    "callable",
    "issubclass",
    "isinstance",
    "vars",
    "dir",
    "globals",
    "ascii",
    "delattr",
    "len",
    "sorted",
    "min",
    "max",
    "map",
    "filter",
    "print",
    "hasattr",
    "getattr",
    "setattr",
    "super",
    "next",
    "str",
    "list",
    "dict",
    "int",
    "float",
    "bytes",
    "set",
    "tuple",
    "frozenset",
    "bool",
    "object",
    "input",
    "memoryview",
    "bytearray",
    "slice",
    "type",
    "property",
    "staticmethod",
    "classmethod",
    "ValueError",
    "Exception",
    "KeyError",
    "TypeError",
    "RuntimeError",
];

/// Methods of the builtin types, which the interpreter knows only where they are called.
const METHODS: &[&str] = &[
    "add",
    "append",
    "appendleft",
    "capitalize",
    "casefold",
    "copy",
    "count",
    "difference",
    "discard",
    "encode",
    "endswith",
    "extend",
    "find",
    "format",
    "get",
    "index",
    "insert",
    "intersection",
    "isalnum",
    "isalpha",
    "isdigit",
    "islower",
    "isnumeric",
    "isspace",
    "isupper",
    "items",
    "join",
    "keys",
    "ljust",
    "lower",
    "lstrip",
    "pop",
    "popleft",
    "remove",
    "replace",
    "rjust",
    "rstrip",
    "setdefault",
    "sort",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "swapcase",
    "title",
    "union",
    "update",
    "upper",
    "values",
    "zfill",
    "__getitem__",
    "__contains__",
    "__len__",
    "__add__",
    "total_seconds",
    "isoformat",
    "strftime",
    "group",
    "search",
    "match",
    "sub",
    "most_common",
    "decode",
    "rfind",
    "partition",
    "write",
];

/// Functions whose arguments are functions.
const CALLBACK_TAKERS: &[&str] = &[
    "map",
    "filter",
    "sorted",
    "min",
    "max",
    "reduce",
    "starmap",
    "partial",
    "defaultdict",
    "takewhile",
    "dropwhile",
    "groupby",
    "filterfalse",
    "accumulate",
    "sub",
    "cmp_to_key",
];

/// Methods of builtin types that the interpreter lacks, and the prelude's functions for them.
const LACKING: &[&str] = &[
    "isocalendar",
    "ctime",
    "timetuple",
    "toordinal",
    "is_integer",
    "as_integer_ratio",
    "fromtimestamp",
    "fromordinal",
    "fromisocalendar",
    "bit_count",
    "bit_length",
    "utctimetuple",
    "format_map",
    "expandtabs",
    "translate",
    "isprintable",
    "isidentifier",
    "isdecimal",
    "conjugate",
    "tobytes",
    "utcfromtimestamp",
    "utcnow",
];

pub(super) struct Rewrite<'a, 'f> {
    pub(super) source: &'a Source,
    pub(super) tokens: &'a Tokens,
    pub(super) facts: &'f Facts<'a>,
    pub(super) is_tool: &'f dyn Fn(&str) -> bool,
    pub(super) imports: &'f [String],
    pub(super) has_tools: bool,
    pub(super) later: HashSet<usize>,
    pub(super) edits: Edits,
    pub(super) pieces: BTreeSet<&'static str>,
    pub(super) problem: Option<Problem>,
    /// The classes around the place, and the first parameters of the methods around it.
    classes: Vec<String>,
    methods: Vec<Option<String>>,
    /// How many functions and classes are around the place, and how many `try` blocks.
    depth: usize,
    tries: usize,
}

impl<'a, 'f> Rewrite<'a, 'f> {
    pub(super) fn new(
        source: &'a Source,
        tokens: &'a Tokens,
        facts: &'f Facts<'a>,
        is_tool: &'f dyn Fn(&str) -> bool,
        imports: &'f [String],
    ) -> Self {
        Self {
            source,
            tokens,
            facts,
            is_tool,
            imports,
            has_tools: false,
            later: HashSet::new(),
            edits: Edits::default(),
            pieces: BTreeSet::new(),
            problem: None,
            classes: Vec::new(),
            methods: Vec::new(),
            depth: 0,
            tries: 0,
        }
    }

    pub(super) fn program(&mut self, body: &'a [Stmt]) {
        body.iter().for_each(|stmt| self.visit_stmt(stmt));
        // The value of a program whose last statement is an assignment is what it assigned.
        let target = match body.last() {
            Some(Stmt::Assign(assign)) => assign.targets.last().and_then(name),
            Some(Stmt::AnnAssign(assign)) if assign.value.is_some() => name(&assign.target),
            Some(Stmt::AugAssign(assign)) => name(&assign.target),
            _ => None,
        };
        if let (Some(target), Some(last)) = (target, body.last()) {
            self.edits.insert(end(last), format!("\n{target}"));
        }
    }

    fn text(&self, node: &impl Ranged) -> &'a str {
        self.source.text.get(start(node)..end(node)).unwrap_or_default()
    }

    fn fail(&mut self, kind: &'static str, message: String, place: usize) {
        if self.problem.is_none() {
            self.problem = Some(Problem { kind, message, place });
        }
    }

    fn token(&self, from: usize, to: usize, kind: TokenKind) -> Option<(usize, usize)> {
        syntax::find_token(self.tokens, from, to, kind)
            .map(|range| (syntax::at(range.start()), syntax::at(range.end())))
    }

    fn protect(&mut self, bound: &str, place: usize) {
        if self.depth == 0 && (self.is_tool)(bound) {
            self.fail(
                "NameError",
                format!(
                    "Cannot assign to name '{bound}': doing this would erase the existing tool! \
                     Use another name for the result."
                ),
                place,
            );
        }
    }

    /// Whether a callback may call a tool.
    fn calls_tools(&self, call: &ExprCall) -> bool {
        let suspicious = |expr: &Expr| {
            syntax::any(expr, &|inner| match inner {
                Expr::Name(name) => {
                    (self.is_tool)(&name.id) || self.facts.state.calling.contains(name.id.as_str())
                }
                Expr::Attribute(attribute) => self.facts.state.calling.contains(attribute.attr.as_str()),
                _ => false,
            })
        };
        let callback = |expr: &Expr| match expr {
            Expr::Lambda(lambda) => suspicious(&lambda.body),
            Expr::Name(_) | Expr::Attribute(_) => suspicious(expr),
            Expr::Call(call) => call.arguments.args.iter().any(suspicious),
            _ => false,
        };
        call.arguments.args.iter().any(callback)
            || call.arguments.keywords.iter().any(|keyword| callback(&keyword.value))
    }

    /// `value.method(arguments)` → `function(value, arguments)`.
    fn as_function(&mut self, call: &'a ExprCall, attribute: &'a ExprAttribute, function: &str) {
        self.edits.insert(start(call), format!("{function}("));
        self.visit_expr(&attribute.value);
        if let Some((dot, _)) =
            self.token(end(attribute.value.as_ref()), start(&attribute.attr), TokenKind::Dot)
        {
            let empty = call.arguments.args.is_empty() && call.arguments.keywords.is_empty();
            self.edits.replace(dot, start(&call.arguments) + 1, if empty { "" } else { ", " });
        }
        self.arguments(call);
    }

    /// Wraps an attribute's value in a function and drops the attribute: `value.name` → `before value after`.
    fn instead_of_attribute(&mut self, attribute: &'a ExprAttribute, before: &str, after: &str) {
        self.edits.insert(start(attribute), before);
        self.visit_expr(&attribute.value);
        if let Some((dot, _)) =
            self.token(end(attribute.value.as_ref()), start(&attribute.attr), TokenKind::Dot)
        {
            self.edits.replace(dot, end(attribute), after);
        }
    }

    fn arguments(&mut self, call: &'a ExprCall) {
        let takes = last_name(&call.func).is_some_and(|name| CALLBACK_TAKERS.contains(&name));
        for (index, argument) in call.arguments.args.iter().enumerate() {
            if takes && index < 2 {
                self.callback(argument);
            } else {
                self.visit_expr(argument);
            }
        }
        for keyword in &call.arguments.keywords {
            if keyword
                .arg
                .as_ref()
                .is_some_and(|name| matches!(name.as_str(), "key" | "default" | "default_factory"))
            {
                self.callback(&keyword.value);
            } else {
                self.visit_expr(&keyword.value);
            }
        }
    }

    /// An expression that will be called: a method of a builtin type becomes a lambda.
    fn callback(&mut self, expr: &'a Expr) {
        if let Expr::Attribute(attribute) = expr
            && METHODS.contains(&attribute.attr.as_str())
            && !self.is_type(&attribute.value)
            && self.facts.module(&attribute.value).is_none()
            && !self.facts.state.properties.contains(attribute.attr.as_str())
            && (syntax::repeatable(&attribute.value) || matches!(*attribute.value, Expr::StringLiteral(_)))
        {
            self.edits.insert(start(expr), "(lambda *_mt_a, **_mt_k: ");
            self.visit_expr(&attribute.value);
            self.edits.insert(end(expr), "(*_mt_a, **_mt_k))");
            return;
        }
        self.visit_expr(expr);
    }

    fn is_type(&self, expr: &Expr) -> bool {
        name(expr).is_some_and(|name| {
            matches!(
                name,
                "str" | "list" | "dict" | "int" | "float" | "bytes" | "set" | "tuple" | "frozenset"
            ) && self.facts.is_builtin(name)
        })
    }

    fn import(&mut self, import: &'a StmtImport) {
        let mut parts = Vec::new();
        let mut changed = false;
        for alias in &import.names {
            let module = alias.name.as_str();
            let bound = alias
                .asname
                .as_ref()
                .map_or(module.split('.').next().unwrap_or_default(), |name| name.as_str());
            self.protect(bound, start(alias));
            match modules::provision(module) {
                Some(Provision::Native) => parts.push(format!("import {}", self.text(alias))),
                Some(Provision::Prelude(piece, object)) => {
                    changed = true;
                    self.pieces.insert(piece);
                    // `import urllib.parse` binds `urllib`.
                    let object = if alias.asname.is_none() {
                        object.split('.').next().unwrap_or(object)
                    } else {
                        object
                    };
                    // The interpreter's own package must not be hidden by a part of it.
                    if alias.asname.is_none() && module == "collections.abc" {
                        parts.push("import collections".to_owned());
                    } else {
                        parts.push(format!("{bound} = {object}"));
                    }
                }
                None => {
                    changed = true;
                    parts.push(self.missing(module, start(alias)));
                }
            }
        }
        if changed {
            self.edits.replace(start(import), end(import), parts.join("; "));
        }
    }

    fn import_from(&mut self, import: &'a StmtImportFrom) {
        let Some(module) = import.module.as_ref().map(|module| module.as_str()) else { return };
        if import.level > 0 {
            return;
        }
        for alias in &import.names {
            self.protect(alias.asname.as_ref().unwrap_or(&alias.name), start(alias));
        }
        let bind = |alias: &Alias, object: &str| {
            format!("{} = {object}.{}", alias.asname.as_ref().unwrap_or(&alias.name), alias.name)
        };
        let star = import.names.iter().any(|alias| alias.name.as_str() == "*");
        let parts: Vec<String> = match modules::provision(module) {
            Some(Provision::Native) if star => return,
            Some(Provision::Native) => {
                let mut native = Vec::new();
                let mut parts = Vec::new();
                for alias in &import.names {
                    let bound = alias.asname.as_ref().unwrap_or(&alias.name).as_str();
                    if let Some((piece, object)) = modules::added(module, &alias.name) {
                        self.pieces.insert(piece);
                        parts.push(bind(alias, object));
                    } else if module == "typing" && self.facts.read.contains(bound) {
                        self.pieces.insert("typing");
                        parts.push(bind(alias, "_mt_mod_typing"));
                    } else if module == "functools" && alias.name.as_str() == "cached_property" {
                        // A decorator of methods: it is gone with them.
                    } else if (module, alias.name.as_str()) == ("collections", "abc") {
                        self.pieces.insert("collections_abc");
                        parts.push(format!("{bound} = _mt_mod_collections_abc"));
                    } else {
                        native.push(self.text(alias).to_owned());
                    }
                }
                if parts.is_empty() && native.len() == import.names.len() {
                    return;
                }
                if !native.is_empty() {
                    parts.insert(0, format!("from {module} import {}", native.join(", ")));
                }
                if parts.is_empty() {
                    parts.push("pass".to_owned());
                }
                parts
            }
            Some(Provision::Prelude(piece, object)) => {
                self.pieces.insert(piece);
                if star {
                    self.fail(
                        "NotImplementedError",
                        format!(
                            "`from {module} import *` is not supported here: import the names that you need"
                        ),
                        start(import),
                    );
                }
                import.names.iter().map(|alias| bind(alias, object)).collect()
            }
            None => vec![self.missing(module, start(import))],
        };
        self.edits.replace(start(import), end(import), parts.join("; "));
    }

    /// What stands for the import of a module that there is not.
    fn missing(&mut self, module: &str, place: usize) -> String {
        let mut authorized: Vec<&str> = modules::AVAILABLE.to_vec();
        authorized.extend(self.imports.iter().map(String::as_str));
        let listed = authorized.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
        let message = format!(
            "Import of {module} is not allowed. Authorized imports are: [{listed}]. {}",
            modules::way_around(module)
        );
        if self.tries == 0 {
            self.fail("ModuleNotFoundError", message, place);
            return "pass".to_owned();
        }
        // The program may be ready for this.
        format!("raise ModuleNotFoundError({})", super::literal(&message))
    }

    fn delete(&mut self, stmt: &'a StmtDelete) {
        let mut targets = Vec::new();
        flatten(&stmt.targets, &mut targets);
        let place = start(stmt);
        let subscripts = targets.iter().all(|target| matches!(target, Expr::Subscript(_)));
        if let [Expr::Subscript(_)] = targets.as_slice() {
            // One target: in place, with what else has to be changed in it.
            if let Some(Expr::Subscript(inner)) = stmt.targets.first() {
                self.pieces.insert("builtins");
                self.edits.replace(place, start(inner), "_mt_del(");
                self.visit_expr(&inner.value);
                if let Some((open, after)) =
                    self.token(end(inner.value.as_ref()), start(inner.slice.as_ref()) + 1, TokenKind::Lsqb)
                {
                    self.edits.replace(open, after, ", ");
                    self.index(&inner.slice);
                    self.edits.replace(end(inner.slice.as_ref()), end(stmt), ")");
                }
                return;
            }
        }
        let mut lines = Vec::new();
        for target in targets {
            match target {
                Expr::Subscript(inner) => {
                    self.pieces.insert("builtins");
                    let index = match inner.slice.as_ref() {
                        Expr::Slice(_) => slice_text(&inner.slice, &|node| self.text(node).to_owned()),
                        other => format!("({})", self.text(other)),
                    };
                    lines.push(format!("_mt_del({}, {index})", self.text(inner.value.as_ref())));
                }
                Expr::Name(name) => {
                    // The end of a handler unbinds its name: the one statement of the interpreter that does.
                    lines.push("try:".to_owned());
                    lines.push(format!("    {}; raise StopIteration", name.id));
                    lines.push(format!("except StopIteration as {}: pass", name.id));
                }
                Expr::Attribute(attribute) => {
                    self.pieces.insert("builtins");
                    lines.push(format!(
                        "_mt_delattr({}, '{}')",
                        self.text(attribute.value.as_ref()),
                        attribute.attr
                    ));
                }
                _ => return,
            }
        }
        if subscripts {
            self.edits.replace(place, end(stmt), lines.join("; "));
            return;
        }
        let alone = self.source.starts_line(place)
            && self.source.text.get(end(stmt)..).is_some_and(|rest| {
                rest.lines().next().is_none_or(|line| {
                    let line = line.trim_start();
                    line.is_empty() || line.starts_with('#')
                })
            });
        if !alone && lines.iter().any(|line| line == "try:") {
            self.fail(
                "NotImplementedError",
                "`del name` must stand on a line of its own here".to_owned(),
                place,
            );
            return;
        }
        let indent = self.source.indent_at(place).to_owned();
        self.edits.replace(place, end(stmt), lines.join(&format!("\n{indent}")));
    }

    /// An index as a function's argument.
    fn index(&mut self, slice: &'a Expr) {
        if let Expr::Slice(_) = slice {
            let text = slice_text(slice, &|node| self.text(node).to_owned());
            self.edits.replace(start(slice), end(slice), text);
        } else if let Expr::Tuple(_) = slice {
            self.edits.insert(start(slice), "(");
            self.visit_expr(slice);
            self.edits.insert(end(slice), ")");
        } else {
            self.visit_expr(slice);
        }
    }

    fn function(&mut self, stmt: &'a Stmt, function: &'a StmtFunctionDef) {
        self.protect(&function.name, start(function));
        let in_class = self.classes.last().is_some() && self.methods.len() < self.classes.len();
        if in_class {
            let first = function.parameters.iter().next().map(|parameter| parameter.name().to_string());
            self.methods.push(first);
        }
        self.depth += 1;
        if in_class && !function.decorator_list.is_empty() {
            self.method(function);
            self.visit_parameters(&function.parameters);
            function.body.iter().for_each(|stmt| self.visit_stmt(stmt));
            self.after_method(function);
        } else {
            // `@function.register`: the type is in the annotation, which is gone when the program runs.
            let first = function.parameters.iter().next().and_then(|parameter| parameter.annotation());
            for decorator in &function.decorator_list {
                if let (Expr::Attribute(attribute), Some(first)) = (&decorator.expression, first)
                    && attribute.attr.as_str() == "register"
                {
                    self.edits.insert(end(decorator), format!("({})", self.text(first)));
                }
            }
            walk_stmt(self, stmt);
        }
        self.depth -= 1;
        if in_class {
            self.methods.pop();
        }
    }

    /// Takes the decorators off a method.
    fn method(&mut self, function: &'a StmtFunctionDef) {
        for decorator in &function.decorator_list {
            self.edits.replace(start(decorator), end(decorator), "");
        }
        let member = member_name(function);
        if member != function.name.as_str() {
            let member = match kind(function) {
                Some((Kind::CachedProperty, _)) => format!("_mt_raw_{}", function.name),
                _ => member,
            };
            self.edits.replace(start(&function.name), end(&function.name), member);
        }
    }

    /// Says after a method what its decorators make of it.
    fn after_method(&mut self, function: &'a StmtFunctionDef) {
        let indent = self.source.indent_at(start(function)).to_owned();
        let member = member_name(function);
        let mut lines = Vec::new();
        for decorator in function.decorator_list.iter().rev() {
            let known = last_name(&decorator.expression);
            match known {
                Some(
                    "property" | "abstractproperty" | "setter" | "getter" | "deleter" | "abstractmethod"
                    | "override" | "final" | "classmethod" | "overload",
                ) => {}
                Some("staticmethod") => {
                    self.pieces.insert("classes");
                    lines.push(format!("{member} = _mt_Static({member})"));
                }
                Some("cached_property") => {
                    self.pieces.insert("classes");
                    lines.push(format!("{member} = _mt_cached_property('{0}', _mt_raw_{0})", function.name));
                }
                _ => {
                    // An own decorator: what it gives is the member.
                    let mut text = self.text(&decorator.expression).to_owned();
                    if let Some((module, name)) = self.facts.resolve(match &decorator.expression {
                        Expr::Call(call) => &call.func,
                        other => other,
                    }) && matches!(&decorator.expression, Expr::Attribute(_))
                        && let Some((piece, object)) = modules::added(module, name)
                    {
                        self.pieces.insert(piece);
                        text = format!("{object}.{name}");
                    }
                    lines.push(format!("{member} = ({text})({member})"));
                }
            }
        }
        for line in lines {
            self.edits.insert(end(function), format!("\n{indent}{line}"));
        }
    }

    fn class(&mut self, class: &'a StmtClassDef) {
        self.protect(&class.name, start(class));
        let keyword = self
            .token(
                class.decorator_list.last().map_or(start(class), end),
                start(&class.name),
                TokenKind::Class,
            )
            .map_or(start(class), |found| found.0);
        let mut bases = Vec::new();
        let mut lower = false;
        let mut foreign = false;
        if let Some(arguments) = &class.arguments {
            for base in &arguments.args {
                let Some(last) = last_name(base) else {
                    foreign = true;
                    continue;
                };
                match last {
                    "object" | "Generic" | "Protocol" | "ABC" => {}
                    "Enum" | "IntEnum" | "StrEnum" | "NamedTuple" | "TypedDict" => {
                        bases.push(format!("_mt_{last}"))
                    }
                    _ => {
                        let text = match base {
                            Expr::Subscript(subscript) => self.text(subscript.value.as_ref()),
                            _ => self.text(base),
                        };
                        match self.facts.state.classes.get(last) {
                            Some(members) if name(base).is_some() => {
                                bases.push(format!("({text}, {})", tuple(members)));
                            }
                            _ => bases.push(text.to_owned()),
                        }
                    }
                }
            }
            for keyword in &arguments.keywords {
                let known = keyword.arg.as_ref().is_some_and(|name| match name.as_str() {
                    "metaclass" => last_name(&keyword.value) == Some("ABCMeta"),
                    "total" => true,
                    _ => false,
                });
                foreign |= !known;
            }
            // A metaclass stays where it is, for the interpreter to refuse.
            if !foreign {
                lower = !arguments.args.is_empty() || !arguments.keywords.is_empty();
            }
        }
        let methods: Vec<&StmtFunctionDef> = class
            .body
            .iter()
            .filter_map(|stmt| match stmt {
                Stmt::FunctionDef(function) => Some(function),
                _ => None,
            })
            .collect();
        lower |= methods
            .iter()
            .any(|method| kind(method).is_some_and(|(kind, is_abstract)| kind == Kind::Class || is_abstract));
        lower |= methods.iter().any(|method| method.name.as_str() == "__len__");
        self.ordered_dataclass(class);
        if lower && !foreign {
            self.pieces.insert("classes");
            let blank: Vec<String> = methods
                .iter()
                .filter(|method| kind(method).is_some_and(|(_, is_abstract)| is_abstract))
                .map(|method| method.name.to_string())
                .collect();
            let blank = if blank.is_empty() { String::new() } else { format!(", {}", tuple(&blank)) };
            let indent = self.source.indent_at(keyword);
            let call =
                format!("@_mt_class(({}), {}{blank})\n{indent}", joined(&bases), tuple(&members(class)));
            for decorator in &class.decorator_list {
                self.visit_decorator(decorator);
            }
            self.edits.insert(keyword, call);
        } else {
            for decorator in &class.decorator_list {
                self.visit_decorator(decorator);
            }
        }
        if methods.iter().any(|method| kind(method).is_some_and(|(kind, _)| kind != Kind::Plain)) {
            self.pieces.insert("classes");
        }
        if !foreign && let Some(arguments) = &class.arguments {
            self.edits.replace(start(arguments.as_ref()), end(arguments.as_ref()), "");
        }
        self.classes.push(class.name.to_string());
        self.depth += 1;
        for stmt in &class.body {
            self.visit_stmt(stmt);
        }
        self.depth -= 1;
        self.classes.pop();
    }

    /// `@dataclass(order=True)`: the interpreter's dataclasses have no order.
    fn ordered_dataclass(&mut self, class: &'a StmtClassDef) {
        for decorator in &class.decorator_list {
            if last_name(&decorator.expression) == Some("dataclass")
                && let Expr::Call(call) = &decorator.expression
                && let Some(keyword) = call.arguments.find_keyword("order")
            {
                self.pieces.insert("classes");
                let indent = self.source.indent_at(start(class));
                self.edits.insert(start(class), format!("@_mt_ordered\n{indent}"));
                self.edits.replace(start(keyword), end(keyword), "eq=True");
            }
        }
    }

    fn attempt(&mut self, stmt: &'a StmtTry) {
        self.tries += 1;
        stmt.body.iter().for_each(|stmt| self.visit_stmt(stmt));
        self.tries -= 1;
        for handler in &stmt.handlers {
            let ExceptHandler::ExceptHandler(handler) = handler;
            if let Some(name) = &handler.name {
                self.protect(name, start(handler));
            }
            if !self.facts.state.exceptions.is_empty() && !stmt.is_star {
                self.pieces.insert("classes");
                if let Some(types) = &handler.type_ {
                    let plain = match types.as_ref() {
                        Expr::Tuple(tuple) => tuple.elts.iter().all(|one| self.is_plain_exception(one)),
                        other => self.is_plain_exception(other),
                    };
                    if !plain {
                        self.edits.insert(start(types.as_ref()), "_mt_match(");
                        self.visit_expr(types);
                        self.edits.insert(end(types.as_ref()), ")");
                    }
                }
                if let (Some(name), Some(first)) = (&handler.name, handler.body.first()) {
                    let place = start(first);
                    let line = if self.source.starts_line(place) {
                        format!("{name} = _mt_caught({name})\n{}", self.source.indent_at(place))
                    } else {
                        format!("{name} = _mt_caught({name}); ")
                    };
                    self.edits.insert(place, line);
                }
            } else if let Some(types) = &handler.type_ {
                self.visit_expr(types);
            }
            handler.body.iter().for_each(|stmt| self.visit_stmt(stmt));
        }
        stmt.orelse.iter().for_each(|stmt| self.visit_stmt(stmt));
        stmt.finalbody.iter().for_each(|stmt| self.visit_stmt(stmt));
    }

    fn is_plain_exception(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Name(name) => {
                EXCEPTIONS.contains(&name.id.as_str()) && !self.facts.bound.contains(name.id.as_str())
            }
            Expr::Attribute(attribute) => {
                self.facts.module(&attribute.value).is_some()
                    && !self.facts.state.exceptions.contains(attribute.attr.as_str())
            }
            _ => false,
        }
    }

    fn augment(&mut self, stmt: &'a Stmt, assign: &'a StmtAugAssign) {
        if let Some(bound) = name(&assign.target) {
            self.protect(bound, start(stmt));
        }
        let operator = match assign.op {
            Operator::Add => "iadd",
            Operator::Sub => "isub",
            Operator::Mult => "imul",
            Operator::Div => "itruediv",
            Operator::BitOr => "ior",
            Operator::BitAnd => "iand",
            _ => "",
        };
        let own = !operator.is_empty() && self.facts.state.dunders.contains(&format!("__{operator}__"));
        let property = match assign.target.as_ref() {
            Expr::Attribute(attribute) => self.facts.state.properties.contains(attribute.attr.as_str()),
            _ => false,
        };
        if !(own || property) || !syntax::repeatable(&assign.target) {
            walk_stmt(self, stmt);
            return;
        }
        self.pieces.insert("classes");
        let target = self.text(assign.target.as_ref());
        let symbol = assign.op.as_str();
        if property && let Expr::Attribute(attribute) = assign.target.as_ref() {
            let (object, name) = (self.text(attribute.value.as_ref()), attribute.attr.as_str());
            let before = format!("_mt_set({object}, '{name}', _mt_get({object}, '{name}') {symbol} (");
            self.edits.replace(start(stmt), start(assign.value.as_ref()), before);
            self.visit_expr(&assign.value);
            self.edits.insert(end(stmt), "))");
        } else {
            self.edits.replace(
                start(stmt),
                start(assign.value.as_ref()),
                format!("{target} = _mt_{operator}({target}, ("),
            );
            self.visit_expr(&assign.value);
            self.edits.insert(end(stmt), "))");
        }
    }

    fn attribute(&mut self, expr: &'a Expr, attribute: &'a ExprAttribute) {
        let attr = attribute.attr.as_str();
        // `super().name`
        if let Expr::Call(call) = attribute.value.as_ref()
            && name(&call.func) == Some("super")
            && let Some(class) = self.classes.last()
        {
            let (class, instance) = match &*call.arguments.args {
                [class, instance] => (self.text(class).to_owned(), self.text(instance).to_owned()),
                _ => (
                    class.clone(),
                    self.methods.last().cloned().flatten().unwrap_or_else(|| "self".to_owned()),
                ),
            };
            self.pieces.insert("classes");
            self.edits.replace(start(expr), end(expr), format!("_mt_super({class}, {instance}, '{attr}')"));
            return;
        }
        if attribute.ctx != ExprContext::Load {
            walk_expr(self, expr);
            return;
        }
        if let Some(module) = self.facts.module(&attribute.value) {
            let found = modules::added(module, attr).or_else(|| {
                // The interpreter's typing forms take no arguments outside of annotations.
                (module == "typing").then_some(("typing", "_mt_mod_typing"))
            });
            if let Some((piece, object)) = found {
                self.pieces.insert(piece);
                self.edits.replace(start(attribute.value.as_ref()), end(attribute.value.as_ref()), object);
            }
            return;
        }
        // A method of a type, without an instance.
        if self.is_type(&attribute.value) {
            let types = self.text(attribute.value.as_ref());
            match (types, attr) {
                ("str", "maketrans") | ("int", "from_bytes") => {
                    self.pieces.insert("builtins");
                    self.edits.replace(start(expr), end(expr), format!("_mt_{attr}"));
                }
                _ if attr.starts_with("__") || attr.starts_with("from") => walk_expr(self, expr),
                _ => self.edits.replace(
                    start(expr),
                    end(expr),
                    format!("(lambda _mt_o, *_mt_a, **_mt_k: _mt_o.{attr}(*_mt_a, **_mt_k))"),
                ),
            }
            return;
        }
        if self.facts.state.properties.contains(attr) {
            self.pieces.insert("classes");
            self.instead_of_attribute(attribute, "_mt_get(", &format!(", '{attr}')"));
            return;
        }
        match attr {
            "__class__" => self.instead_of_attribute(attribute, "type(", ")"),
            "__name__" | "__qualname__"
                if !matches!(attribute.value.as_ref(), Expr::Call(call) if name(&call.func) == Some("type"))
                    && !matches!(attribute.value.as_ref(), Expr::Attribute(inner) if inner.attr.as_str() == "__class__") =>
            {
                self.pieces.insert("builtins");
                self.instead_of_attribute(attribute, "_mt_name(", ")");
            }
            "__dict__" => {
                self.pieces.insert("builtins");
                let names = tuple(&self.facts.state.attributes);
                self.instead_of_attribute(attribute, "_mt_vars(", &format!(", {names})"));
            }
            _ => walk_expr(self, expr),
        }
    }

    fn call(&mut self, expr: &'a Expr, call: &'a ExprCall) {
        let arguments = &call.arguments;
        if let Expr::Name(function) = call.func.as_ref()
            && self.facts.is_builtin(&function.id)
        {
            let ordered = self.facts.ordered();
            let replacement = match function.id.as_str() {
                "vars" | "dir" if arguments.args.len() == 1 => {
                    self.pieces.insert("builtins");
                    self.edits.replace(start(function), end(function), format!("_mt_{}", function.id));
                    self.arguments(call);
                    let names = tuple(&self.facts.state.attributes);
                    self.edits.insert(end(expr) - 1, format!(", {names}"));
                    return;
                }
                "sorted" | "min" | "max" if ordered || self.calls_tools(call) => {
                    Some(("order", format!("_mt_{}", function.id)))
                }
                "map" | "filter" if self.calls_tools(call) => Some(("order", format!("_mt_{}", function.id))),
                "print" => arguments
                    .find_keyword("file")
                    .is_some_and(|keyword| {
                        !matches!(last_name(&keyword.value), Some("stderr" | "stdout"))
                            && !keyword.value.is_none_literal_expr()
                    })
                    .then(|| ("builtins", "_mt_print".to_owned())),
                "next" => {
                    if let Some(Expr::Generator(generator)) = arguments.args.first() {
                        self.generator(generator);
                        for argument in arguments.args.iter().skip(1) {
                            self.visit_expr(argument);
                        }
                        return;
                    }
                    None
                }
                "bool"
                    if arguments.args.len() == 1
                        && ["__bool__", "__len__"]
                            .iter()
                            .any(|name| self.facts.state.dunders.contains(*name)) =>
                {
                    Some(("classes", "_mt_true".to_owned()))
                }
                "object" if arguments.args.is_empty() => Some(("builtins", "_mt_object".to_owned())),
                "bytes"
                    if arguments.args.first().is_some_and(|argument| {
                        !matches!(argument, Expr::NumberLiteral(_)) && !certainly_text(argument)
                    }) =>
                {
                    Some(("builtins", "_mt_bytes".to_owned()))
                }
                "type" if arguments.args.len() == 3 => Some(("classes", "_mt_type".to_owned())),
                exception if EXCEPTIONS.contains(&exception) && arguments.keywords.is_empty() => {
                    match &*arguments.args {
                        [] => {}
                        [one] if certainly_text(one) => {}
                        [one @ Expr::Starred(_)] => self.as_text(one, one, true),
                        [one] => self.as_text(one, one, false),
                        [first, .., last] => self.as_text(first, last, true),
                    }
                    return;
                }
                _ => None,
            };
            if let Some((piece, text)) = replacement {
                self.pieces.insert(piece);
                self.edits.replace(start(function), end(function), text);
                self.arguments(call);
                return;
            }
        }
        if let Some((module, function)) = self.facts.resolve(&call.func) {
            let custom = |names: &[&str]| names.iter().any(|name| arguments.find_keyword(name).is_some());
            let found = match (module, function) {
                ("json", "dumps" | "dump") if custom(&["default", "cls"]) => Some(("json", "_mt_mod_json")),
                ("json", "loads" | "load")
                    if custom(&["object_hook", "parse_float", "cls", "object_pairs_hook"]) =>
                {
                    Some(("json", "_mt_mod_json"))
                }
                ("re", "sub")
                    if arguments.find_argument_value("repl", 1).is_some_and(|repl| !certainly_text(repl)) =>
                {
                    Some(("re", "_mt_mod_re"))
                }
                _ => None,
            };
            if let Some((piece, object)) = found {
                let text = format!("{object}.{function}");
                self.pieces.insert(piece);
                self.edits.replace(start(call.func.as_ref()), end(call.func.as_ref()), text);
                self.arguments(call);
                return;
            }
        }
        if let Expr::Attribute(attribute) = call.func.as_ref()
            && self.facts.module(&attribute.value).is_none_or(|module| module == "datetime")
            && !self.is_type(&attribute.value)
        {
            let attr = attribute.attr.as_str();
            let own =
                self.facts.state.classes.values().any(|members| members.iter().any(|member| member == attr));
            if attr == "sort" && (self.facts.ordered() || self.calls_tools(call)) {
                self.pieces.insert("order");
                self.as_function(call, attribute, "_mt_sort");
                return;
            }
            if LACKING.contains(&attr) && !own {
                self.pieces.insert("builtins");
                self.as_function(call, attribute, &format!("_mt_{attr}"));
                return;
            }
            if (attr == "sub" || attr == "subn")
                && !own
                && arguments.args.len() > 1
                && arguments.args.first().is_some_and(|repl| attr == "subn" || !certainly_text(repl))
            {
                self.pieces.insert("re");
                self.as_function(call, attribute, &format!("_mt_pattern_{attr}"));
                return;
            }
        }
        if last_name(&call.func).is_some_and(|name| name == "gather") && self.has_tools {
            self.visit_expr(&call.func);
            for argument in &arguments.args {
                match argument {
                    Expr::Starred(starred) if starred.value.is_name_expr() => {
                        self.pieces.insert("await");
                        self.edits.insert(start(starred.value.as_ref()), "_mt_awaitables(");
                        self.visit_expr(argument);
                        self.edits.insert(end(argument), ")");
                    }
                    Expr::Name(_) => self.awaited(argument),
                    _ => self.visit_expr(argument),
                }
            }
            for keyword in &arguments.keywords {
                self.visit_expr(&keyword.value);
            }
            return;
        }
        self.visit_expr(&call.func);
        self.arguments(call);
    }

    fn awaited(&mut self, expr: &'a Expr) {
        self.pieces.insert("await");
        self.edits.insert(start(expr), "_mt_awaitable(");
        self.visit_expr(expr);
        self.edits.insert(end(expr), ")");
    }

    /// Makes one text of an exception's arguments: the interpreter's exceptions carry nothing else.
    fn as_text(&mut self, first: &'a Expr, last: &'a Expr, several: bool) {
        let (before, after) = if several { ("str((", ",))") } else { ("str(", ")") };
        self.edits.insert(start(first), before);
        if start(first) == start(last) {
            self.visit_expr(first);
        }
        self.edits.insert(end(last), after);
    }

    /// A generator expression that is advanced by hand.
    fn generator(&mut self, generator: &'a ExprGenerator) {
        let plain = |expr: &Expr| {
            !syntax::any(expr, &|inner| {
                matches!(inner, Expr::Await(_) | Expr::Named(_) | Expr::Yield(_) | Expr::YieldFrom(_))
                    || matches!(inner, Expr::Call(call) if name(&call.func).is_some_and(|name| {
                        (self.is_tool)(name) || self.facts.state.calling.contains(name)
                    }))
            })
        };
        let open = usize::from(generator.parenthesized);
        let (from, to) = (start(generator), end(generator));
        if let [part] = generator.generators.as_slice()
            && let Some(target) = name(&part.target)
            && !part.is_async
            && plain(&generator.elt)
            && part.ifs.iter().all(plain)
            && let Some((f, _)) = self.token(end(generator.elt.as_ref()), start(&part.target), TokenKind::For)
            && let Some((_, i)) = self.token(end(&part.target), start(&part.iter), TokenKind::In)
        {
            self.pieces.insert("generators");
            if open == 1 {
                self.edits.insert(from, "_mt_lazy");
                self.edits.insert(from + 1, format!("lambda {target}: "));
            } else {
                self.edits.insert(from, format!("_mt_lazy(lambda {target}: "));
            }
            self.visit_expr(&generator.elt);
            self.edits.replace(f, i, ",");
            self.visit_expr(&part.iter);
            let mut last = end(&part.iter);
            for condition in &part.ifs {
                if let Some((from, to)) = self.token(last, start(condition), TokenKind::If) {
                    self.edits.replace(from, to, format!(", lambda {target}:"));
                }
                self.visit_expr(condition);
                last = end(condition);
            }
            if open == 0 {
                self.edits.insert(to, ")");
            }
            return;
        }
        self.edits.insert(from, if open == 1 { "iter(" } else { "iter((" });
        walk_expr_generator(self, generator);
        self.edits.insert(to, if open == 1 { ")" } else { "))" });
    }

    /// An expression that is asked whether it is true: the interpreter does not ask its class.
    fn truth(&mut self, expr: &'a Expr) {
        let asks = ["__bool__", "__len__"].iter().any(|name| self.facts.state.dunders.contains(*name));
        match expr {
            _ if !asks => self.visit_expr(expr),
            Expr::BoolOp(operation) => operation.values.iter().for_each(|value| self.truth(value)),
            Expr::Name(_) | Expr::Attribute(_) | Expr::Call(_) | Expr::Subscript(_) => {
                self.pieces.insert("classes");
                self.edits.insert(start(expr), "_mt_true(");
                self.visit_expr(expr);
                self.edits.insert(end(expr), ")");
            }
            _ => self.visit_expr(expr),
        }
    }

    fn compare(&mut self, expr: &'a Expr) {
        let Expr::Compare(compare) = expr else { return };
        let helper = match &*compare.ops {
            [CmpOp::Lt] => "_mt_lt",
            [CmpOp::Gt] => "_mt_gt",
            [CmpOp::LtE] => "_mt_le",
            [CmpOp::GtE] => "_mt_ge",
            _ => "",
        };
        let number = |expr: &Expr| matches!(expr, Expr::NumberLiteral(_) | Expr::StringLiteral(_));
        if let [left, right] = &*compare.operands
            && !helper.is_empty()
            && self.facts.ordered()
            && !(number(left) && number(right))
        {
            let kinds = [TokenKind::Less, TokenKind::Greater, TokenKind::LessEqual, TokenKind::GreaterEqual];
            let operator = syntax::tokens_in(self.tokens, end(left), start(right))
                .iter()
                .find(|token| kinds.contains(&token.kind()));
            if let Some(operator) = operator {
                let (from, to) = (start(operator), end(operator));
                self.pieces.insert("classes");
                self.edits.insert(start(expr), format!("{helper}("));
                self.visit_expr(left);
                self.edits.replace(from, to, ",");
                self.visit_expr(right);
                self.edits.insert(end(expr), ")");
                return;
            }
        }
        walk_expr(self, expr);
    }

    fn name_read(&mut self, expr: &'a Expr, id: &str) {
        if self.later.contains(&start(expr)) {
            self.edits.insert(start(expr), LATER);
            return;
        }
        if !self.facts.is_builtin(id) {
            return;
        }
        let state = &self.facts.state;
        let (piece, replacement) = match id {
            "isinstance" if state.inheritance => ("classes", "_mt_isinstance"),
            "issubclass" => ("classes", "_mt_issubclass"),
            "len" if state.dunders.contains("__len__") => ("classes", "_mt_len"),
            "hasattr" if !state.properties.is_empty() => ("classes", "_mt_hasattr"),
            "getattr" if !state.properties.is_empty() => ("classes", "_mt_getattr"),
            "setattr" if !state.properties.is_empty() => ("classes", "_mt_setattr"),
            "callable" => ("builtins", "_mt_callable"),
            "ascii" => ("builtins", "_mt_ascii"),
            "delattr" => ("builtins", "_mt_delattr"),
            "globals" => {
                self.edits.replace(start(expr), end(expr), "locals");
                return;
            }
            "memoryview" => ("", "bytes"),
            "IOError" | "EnvironmentError" => ("", "OSError"),
            _ => return,
        };
        if !piece.is_empty() {
            self.pieces.insert(piece);
        }
        self.edits.replace(start(expr), end(expr), replacement);
    }
}

/// Whether an expression is certainly a text.
fn certainly_text(expr: &Expr) -> bool {
    match expr {
        Expr::StringLiteral(_) | Expr::FString(_) => true,
        Expr::BinOp(operation) => certainly_text(&operation.left) || certainly_text(&operation.right),
        Expr::Call(call) => match call.func.as_ref() {
            Expr::Name(name) => matches!(name.id.as_str(), "str" | "repr"),
            Expr::Attribute(attribute) => {
                matches!(attribute.attr.as_str(), "format" | "join" | "strip" | "lower" | "upper" | "replace")
            }
            _ => false,
        },
        _ => false,
    }
}

fn flatten<'a>(exprs: &'a [Expr], out: &mut Vec<&'a Expr>) {
    for expr in exprs {
        match expr {
            Expr::Tuple(tuple) => flatten(&tuple.elts, out),
            Expr::List(list) => flatten(&list.elts, out),
            other => out.push(other),
        }
    }
}

fn slice_text(slice: &Expr, text: &dyn Fn(&Expr) -> String) -> String {
    let Expr::Slice(slice) = slice else { return text(slice) };
    let part = |part: &Option<Box<Expr>>| part.as_deref().map_or_else(|| "None".to_owned(), text);
    format!("slice({}, {}, {})", part(&slice.lower), part(&slice.upper), part(&slice.step))
}

/// A tuple of texts, as Python writes it.
fn tuple(names: &[String]) -> String {
    let parts: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    format!("({})", joined(&parts))
}

fn joined(parts: &[String]) -> String {
    let mut out = parts.join(", ");
    if parts.len() == 1 {
        out.push(',');
    }
    out
}

fn walk_expr_generator<'a>(visitor: &mut Rewrite<'a, '_>, generator: &'a ExprGenerator) {
    visitor.visit_expr(&generator.elt);
    for part in &generator.generators {
        visitor.visit_comprehension(part);
    }
}

impl<'a> SourceOrderVisitor<'a> for Rewrite<'a, '_> {
    // The interpreter does not evaluate annotations.
    fn visit_annotation(&mut self, _: &'a Expr) {}

    fn visit_interpolated_string_element(&mut self, element: &'a InterpolatedStringElement) {
        // `{x=}` shows its own text.
        if let InterpolatedStringElement::Interpolation(inner) = element
            && inner.debug_text.is_some()
        {
            return;
        }
        walk_interpolated_string_element(self, element);
    }

    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::Import(import) => self.import(import),
            Stmt::ImportFrom(import) => self.import_from(import),
            Stmt::Delete(delete) => self.delete(delete),
            Stmt::ClassDef(class) => self.class(class),
            Stmt::FunctionDef(function) => self.function(stmt, function),
            Stmt::Try(inner) => self.attempt(inner),
            Stmt::AugAssign(assign) => self.augment(stmt, assign),
            Stmt::Raise(raise) => match &raise.exc {
                Some(exception)
                    if !self.facts.state.exceptions.is_empty()
                        && !matches!(exception.as_ref(), Expr::Call(call) if self.is_plain_exception(&call.func)) =>
                {
                    self.pieces.insert("classes");
                    self.edits.insert(start(exception.as_ref()), "_mt_raise(");
                    self.visit_expr(exception);
                    self.edits.insert(end(exception.as_ref()), ")");
                }
                _ => walk_stmt(self, stmt),
            },
            Stmt::Assign(assign) => {
                if let [Expr::Attribute(attribute)] = &*assign.targets
                    && self.facts.state.properties.contains(attribute.attr.as_str())
                    && let Some((_, after)) =
                        self.token(end(attribute), start(assign.value.as_ref()), TokenKind::Equal)
                    && let Some((dot, _)) =
                        self.token(end(attribute.value.as_ref()), start(&attribute.attr), TokenKind::Dot)
                {
                    self.pieces.insert("classes");
                    self.edits.insert(start(stmt), "_mt_set(");
                    self.visit_expr(&attribute.value);
                    self.edits.replace(dot, after, format!(", '{}', (", attribute.attr));
                    self.visit_expr(&assign.value);
                    self.edits.insert(end(stmt), "))");
                    return;
                }
                for target in &assign.targets {
                    self.visit_expr(target);
                }
                match (&*assign.targets, assign.value.as_ref()) {
                    // A method that the program calls by its own name.
                    ([Expr::Name(target)], value @ Expr::Attribute(_))
                        if self.facts.called.contains(target.id.as_str()) =>
                    {
                        self.callback(value);
                    }
                    ([Expr::Name(target)], Expr::Generator(generator))
                        if self.facts.advanced.contains(target.id.as_str()) =>
                    {
                        self.generator(generator);
                    }
                    (_, value) => self.visit_expr(value),
                }
            }
            Stmt::With(with) if with.is_async => {
                if let Some((from, _)) = self.token(start(stmt), end(stmt), TokenKind::With) {
                    self.edits.replace(start(stmt), from, "");
                }
                walk_stmt(self, stmt);
            }
            Stmt::If(inner) => {
                self.truth(&inner.test);
                inner.body.iter().for_each(|stmt| self.visit_stmt(stmt));
                for clause in &inner.elif_else_clauses {
                    if let Some(test) = &clause.test {
                        self.truth(test);
                    }
                    clause.body.iter().for_each(|stmt| self.visit_stmt(stmt));
                }
            }
            Stmt::While(inner) => {
                self.truth(&inner.test);
                inner.body.iter().chain(&inner.orelse).for_each(|stmt| self.visit_stmt(stmt));
            }
            Stmt::TypeAlias(alias) => self.edits.replace(start(stmt), start(alias.name.as_ref()), ""),
            _ => walk_stmt(self, stmt),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Name(name) => match name.ctx {
                ExprContext::Load => self.name_read(expr, &name.id),
                ExprContext::Store => self.protect(&name.id, start(expr)),
                _ => {}
            },
            Expr::Attribute(attribute) => self.attribute(expr, attribute),
            Expr::Call(call) => self.call(expr, call),
            Expr::Compare(_) => self.compare(expr),
            Expr::If(inner) => {
                self.visit_expr(&inner.body);
                self.truth(&inner.test);
                self.visit_expr(&inner.orelse);
            }
            Expr::UnaryOp(inner) if inner.op == UnaryOp::Not => self.truth(&inner.operand),
            Expr::Await(inner)
                if self.has_tools
                    && matches!(*inner.value, Expr::Name(_) | Expr::Subscript(_) | Expr::Attribute(_)) =>
            {
                self.awaited(&inner.value);
            }
            Expr::Lambda(_)
            | Expr::ListComp(_)
            | Expr::SetComp(_)
            | Expr::DictComp(_)
            | Expr::Generator(_) => {
                self.depth += 1;
                walk_expr(self, expr);
                self.depth -= 1;
            }
            _ => walk_expr(self, expr),
        }
    }
}
