//! What is known of a program and of those before it in the session.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use ruff_python_ast::visitor::source_order::{SourceOrderVisitor, walk_expr, walk_stmt};
use ruff_python_ast::{ExceptHandler, Expr, Parameters, Stmt, StmtClassDef, StmtFunctionDef};

use super::syntax::{last_name, name};

/// What the dialect remembers of a session between its programs. It belongs into the session's saved state.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// The pieces of the prelude that the session was fed.
    pub(super) loaded: BTreeSet<String>,
    /// The members of the program's classes.
    pub(super) classes: BTreeMap<String, Vec<String>>,
    /// Classes of exceptions.
    pub(super) exceptions: BTreeSet<String>,
    /// Whether there are classes with bases.
    pub(super) inheritance: bool,
    /// The names of properties.
    pub(super) properties: BTreeSet<String>,
    /// The special methods that classes define.
    pub(super) dunders: BTreeSet<String>,
    /// Attributes that were ever assigned, in order: what an instance may have.
    pub(super) attributes: Vec<String>,
    /// Names of modules: what a name stands for.
    pub(super) modules: BTreeMap<String, String>,
    /// Names from modules: the module and the name there.
    pub(super) imported: BTreeMap<String, (String, String)>,
    /// Functions that call tools.
    pub(super) calling: BTreeSet<String>,
    /// Builtins that the program has given another meaning.
    pub(super) redefined: BTreeSet<String>,
}

/// The interpreter's classes of exceptions.
pub(super) const EXCEPTIONS: &[&str] = &[
    "ArithmeticError",
    "AssertionError",
    "AttributeError",
    "BaseException",
    "Exception",
    "FileExistsError",
    "FileNotFoundError",
    "ImportError",
    "IndexError",
    "IsADirectoryError",
    "KeyError",
    "KeyboardInterrupt",
    "LookupError",
    "MemoryError",
    "ModuleNotFoundError",
    "NameError",
    "NotADirectoryError",
    "NotImplementedError",
    "OSError",
    "OverflowError",
    "PermissionError",
    "RecursionError",
    "RuntimeError",
    "StopIteration",
    "SyntaxError",
    "SystemExit",
    "TimeoutError",
    "TypeError",
    "UnboundLocalError",
    "UnicodeDecodeError",
    "UnicodeEncodeError",
    "ValueError",
    "ZeroDivisionError",
    "IOError",
    "EnvironmentError",
];

/// What is known of one program, with what the session knew before.
pub(super) struct Facts<'a> {
    pub(super) state: State,
    /// Every name that the program binds anywhere.
    pub(super) bound: HashSet<&'a str>,
    /// Names that are read outside of annotations.
    pub(super) read: HashSet<&'a str>,
    /// Names that are called, and names that are given to `next`.
    pub(super) called: HashSet<&'a str>,
    pub(super) advanced: HashSet<&'a str>,
    /// Functions and what they call, to find those that call tools.
    functions: Vec<(&'a str, HashSet<&'a str>)>,
    inside: Vec<usize>,
}

