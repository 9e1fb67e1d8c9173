//! What can be set. Each struct is a table of the file, each field a key; `docs/configuration.md` lists them all.

mod agent;
mod approvals;
mod model;
mod server;
mod tools;
mod workflow;

pub use agent::{AgentTable, AnswerSchema, CodeTable, PromptSize, Text};
pub use approvals::Rules;
pub use model::{ModelTable, PriceTable, ProfileTable, RetryTable, Streamed, TimeoutsTable};
pub use server::{Address, AuthMode, InvalidAddress, ServerTable};
pub use tools::{SearchEngine, SearchTable, ToolsTable, VisitTable, WebTable};
pub use workflow::{After, ForEachTable, NodeRetry, NodeTable, RepeatTable, RetryFields, WorkflowTable};
#[cfg(test)]
pub(crate) use workflow::{AfterTable, ForEachFields};

use std::fmt;
use std::marker::PhantomData;

use indexmap::IndexMap;
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer};

use crate::decode::{decode, keys_of};
use crate::error::{Problem, instead};
use crate::tree::Node;

/// Everything that is set.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Settings {
    /// The model of agents that name none: one of `models`, or a name such as `openai/gpt-4o`.
    pub model: Option<String>,
    /// The agent that `martlet run` and `martlet chat` take unless they are told another.
    pub agent: Option<String>,
    /// Where Python runs: `worker` or `in-process`.
    pub sandbox: Option<String>,
    /// Which calls of all agents and workflows need a person; their own rules are tried first.
    pub approvals: Rules,
    /// What `martlet serve` does.
    pub server: ServerTable,
    /// How the tools work that need to be told.
    pub tools: ToolsTable,
    /// The models, by name.
    pub models: IndexMap<String, ModelTable>,
    /// The agents, by name.
    pub agents: IndexMap<String, AgentTable>,
    /// The workflows, by name.
    pub workflows: IndexMap<String, WorkflowTable>,
}

/// The keys outside of all tables.
pub(crate) const TOP: [&str; 4] = ["model", "agent", "sandbox", "approvals"];

/// The tables of which there is one each.
pub(crate) const SERVER: &str = "server";
pub(crate) const TOOLS: &str = "tools";

/// The tables whose keys are names that people choose.
pub(crate) const TABLES: [&str; 3] = ["models", "agents", "workflows"];

impl Settings {
    /// Reads what the files and variables say together. What is wrong is left out and told.
    pub(crate) fn read(tree: &Node) -> (Self, Vec<Problem>) {
        let mut settings = Self::default();
        let mut problems = Vec::new();
        for (key, entry) in tree.entries().into_iter().flatten() {
            let value = &entry.value;
            match key.as_str() {
                "model" => settings.model = kept(decode(value, &[key]), &mut problems),
                "agent" => settings.agent = kept(decode(value, &[key]), &mut problems),
                "sandbox" => settings.sandbox = kept(decode(value, &[key]), &mut problems),
                "approvals" => {
                    settings.approvals = kept(decode(value, &[key]), &mut problems).unwrap_or_default();
                }
                SERVER => settings.server = kept(decode(value, &[key]), &mut problems).unwrap_or_default(),
                TOOLS => settings.tools = kept(decode(value, &[key]), &mut problems).unwrap_or_default(),
                "models" => settings.models = named(value, key, &mut problems),
                "agents" => settings.agents = named(value, key, &mut problems),
                "workflows" => settings.workflows = named(value, key, &mut problems),
                _ => {
                    let known = TABLES.into_iter().chain([SERVER, TOOLS]).chain(TOP);
                    let text = format!("unknown key `{key}` ({}): {}", entry.origin, instead(key, known));
                    problems.push(Problem::new(text).at(entry.origin.clone()));
                }
            }
        }
        (settings, problems)
    }
}

fn kept<T>(read: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    read.map_err(|problem| problems.push(problem)).ok()
}

/// A table whose keys are names.
fn named<T: DeserializeOwned>(node: &Node, table: &str, problems: &mut Vec<Problem>) -> IndexMap<String, T> {
    let Some(entries) = node.entries() else {
        let text = format!("`{table}` ({}) should be tables: write [{table}.NAME]", node.origin);
        problems.push(Problem::new(text).at(node.origin.clone()));
        return IndexMap::new();
    };
    let mut all = IndexMap::with_capacity(entries.len());
    for (name, entry) in entries {
        if entry.value.entries().is_none() && keys_of::<T>().contains(&name.as_str()) {
            let text = format!(
                "`{name}` ({}) stands in [{table}] itself: it belongs into a table with a name, [{table}.NAME]",
                entry.origin
            );
            problems.push(Problem::new(text).at(entry.origin.clone()));
            continue;
        }
        if let Some(read) = kept(decode(&entry.value, &[table, name]), problems) {
            all.insert(name.clone(), read);
        }
    }
    all
}

/// A value that is a text, or a table.
fn text_or_table<'de, D: Deserializer<'de>, T, M: Deserialize<'de>>(
    deserializer: D,
    expected: &'static str,
    text: impl FnOnce(String) -> T,
    table: impl FnOnce(M) -> T,
) -> Result<T, D::Error> {
    struct Visitor<F, G, M>(&'static str, F, G, PhantomData<M>);
    impl<'de, T, M: Deserialize<'de>, F: FnOnce(String) -> T, G: FnOnce(M) -> T> de::Visitor<'de>
        for Visitor<F, G, M>
    {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            Ok((self.1)(text.to_owned()))
        }
        fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            M::deserialize(de::value::MapAccessDeserializer::new(map)).map(self.2)
        }
    }
    deserializer.deserialize_any(Visitor(expected, text, table, PhantomData))
}

/// A table whose keys are names, in its order.
fn ordered<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<IndexMap<String, T>, D::Error> {
    struct Visitor<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> de::Visitor<'de> for Visitor<T> {
        type Value = IndexMap<String, T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a table")
        }
        fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut all = IndexMap::new();
            while let Some((key, value)) = map.next_entry()? {
                all.insert(key, value);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_map(Visitor(PhantomData))
}
