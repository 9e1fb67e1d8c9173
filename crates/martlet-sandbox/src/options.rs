//! What a session is opened with.

use std::sync::Arc;

use martlet_core::code::CodeLimits;
use martlet_core::tool::{FINAL_ANSWER, ToolSpec};

use crate::dialect;
use crate::error::{ErrorKind, SandboxError};

/// The names that mean something to Python before anybody defines them.
const BUILT_IN: [&str; 58] = [
    "abs",
    "all",
    "any",
    "ascii",
    "bin",
    "bool",
    "bytearray",
    "bytes",
    "callable",
    "chr",
    "classmethod",
    "complex",
    "dict",
    "dir",
    "divmod",
    "enumerate",
    "eval",
    "exec",
    "filter",
    "float",
    "format",
    "frozenset",
    "getattr",
    "globals",
    "hasattr",
    "hash",
    "hex",
    "id",
    "int",
    "isinstance",
    "issubclass",
    "iter",
    "len",
    "list",
    "locals",
    "map",
    "max",
    "min",
    "next",
    "object",
    "oct",
    "ord",
    "pow",
    "print",
    "property",
    "range",
    "repr",
    "reversed",
    "round",
    "set",
    "setattr",
    "sorted",
    "str",
    "sum",
    "super",
    "tuple",
    "type",
    "zip",
];

/// What the programs of a session may use, and how far they may go.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionOptions {
    /// The tools that programs may call.
    pub tools: Arc<[ToolSpec]>,
    /// How far a program may go.
    pub limits: CodeLimits,
    /// Modules that programs may import besides [`available_modules`](crate::available_modules).
    pub imports: Vec<String>,
}

impl SessionOptions {
    /// Options with these tools, the default limits and no further modules.
    pub fn new(tools: impl Into<Arc<[ToolSpec]>>) -> Self {
        Self { tools: tools.into(), limits: CodeLimits::default(), imports: Vec::new() }
    }

    /// Sets how far a program may go.
    pub fn limits(mut self, limits: CodeLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Allows more modules.
    ///
    /// # Errors
    /// Names the modules that do not exist here: allowing them would promise the model something that fails.
    pub fn imports<T: Into<String>>(
        mut self,
        imports: impl IntoIterator<Item = T>,
    ) -> Result<Self, SandboxError> {
        self.imports = imports.into_iter().map(Into::into).collect();
        self.check()?;
        Ok(self)
    }

    /// Whether programs can be given a variable of that name.
    ///
    /// # Errors
    /// Says what is wrong with the name: Python cannot read it, or a tool or a built-in function has it.
    pub fn check_variable(&self, name: &str) -> Result<(), String> {
        martlet_core::name::check(name)?;
        if name == FINAL_ANSWER || self.tools.iter().any(|tool| tool.name == name) {
            return Err("a tool has this name; choose another".into());
        }
        if BUILT_IN.contains(&name) {
            return Err("a built-in function of Python has this name; choose another".into());
        }
        Ok(())
    }

    /// Whether every module in [`imports`](Self::imports) exists here, and programs can call every tool.
    ///
    /// # Errors
    /// As [`imports`](Self::imports); and names the tool that has the name of a built-in function, which a
    /// program would call instead of it.
    pub fn check(&self) -> Result<(), SandboxError> {
        if let Some(tool) = self.tools.iter().find(|tool| BUILT_IN.contains(&tool.name.as_str())) {
            return Err(SandboxError::new(
                ErrorKind::Options,
                format!(
                    "the tool `{0}` has the name of a built-in function of Python, which programs would call instead \
                     of it; give it another name, such as `{0}_tool`",
                    tool.name
                ),
            ));
        }
        let missing: Vec<&str> =
            self.imports.iter().map(String::as_str).filter(|name| !exists(name)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(SandboxError::new(
            ErrorKind::Options,
            format!(
                "the Python sandbox has no module {}; leave it out of the allowed imports, or give the agent a \
                 tool for what it is needed for",
                missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            ),
        ))
    }
}

fn exists(name: &str) -> bool {
    dialect::available_modules().contains(&name) || monty::builtin_module_names().contains(&name)
}
