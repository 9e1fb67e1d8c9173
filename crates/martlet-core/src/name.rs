//! Names of tools: which are valid, and which one was meant.

use crate::tool::{ToolFailure, ToolFailureKind};

/// Python's keywords: a tool of such a name could not be called from code.
const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// Providers refuse longer names.
const MAX_LENGTH: usize = 64;

/// Says what is wrong with the name of a tool: it must be one that Python can call and providers accept.
///
/// # Errors
/// What to do about it, as a fragment.
pub fn check(name: &str) -> Result<(), String> {
    let letters = name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    if name.is_empty() || !letters || name.starts_with(|first: char| first.is_ascii_digit()) {
        return Err("use letters, digits and `_`, and no digit at the start".into());
    }
    if name.len() > MAX_LENGTH {
        return Err(format!("use at most {MAX_LENGTH} characters"));
    }
    if KEYWORDS.contains(&name) {
        return Err("it is a keyword of Python, so that code could not call it".into());
    }
    Ok(())
}

/// The name among `known` that was probably meant by `wanted`, if one is near enough.
pub fn nearest<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = normal(wanted);
    // A third of the letters may be wrong (added, dropped, replaced, two of them swapped); with more the guess would
    // mislead.
    let limit = (wanted.chars().count() / 3).max(1);
    known
        .map(|name| (strsim::osa_distance(&wanted, &normal(name)), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// What a model is told that called a tool which does not exist: the one that was probably meant, or those that exist.
pub fn unknown<'a>(wanted: &str, known: impl Iterator<Item = &'a str> + Clone) -> ToolFailure {
    const SHOWN: usize = 30;
    let wanted: String = wanted.chars().take(80).collect();
    let mut message = format!("there is no tool `{wanted}`");
    let count = known.clone().count();
    if let Some(nearest) = nearest(&wanted, known.clone()) {
        message.push_str(&format!("; did you mean `{nearest}`?"));
    } else if count == 0 {
        message.push_str("; there are no tools at all");
    } else {
        let shown: Vec<String> = known.take(SHOWN).map(|name| format!("`{name}`")).collect();
        let more = if count > SHOWN { " and others" } else { "" };
        message.push_str(&format!("; use one of {}{more}", shown.join(", ")));
    }
    ToolFailure::new(ToolFailureKind::Unknown, message)
}

/// Models mix up `webSearch`, `web-search` and `web_search`, and put the name of a module in front.
fn normal(name: &str) -> String {
    let name = name.rsplit(['.', ':', '/']).next().unwrap_or(name);
    name.chars()
        .filter(|letter| letter.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .take(MAX_LENGTH)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_python_can_call() {
        for name in ["search", "_x", "web_search2", "match"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in ["", "2x", "web-search", "a b", "größe", "lambda", "None", &"x".repeat(65)] {
            assert!(check(name).is_err(), "{name}");
        }
    }

    #[test]
    fn the_name_that_was_meant_is_found() {
        let known = || ["web_search", "visit_page", "final_answer"].into_iter();
        assert_eq!(nearest("webSearch", known()), Some("web_search"));
        assert_eq!(nearest("tools.web-serch", known()), Some("web_search"));
        assert_eq!(nearest("finalanswer", known()), Some("final_answer"));
        assert_eq!(nearest("wirte", ["write"].into_iter()), Some("write"));
        assert_eq!(nearest("calculator", known()), None);
    }
}
