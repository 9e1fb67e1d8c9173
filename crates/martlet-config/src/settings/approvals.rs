//! `[[approvals]]`, at the top, of an agent or of a workflow.

use std::fmt;
use std::ops::Deref;

use martlet::ApprovalRule;
use serde::{Deserialize, Deserializer, de};

/// Approval rules in the order in which they are tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules(pub Vec<ApprovalRule>);

impl Deref for Rules {
    type Target = [ApprovalRule];

    fn deref(&self) -> &[ApprovalRule] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Rules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Rules;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of rules, each below a heading in two brackets, [[approvals]]")
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Rules, A::Error> {
                let mut rules = Vec::new();
                while let Some(rule) = items.next_element()? {
                    rules.push(rule);
                }
                Ok(Rules(rules))
            }
        }
        deserializer.deserialize_seq(Visitor)
    }
}
