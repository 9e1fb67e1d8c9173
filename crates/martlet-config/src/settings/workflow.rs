//! `[workflows.NAME]`.

use std::collections::BTreeMap;
use std::fmt;

use indexmap::IndexMap;
use martlet::{AtMax, Expression, ForEachOrder, Join, NodeFailureKind, OnError, OnFailure, Reducer};
use serde::{Deserialize, Deserializer, de};
use serde_json::{Map, Value};

use super::{Rules, ordered, text_or_table};
use crate::duration::Time;

/// A workflow.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct WorkflowTable {
    /// What it does, for people and for other agents.
    pub description: String,
    /// The values with which the state begins, unless the run is given others; also where it is a node of another
    /// workflow, or an agent's.
    pub input: Map<String, Value>,
    /// An expression on the final state that gives the output. Default: the result of the last node, or an object of
    /// the results where the workflow ends in several.
    pub output: Option<Expression>,
    /// The nodes. Of those that could start, the earlier one starts first.
    #[serde(deserialize_with = "ordered")]
    pub nodes: IndexMap<String, NodeTable>,
    /// How a new value of a state key is joined with the one that is there.
    pub reducers: BTreeMap<String, Reducer>,
    /// Nodes, and copies of nodes, that run at the same time. Default: no limit.
    pub max_parallel: Option<usize>,
    /// The same for the nodes of a class.
    pub classes: BTreeMap<String, usize>,
    /// What the failure of a node does to those that do not depend on it. Default: `fail_fast`.
    pub on_failure: OnFailure,
    /// Tokens that all model calls may read and write together. Default: no limit.
    pub max_tokens: Option<u64>,
    /// The most time of a run, also as a node of a workflow that has no limit of its own. It does not count where an
    /// agent manages it. Default: no limit.
    pub timeout: Option<Time>,
    /// Which calls of its tools need a person, are allowed or refused; before those of the key `approvals` outside of all
    /// tables.
    pub approvals: Rules,
}

/// A node of a workflow. One of `agent`, `tool`, `workflow`, `value` and `template` says who does its work.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct NodeTable {
    /// An agent of the configuration.
    pub agent: Option<String>,
    /// A tool.
    pub tool: Option<String>,
    /// Another workflow.
    pub workflow: Option<String>,
    /// An expression: its value is the result.
    pub value: Option<Expression>,
    /// A template: the text that it makes is the result.
    pub template: Option<String>,
    /// What it does, for people.
    pub description: String,
    /// For an agent: its task, as a template.
    pub prompt: Option<String>,
    /// What it is given: names, and the expressions that give their values.
    #[serde(deserialize_with = "some_ordered")]
    pub input: Option<IndexMap<String, Expression>>,
    /// The state key that its result is written to. Default: its name.
    pub output_key: Option<String>,
    /// The nodes that it waits for.
    #[serde(deserialize_with = "one_or_more")]
    pub after: Vec<After>,
    /// When it starts. Default: when all edges are taken; where that depends on conditions, when those are done that are
    /// taken.
    pub join: Option<Join>,
    /// Whether some choice of branches may leave its join incomplete; it is skipped then. Default: no.
    pub may_skip: bool,
    /// How a failure is tried again: a number, or a table. Default: not.
    pub retry: Option<NodeRetry>,
    /// How long one attempt may take. Default: the limit of its agent or workflow, else none.
    pub timeout: Option<Time>,
    /// What a failure means. Default: `fail`.
    pub on_error: OnError,
    /// A class of nodes that share a limit.
    pub class: Option<String>,
    /// Copies for the items of a list: an expression, or a table.
    pub for_each: Option<ForEachTable>,
    /// Repetition.
    pub repeat: Option<RepeatTable>,
}

/// An edge that leads to a node: the name of the node before it, or a table with a condition.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct After {
    /// The node that it leaves.
    pub node: String,
    /// Taken if the expression holds.
    pub when: Option<Expression>,
    /// Taken if the expression holds and that of no earlier case of the same node does.
    pub case: Option<Expression>,
    /// Taken if no case of the same node is.
    pub otherwise: bool,
}

