//! What a node is given.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::expression::{Scope, Shared};
use super::spec::Name;
use super::state::State;
use crate::tool::display_value;

/// What a function of a graph is given: its mapped values, its item, and the state as it was when it started.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct NodeInput {
    /// The values of the node's `input_mapping`; `None` without one.
    pub values: Option<Map<String, Value>>,
    /// For a copy of a node: its item.
    pub item: Option<Item>,
    /// The state.
    pub state: State,
}

/// The item of a copy of a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The name under which the copy finds it.
    pub name: Name,
    /// Its place in the list, from 0.
    pub index: u32,
    /// The item.
    pub value: Arc<Value>,
}

impl NodeInput {
    /// A value by its name: the item, else one of the mapped values, else a state key.
    pub fn get(&self, name: &str) -> Option<&Value> {
        match &self.item {
            Some(item) if &*item.name == name => Some(&item.value),
            _ => self.values.as_ref().and_then(|values| values.get(name)).or_else(|| self.state.get(name)),
        }
    }

    /// The input as one JSON value, as a child run gets it: the item alone if there is nothing mapped, else an object
    /// of the mapped values (without a mapping: of the whole state) and the item.
    pub fn to_value(&self) -> Value {
        match (&self.values, &self.item) {
            (None, Some(item)) => (*item.value).clone(),
            (values, item) => {
                let mut object = values.clone().unwrap_or_else(|| self.state.to_object());
                if let Some(item) = item {
                    object.insert(item.name.to_string(), (*item.value).clone());
                }
                Value::Object(object)
            }
        }
    }
}

impl Scope for NodeInput {
    fn lookup(&self, name: &str) -> Option<Value> {
        self.get(name).cloned()
    }

    fn share(&self, name: &str) -> Option<Shared> {
        match &self.item {
            Some(item) if &*item.name == name => Some(item.value.clone().into()),
            _ => match self.values.as_ref().and_then(|values| values.get(name)) {
                Some(value) => Some(value.clone().into()),
                None => self.state.share(name),
            },
        }
    }

    fn names(&self) -> Vec<String> {
        let item = self.item.iter().map(|item| item.name.to_string());
        let values = self.values.iter().flat_map(Map::keys).cloned();
        item.chain(values).chain(Scope::names(&self.state)).collect()
    }
}

/// The task that an agent is given for an input, in a graph or outside: a text as it is; an object of one text: that
/// text; anything else as JSON.
pub fn task_text(input: &Value) -> String {
    match input {
        Value::Object(object) => match object.values().next() {
            Some(Value::String(text)) if object.len() == 1 => text.clone(),
            _ => input.to_string(),
        },
        other => display_value(other),
    }
}