impl<'a> Facts<'a> {
    pub(super) fn of(body: &'a [Stmt], state: &State, is_tool: &dyn Fn(&str) -> bool) -> Self {
        let mut facts = Self {
            state: state.clone(),
            bound: HashSet::new(),
            read: HashSet::new(),
            called: HashSet::new(),
            advanced: HashSet::new(),
            functions: Vec::new(),
            inside: Vec::new(),
        };
        body.iter().for_each(|stmt| facts.visit_stmt(stmt));
        loop {
            let mut changed = false;
            for (function, calls) in &facts.functions {
                if !facts.state.calling.contains(*function)
                    && calls.iter().any(|call| is_tool(call) || facts.state.calling.contains(*call))
                {
                    facts.state.calling.insert((*function).to_owned());
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
        for builtin in super::rewrite::BUILTINS {
            if facts.bound.contains(builtin) {
                facts.state.redefined.insert((*builtin).to_owned());
            }
        }
        facts
    }

    /// Whether a name is the builtin of that name.
    pub(super) fn is_builtin(&self, name: &str) -> bool {
        !self.bound.contains(name) && !self.state.redefined.contains(name)
    }

    /// The module that an expression stands for.
    pub(super) fn module(&self, expr: &Expr) -> Option<&str> {
        name(expr).and_then(|name| self.state.modules.get(name)).map(String::as_str)
    }

    /// The module and the name there that a function stands for.
    pub(super) fn resolve<'s>(&'s self, function: &'s Expr) -> Option<(&'s str, &'s str)> {
        match function {
            Expr::Attribute(attribute) => Some((self.module(&attribute.value)?, attribute.attr.as_str())),
            Expr::Name(name) => self
                .state
                .imported
                .get(name.id.as_str())
                .map(|(module, name)| (module.as_str(), name.as_str())),
            _ => None,
        }
    }

    /// Whether classes define their own order.
    pub(super) fn ordered(&self) -> bool {
        ["__lt__", "__gt__", "__le__", "__ge__"].iter().any(|name| self.state.dunders.contains(*name))
    }

    fn bind_parameters(&mut self, parameters: &'a Parameters) {
        for parameter in parameters {
            self.bound.insert(parameter.name().as_str());
        }
    }

    /// A name of a prelude's module whose classes have a length or an order, or are exceptions.
    fn borrowed(&mut self, name: &str) {
        match name {
            "OrderedDict" | "ChainMap" | "UserDict" | "UserList" | "array" => {
                self.state.dunders.insert("__len__".to_owned());
            }
            "cmp_to_key" | "Fraction" => {
                self.state.dunders.insert("__lt__".to_owned());
            }
            "StatisticsError" | "Empty" | "Full" => {
                self.state.exceptions.insert(name.to_owned());
            }
            _ => {}
        }
    }

    fn attribute(&mut self, name: &str) {
        if !self.state.attributes.iter().any(|known| known == name) {
            self.state.attributes.push(name.to_owned());
        }
    }

    fn class(&mut self, class: &'a StmtClassDef) {
        let members = members(class);
        for member in &members {
            if member.starts_with("__") && member.ends_with("__") {
                self.state.dunders.insert(member.clone());
            }
        }
        for stmt in &class.body {
            if let Stmt::FunctionDef(function) = stmt
                && let Some(Kind::Property | Kind::CachedProperty) = kind(function).map(|found| found.0)
            {
                self.state.properties.insert(function.name.to_string());
            }
        }
        for decorator in &class.decorator_list {
            match last_name(&decorator.expression) {
                Some("total_ordering") => {
                    self.state.dunders.insert("__lt__".to_owned());
                }
                Some("dataclass") => {
                    if let Expr::Call(call) = &decorator.expression
                        && call.arguments.find_keyword("order").is_some()
                    {
                        self.state.dunders.insert("__lt__".to_owned());
                    }
                    for stmt in &class.body {
                        if let Stmt::AnnAssign(field) = stmt
                            && let Some(name) = name(&field.target)
                        {
                            self.attribute(name);
                        }
                    }
                }
                _ => {}
            }
        }
        for base in class.arguments.iter().flat_map(|arguments| arguments.args.iter()) {
            let Some(base) = last_name(base) else { continue };
            match base {
                "Enum" | "IntEnum" | "StrEnum" | "Flag" | "IntFlag" => {
                    self.state.dunders.insert("__len__".to_owned());
                    if base != "Enum" {
                        self.state.dunders.insert("__lt__".to_owned());
                    }
                    self.state.inheritance = true;
                    self.attribute("name");
                    self.attribute("value");
                }
                "object" => {}
                _ => self.state.inheritance = true,
            }
            if EXCEPTIONS.contains(&base) || self.state.exceptions.contains(base) || base.ends_with("Error") {
                self.state.exceptions.insert(class.name.to_string());
            }
        }
        self.state.classes.insert(class.name.to_string(), members);
    }
}

/// What the decorators make of a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Plain,
    Property,
    CachedProperty,
    Setter,
    Deleter,
    Static,
    Class,
}

/// A method's kind, and whether it is abstract; `None` without decorators.
pub(super) fn kind(function: &StmtFunctionDef) -> Option<(Kind, bool)> {
    if function.decorator_list.is_empty() {
        return None;
    }
    let mut kind = Kind::Plain;
    let mut is_abstract = false;
    for decorator in &function.decorator_list {
        match last_name(&decorator.expression) {
            Some("property" | "abstractproperty") => kind = Kind::Property,
            Some("cached_property") => kind = Kind::CachedProperty,
            Some("staticmethod") => kind = Kind::Static,
            Some("classmethod") => kind = Kind::Class,
            Some("setter") => kind = Kind::Setter,
            Some("deleter") => kind = Kind::Deleter,
            Some("abstractmethod") => is_abstract = true,
            _ => {}
        }
    }
    Some((kind, is_abstract))
}

/// The member that a method becomes.
pub(super) fn member_name(function: &StmtFunctionDef) -> String {
    match kind(function).map(|found| found.0) {
        Some(Kind::Property | Kind::CachedProperty) => format!("_mt_get_{}", function.name),
        Some(Kind::Setter) => format!("_mt_set_{}", function.name),
        Some(Kind::Deleter) => format!("_mt_del_{}", function.name),
        Some(Kind::Class) => format!("_mt_cm_{}", function.name),
        _ => function.name.to_string(),
    }
}

/// The names of the members that a class body defines, in order.
pub(super) fn members(class: &StmtClassDef) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut add = |name: String| {
        if !out.contains(&name) {
            out.push(name);
        }
    };
    for stmt in &class.body {
        match stmt {
            Stmt::FunctionDef(function) => add(member_name(function)),
            Stmt::Assign(assign) => {
                assign.targets.iter().filter_map(name).for_each(|name| add(name.to_owned()))
            }
            Stmt::AnnAssign(assign) if assign.value.is_some() => {
                if let Some(name) = name(&assign.target) {
                    add(name.to_owned());
                }
            }
            _ => {}
        }
    }
    out
}

