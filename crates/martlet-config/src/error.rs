//! What is wrong with a configuration.

use std::fmt;

use crate::origin::Origin;

/// One thing that is wrong, in one line: what, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    message: String,
    origin: Option<Origin>,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), origin: None }
    }

    pub(crate) fn at(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// Where it is, if it is at one place. The message says so, too.
    pub fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Why a configuration cannot be used.
pub struct ConfigError {
    problems: Vec<Problem>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ConfigError {
    pub(crate) fn all(problems: Vec<Problem>) -> Self {
        Self { problems, source: None }
    }

    pub(crate) fn caused(
        problem: Problem,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { problems: vec![problem], source: Some(source.into()) }
    }

    /// Everything that is wrong.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem], source: None }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.split_first() {
            None => f.write_str("the configuration cannot be used"),
            Some((first, [])) => write!(f, "{first}"),
            Some((first, more)) => {
                write!(f, "{first} (and {} more: `martlet config check` shows them all)", more.len())
            }
        }
    }
}

impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigError").field("problems", &self.problems).finish_non_exhaustive()
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// `did you mean …?` with the nearest of `known`; otherwise all of them, or that there are none.
pub(crate) fn instead<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match nearest(wrong, known.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "there is none".into(),
        None => format!("there are {}", list(&known)),
    }
}

/// The name that was probably meant, if one is near.
pub(crate) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_ascii_lowercase();
    let letters = wrong.chars().count();
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wrong, &name.to_ascii_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.chars().count().max(letters) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Names behind each other; many are cut.
pub(crate) fn list(names: &[&str]) -> String {
    const SHOWN: usize = 24;
    let mut shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
    if names.len() > SHOWN {
        shown.push("…".into());
    }
    shown.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_if_one_is_near() {
        assert_eq!(instead("modle", ["tools", "model"]), "did you mean `model`?");
        assert_eq!(instead("MODEL", ["model"]), "did you mean `model`?");
        assert_eq!(instead("colour", ["model", "tools"]), "there are `model`, `tools`");
        assert_eq!(instead("x", []), "there is none");
    }
}