/// The table form of [`After`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AfterTable {
    node: String,
    #[serde(default)]
    when: Option<Expression>,
    #[serde(default)]
    case: Option<Expression>,
    #[serde(default)]
    otherwise: bool,
}

impl<'de> Deserialize<'de> for After {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_or_table(
            deserializer,
            "the name of a node, or { node = \"…\", when = \"…\" }",
            |node| Self { node, when: None, case: None, otherwise: false },
            |AfterTable { node, when, case, otherwise }| Self { node, when, case, otherwise },
        )
    }
}

/// How a failure is tried again.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct RetryFields {
    /// How many times more. Default: 0.
    pub count: u32,
    /// The wait before the first of them. Default: 0.5 s.
    pub backoff: Option<Time>,
    /// By how much each wait is longer than the one before. Default: 2.
    pub factor: Option<f64>,
    /// The longest wait. Default: 30 s.
    pub max_backoff: Option<Time>,
    /// The failures that are tried again. Default: `failed`, `timed_out`, `unavailable`.
    pub on: Option<Vec<NodeFailureKind>>,
}

/// [`RetryFields`], or their `count` alone.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeRetry(pub RetryFields);

impl<'de> Deserialize<'de> for NodeRetry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = RetryFields;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of attempts, or a table with `count`")
            }
            fn visit_u64<E: de::Error>(self, count: u64) -> Result<RetryFields, E> {
                let count = u32::try_from(count)
                    .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(count), &self))?;
                Ok(RetryFields { count, ..RetryFields::default() })
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<RetryFields, A::Error> {
                RetryFields::deserialize(de::value::MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_any(Visitor).map(Self)
    }
}

/// Copies of a node, one for each item of a list.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ForEachTable {
    /// The list: an expression on what the node is given.
    pub over: Expression,
    /// The name under which a copy finds its item. Default: `item`.
    pub name: Option<String>,
    /// Copies that run at the same time. Default: 16.
    pub max_parallel: Option<usize>,
    /// The order of the results: `items` or `finished`. Default: `items`.
    pub order: ForEachOrder,
}

/// The table form of [`ForEachTable`].
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForEachFields {
    over: Expression,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    max_parallel: Option<usize>,
    #[serde(default)]
    order: ForEachOrder,
}

impl<'de> Deserialize<'de> for ForEachTable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = text_or_table(
            deserializer,
            "an expression that gives a list, or { over = \"…\" }",
            |over| Expression::new(over).map(ForEachFields::new),
            Ok,
        )?;
        let ForEachFields { over, name, max_parallel, order } = fields.map_err(de::Error::custom)?;
        Ok(Self { over, name, max_parallel, order })
    }
}

impl ForEachFields {
    fn new(over: Expression) -> Self {
        Self { over, name: None, max_parallel: None, order: ForEachOrder::default() }
    }
}

/// Repetition of a node.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RepeatTable {
    /// Ends it once the expression holds on the state with the new result.
    pub until: Expression,
    /// The most times.
    pub max: u32,
    /// What it means when the condition does not hold after the last time: `complete` or `fail`. Default: `complete`.
    #[serde(default)]
    pub at_max: AtMax,
}

fn some_ordered<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<IndexMap<String, Expression>>, D::Error> {
    ordered(deserializer).map(Some)
}

/// A list, or the one thing that would be in it.
fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<After>, D::Error> {
    struct Visitor;
    impl<'de> de::Visitor<'de> for Visitor {
        type Value = Vec<After>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the name of a node, or a list of names and of tables with conditions")
        }
        fn visit_str<E: de::Error>(self, node: &str) -> Result<Self::Value, E> {
            Ok(vec![After { node: node.to_owned(), when: None, case: None, otherwise: false }])
        }
        fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(after) = items.next_element()? {
                all.push(after);
            }
            Ok(all)
        }
        fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            let AfterTable { node, when, case, otherwise } =
                AfterTable::deserialize(de::value::MapAccessDeserializer::new(map))?;
            Ok(vec![After { node, when, case, otherwise }])
        }
    }
    deserializer.deserialize_any(Visitor)
}
