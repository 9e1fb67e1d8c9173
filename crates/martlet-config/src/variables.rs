//! The layer of the environment: `MARTLET_MODEL`, `MARTLET_AGENTS__WRITER__MAX_STEPS`.

use crate::error::{Problem, instead};
use crate::file::parse_value;
use crate::origin::Origin;
use crate::settings::{SERVER, TABLES, TOOLS, TOP};
use crate::tree::{Kind, Node};

const PREFIX: &str = "MARTLET_";

/// Sets what the variables say. Those that have other meanings (`MARTLET_MODEL_DIR`) have no `__` and are left alone.
pub(crate) fn overlay(
    tree: &mut Node,
    variables: impl IntoIterator<Item = (String, String)>,
    problems: &mut Vec<Problem>,
) {
    let mut ours: Vec<(String, String)> = variables
        .into_iter()
        .filter(|(name, text)| name.starts_with(PREFIX) && !text.trim().is_empty())
        .collect();
    // An outer table before what is in it, and the same every time.
    ours.sort();
    for (name, text) in ours {
        let Some(path) = name.strip_prefix(PREFIX) else { continue };
        let path = path.to_ascii_lowercase();
        let keys: Vec<&str> = path.split("__").collect();
        let known = match keys.as_slice() {
            [key] => TOP.contains(key),
            [SERVER, key] if !key.is_empty() => true,
            [TOOLS, tool, key] if !tool.is_empty() && !key.is_empty() => true,
            [first, ..] if TABLES.contains(first) && keys.iter().all(|key| !key.is_empty()) => true,
            [first, ..] => {
                let text = format!(
                    "the variable {name} sets nothing: `{first}` is no table; {}",
                    instead(first, TABLES.into_iter().chain([SERVER, TOOLS]))
                );
                problems.push(Problem::new(text).at(Origin::Variable(name.as_str().into())));
                false
            }
            [] => false,
        };
        if !known {
            continue;
        }
        let origin = Origin::Variable(name.as_str().into());
        let read = parse_value(&text, &origin).map(Box::new);
        tree.set(&keys, Node { kind: Kind::Variable { text, read }, origin });
    }
}