impl<'a> SourceOrderVisitor<'a> for Facts<'a> {
    fn visit_annotation(&mut self, _: &'a Expr) {}

    fn visit_stmt(&mut self, stmt: &'a Stmt) {
        match stmt {
            Stmt::FunctionDef(function) => {
                self.bound.insert(function.name.as_str());
                self.bind_parameters(&function.parameters);
                self.functions.push((function.name.as_str(), HashSet::new()));
                self.inside.push(self.functions.len() - 1);
                walk_stmt(self, stmt);
                self.inside.pop();
                return;
            }
            Stmt::ClassDef(class) => {
                self.bound.insert(class.name.as_str());
                self.class(class);
                // A class calls what its constructor calls.
                self.functions.push((class.name.as_str(), HashSet::new()));
                self.inside.push(self.functions.len() - 1);
                walk_stmt(self, stmt);
                self.inside.pop();
                return;
            }
            Stmt::Import(import) => {
                for alias in &import.names {
                    let module = alias.name.as_str();
                    let bound = alias
                        .asname
                        .as_ref()
                        .map_or_else(|| module.split('.').next().unwrap_or_default(), |name| name.as_str());
                    self.bound.insert(bound);
                    let stands_for = if alias.asname.is_some() { module } else { bound };
                    self.state.modules.insert(bound.to_owned(), stands_for.to_owned());
                }
            }
            Stmt::ImportFrom(import) => {
                let module = import.module.as_ref().map_or("", |module| module.as_str());
                for alias in &import.names {
                    let bound = alias.asname.as_ref().unwrap_or(&alias.name).as_str();
                    self.bound.insert(bound);
                    self.borrowed(&alias.name);
                    self.state.imported.insert(bound.to_owned(), (module.to_owned(), alias.name.to_string()));
                }
            }
            Stmt::Try(inner) => {
                for handler in &inner.handlers {
                    let ExceptHandler::ExceptHandler(handler) = handler;
                    if let Some(name) = &handler.name {
                        self.bound.insert(name.as_str());
                    }
                }
            }
            _ => {}
        }
        walk_stmt(self, stmt);
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Name(name) => {
                if name.ctx.is_load() {
                    self.read.insert(name.id.as_str());
                } else if name.ctx.is_store() {
                    self.bound.insert(name.id.as_str());
                }
            }
            Expr::Attribute(attribute)
                if attribute.ctx.is_load() && self.module(&attribute.value).is_some() =>
            {
                self.borrowed(attribute.attr.as_str());
            }
            Expr::Attribute(attribute) if attribute.ctx.is_store() => self.attribute(attribute.attr.as_str()),
            Expr::Lambda(lambda) => {
                if let Some(parameters) = &lambda.parameters {
                    self.bind_parameters(parameters);
                }
            }
            Expr::Call(call) => {
                if let Some(function) = name(&call.func) {
                    self.called.insert(function);
                    if function == "next"
                        && let Some(argument) = call.arguments.args.first().and_then(name)
                    {
                        self.advanced.insert(argument);
                    }
                }
                if let Some(function) = last_name(&call.func) {
                    for index in &self.inside {
                        if let Some((_, calls)) = self.functions.get_mut(*index) {
                            calls.insert(function);
                        }
                    }
                }
            }
            _ => {}
        }
        walk_expr(self, expr);
    }
}
