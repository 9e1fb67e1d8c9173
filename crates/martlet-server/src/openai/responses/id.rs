//! The ids of responses: which run, and from where on.

use std::fmt;

use martlet_core::RunId;

/// The id of a response.
///
/// A run is one response, unless it asks a person: then that response ends with the question, and another one begins with
/// the answer. So a response is a range of the events of a run, and its id says where that begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResponseId {
    pub(super) run: RunId,
    /// The number of the last event before it.
    pub(super) after: u64,
    /// What people decided until then, in milliseconds since 1970-01-01 UTC, is what it begins with.
    pub(super) since_ms: u64,
}

impl ResponseId {
    /// The first response of a run.
    pub(super) fn first(run: &RunId) -> Self {
        Self { run: run.clone(), after: 0, since_ms: 0 }
    }

    /// Whether it goes on with a run behind an answer.
    pub(super) fn goes_on(&self) -> bool {
        self.after > 0
    }

    /// Reads an id; nothing if it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("resp_")?.split('_');
        let run = parts.next().filter(|stem| !stem.is_empty())?;
        let run = RunId::new(format!("run_{run}")).ok()?;
        let id = match (parts.next(), parts.next(), parts.next()) {
            (None, None, None) => Self::first(&run),
            (Some(after), Some(since_ms), None) => {
                Self { run, after: number(after)?, since_ms: number(since_ms)? }
            }
            _ => return None,
        };
        (id.to_string() == text).then_some(id)
    }

    /// The part of ids that all items of the run share.
    pub(super) fn stem(&self) -> &str {
        let name = self.run.as_str();
        name.strip_prefix("run_").unwrap_or(name)
    }
}

fn number(text: &str) -> Option<u64> {
    // Numbers beyond what a store can have come from nobody.
    text.parse().ok().filter(|number| (1..=i64::MAX as u64).contains(number))
}

impl fmt::Display for ResponseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "resp_{}", self.stem())?;
        if self.goes_on() {
            write!(f, "_{}_{}", self.after, self.since_ms)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_they_are_written() {
        let first = ResponseId::first(&RunId::from_bits(7));
        let second = ResponseId { after: 12, since_ms: 1_700_000_000_000, ..first.clone() };
        for id in [first, second] {
            assert_eq!(ResponseId::parse(&id.to_string()), Some(id));
        }
        for text in
            ["", "resp_", "run_7", "resp_7_1", "resp_7_0_1", "resp_7_01_1", "resp_7_1_1_1", "resp_a/b"]
        {
            assert_eq!(ResponseId::parse(text), None, "{text}");
        }
    }
}
