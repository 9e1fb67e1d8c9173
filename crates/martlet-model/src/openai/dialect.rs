//! Which parameters a model understands.

use crate::profile::Server;

/// Which parameters a model understands. OpenAI's models refuse a request with one that they do not know,
/// so this is settled by a table, from the model's name, before anything is sent:
///
/// | at OpenAI and Azure | limit | `temperature`, `top_p` | `stop` |
/// |---|---|---|---|
/// | `o1…`, `o3…`, `o4…`, `gpt-5…` except `gpt-5-chat…` | `max_completion_tokens` | left out | left out, the client cuts |
/// | all others | `max_tokens` | sent | sent, at most 4; the client cuts at the others |
///
/// Every other server gets `max_tokens` and all parameters. An Azure deployment may have any name: say
/// [`Dialect::Reasoning`] where it hides such a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// All parameters, as of GPT-4o.
    Classic,
    /// Those of OpenAI's reasoning models.
    Reasoning,
}

impl Dialect {
    pub(super) fn of(model: &str, server: Server) -> Self {
        if !matches!(server, Server::OpenAi | Server::Azure) {
            return Self::Classic;
        }
        // Fine-tuned models are named `ft:base:organisation::id`.
        let model = model.strip_prefix("ft:").unwrap_or(model);
        let is = |family: &str| {
            model
                .strip_prefix(family)
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
        };
        if (is("o1") || is("o3") || is("o4") || is("gpt-5")) && !model.starts_with("gpt-5-chat") {
            Self::Reasoning
        } else {
            Self::Classic
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds() {
        for (model, expected) in [
            ("gpt-4o", Dialect::Classic),
            ("gpt-5", Dialect::Reasoning),
            ("gpt-5.1-mini", Dialect::Reasoning),
            ("gpt-5-chat-latest", Dialect::Classic),
            ("o3-mini", Dialect::Reasoning),
            ("o1", Dialect::Reasoning),
            ("ft:o4-mini:me::1", Dialect::Reasoning),
            ("o1x", Dialect::Classic),
            ("gpt-50", Dialect::Classic),
        ] {
            assert_eq!(Dialect::of(model, Server::OpenAi), expected, "{model}");
        }
        assert_eq!(Dialect::of("gpt-5", Server::Other), Dialect::Classic);
    }
}
