//! Imports. What the interpreter has is imported from it, what the prelude has is bound to the prelude's object, and
//! of anything else the model is told what there is; inside a `try` the program may be ready for that, and gets its
//! exception.

use ruff_python_ast::{Alias, StmtImport, StmtImportFrom};

use super::Rewrite;
use crate::dialect::literal;
use crate::dialect::modules::{self, Provision};
use crate::dialect::syntax::{end, start};

impl<'a> Rewrite<'a, '_> {
    pub(super) fn import(&mut self, import: &'a StmtImport) {
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

    pub(super) fn import_from(&mut self, import: &'a StmtImportFrom) {
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
        format!("raise ModuleNotFoundError({})", literal(&message))
    }
}
