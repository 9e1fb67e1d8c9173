//! The work of a node: from the moment when its join is complete to its result, with copies, repetitions and retries.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::approvals::Leave;
use super::{GraphRun, Open, Purpose};
use crate::effect::{ChildEnd, Effect, Outcome, Timing};
use crate::event::EventKind;
use crate::graph::build::NodeIndex;
use crate::graph::expression::render;
use crate::graph::input::{Item, NodeInput};
use crate::graph::result::{EditedCall, NodeStatus, Repeated};
use crate::graph::spec::{
    AtMax, Condition, ForEach, ForEachOrder, NodeFailure, NodeFailureKind, NodeSpec, OnError, Work as Worker,
};
use crate::graph::state::State;
use crate::id::EffectId;
use crate::tool::{ToolFailure, ToolFailureKind, ToolSpec};

/// A node at work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Work {
    /// Slots that it holds.
    pub(super) running: u32,
    /// The state from which its input is made: as it was when the join was complete, so that waiting for a slot
    /// changes nothing.
    state: State,
    /// Attempts of what is not a copy; of a repetition, those of this time.
    attempt: u32,
    /// The calls that a person has approved, also for another attempt.
    pub(super) approved: BTreeSet<Option<u32>>,
    /// Those of them that were approved and did not go on yet.
    pub(super) resumed: BTreeSet<Option<u32>>,
    /// Those of them that were approved with other arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) edited: Vec<EditedCall>,
    copies: Option<Copies>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Copies {
    name: Arc<str>,
    items: Vec<Arc<Value>>,
    /// The next copy that was not begun.
    next: u32,
    done: u32,
    /// The results in their order.
    results: Vec<CopyResult>,
    order: ForEachOrder,
    attempts: BTreeMap<u32, u32>,
}

/// What a copy gave. This is no `Option`: in JSON a result of `null` would be read back as none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
enum CopyResult {
    /// Nothing: it is not done, or it is left out.
    #[default]
    Nothing,
    Value(Value),
}

impl Work {
    pub(super) fn copies_begun(&self) -> std::ops::Range<u32> {
        0..self.copies.as_ref().map_or(0, |copies| copies.next)
    }
}

pub(super) fn input_failure(problem: impl Into<String>) -> NodeFailure {
    NodeFailure::new(NodeFailureKind::Input, problem)
}

impl GraphRun {
    /// The join of a node is complete: queues its work.
    pub(super) fn ready(&mut self, node: NodeIndex) {
        let state = self.state.current().clone();
        let at_ms = self.timing.ended_ms();
        let spec = self.spec.clone();
        let Some(settings) = spec.node(node) else { return };
        let Some(run) = self.node_mut(node) else { return };
        run.status = NodeStatus::Queued;
        run.ready_ms = at_ms;
        run.cause = None;
        let copies = match &settings.for_each {
            None => None,
            Some(for_each) => match copies(for_each, &state) {
                Ok(copies) => Some(copies),
                Err(failure) => return self.failed(node, failure),
            },
        };
        run.items = copies.as_ref().map(|copies| u32::try_from(copies.items.len()).unwrap_or(u32::MAX));
        if copies.as_ref().is_some_and(|copies| copies.items.is_empty()) {
            return self.completed(node, Value::Array(Vec::new()), false);
        }
        let begun = copies.as_ref().map(|copies| copies.next);
        run.work = Some(Box::new(Work {
            running: 0,
            state,
            attempt: 0,
            approved: BTreeSet::new(),
            resumed: BTreeSet::new(),
            edited: Vec::new(),
            copies,
        }));
        match begun {
            None => self.enqueue(node, None),
            Some(begun) => (0..begun).for_each(|copy| self.enqueue(node, Some(copy))),
        }
    }

    /// A slot is there: begins an attempt.
    pub(super) fn start_work(&mut self, node: NodeIndex, copy: Option<u32>) {
        let spec = self.spec.clone();
        let name = spec.name(node);
        let now = self.now();
        let (Some(settings), Some(run)) = (spec.node(node), self.nodes.get_mut(node as usize)) else {
            return;
        };
        let Some(work) = run.work.as_deref_mut() else { return };
        if run.status == NodeStatus::Queued {
            run.timing = now;
        }
        run.status = NodeStatus::Running;
        work.running += 1;
        let approved = work.approved.contains(&copy);
        let begun = match (&mut work.copies, copy) {
            (Some(copies), Some(copy)) => copies.attempts.entry(copy).or_default(),
            _ => &mut work.attempt,
        };
        // After an approval the same attempt goes on.
        if !work.resumed.remove(&copy) {
            *begun += 1;
            run.attempts += 1;
            let attempt = *begun;
            self.emit(EventKind::NodeStarted { node: name, attempt, item: copy });
        }
        let made = self.make_effect(node, settings, copy).and_then(|effect| {
            // What a person has approved goes on without being asked about again.
            let leave = if approved { Leave::Given } else { self.leave(settings, &effect)? };
            Ok((leave, effect))
        });
        match made {
            Err(failure) => self.work_ended(node, copy, Err(failure)),
            Ok((Leave::Needed { reason }, effect)) => {
                // A person may take days: that holds no slot.
                self.release(node);
                self.ask_for_leave(node, copy, effect, reason);
            }
            Ok((Leave::Given, effect)) => {
                let given =
                    if let Effect::Child { input, .. } = &effect { Some(input.clone()) } else { None };
                let key = self.ask_for(node, effect, Purpose::Work { copy });
                if let (Some(input), Some(key)) = (given, key) {
                    let child = self.effect_id(key).child_run();
                    let (step, name) = (node.saturating_add(1), spec.name(node).to_string());
                    self.emit(EventKind::ChildStarted { step, name, child, input });
                }
            }
        }
    }

    pub(super) fn release(&mut self, node: NodeIndex) {
        if let Some(work) = self.node_mut(node).and_then(|run| run.work.as_deref_mut()) {
            work.running = work.running.saturating_sub(1);
            self.queue.release(node);
        }
    }

    fn make_effect(
        &self,
        node: NodeIndex,
        settings: &NodeSpec,
        copy: Option<u32>,
    ) -> Result<Effect, NodeFailure> {
        let input = self.make_input(node, settings, copy)?;
        let name = settings.name.clone();
        match &settings.work {
            Worker::Function => Ok(Effect::Function { name, input }),
            Worker::Tool { spec } => {
                let arguments = match self.edited_arguments(node, copy) {
                    Some(arguments) => arguments.clone(),
                    None => tool_arguments(spec, &input),
                };
                spec.validate(&arguments).map_err(|error| input_failure(error.to_string()))?;
                Ok(Effect::Tool { name: spec.name.clone(), arguments })
            }
            Worker::Agent | Worker::Graph => {
                let input = match &settings.prompt {
                    Some(prompt) => {
                        let text = render(prompt, &input).map_err(|error| {
                            input_failure(format!("its prompt cannot be filled in: {error}"))
                        })?;
                        Value::String(text)
                    }
                    None if input.values.is_some() || (copy.is_some() && settings.work == Worker::Agent) => {
                        input.to_value()
                    }
                    None => {
                        let mut values = self.inherited(node, settings, &input.state);
                        values.extend(input.item.map(|item| (item.name.to_string(), (*item.value).clone())));
                        Value::Object(values)
                    }
                };
                Ok(Effect::Child { name, input })
            }
        }
    }

    fn make_input(
        &self,
        node: NodeIndex,
        settings: &NodeSpec,
        copy: Option<u32>,
    ) -> Result<NodeInput, NodeFailure> {
        let work = self.nodes.get(node as usize).and_then(|run| run.work.as_deref());
        let item = work.and_then(|work| work.copies.as_ref()).zip(copy).and_then(|(copies, index)| {
            let value = copies.items.get(index as usize)?.clone();
            Some(Item { name: copies.name.clone(), index, value })
        });
        let state = work.map(|work| work.state.clone()).unwrap_or_default();
        let mut input = NodeInput { values: None, item, state };
        if let Some(mapping) = &settings.input_mapping {
            let values = mapping.iter().map(|(name, expression)| {
                let value = expression.evaluate(&input).map_err(|error| {
                    input_failure(format!(
                        "its input `{name}` cannot be made of `{}`: {error}",
                        expression.as_str()
                    ))
                })?;
                Ok((name.clone(), value))
            });
            input.values = Some(values.collect::<Result<Map<_, _>, NodeFailure>>()?);
        }
        Ok(input)
    }

    /// What a child run is given where nothing says what: the input of the graph, the results of the nodes above, and for
    /// a repetition its own last one. What runs beside it is left out, so that the child is given the same whichever is
    /// faster; and for a copy the list that its item is from.
    fn inherited(&self, node: NodeIndex, settings: &NodeSpec, state: &State) -> Map<String, Value> {
        let mut results: BTreeSet<&str> = BTreeSet::new();
        if self.nodes.get(node as usize).is_some_and(|run| run.repeated.is_some()) {
            results.insert(settings.output_key());
        }
        let mut seen: BTreeSet<NodeIndex> = BTreeSet::new();
        let mut below = vec![node];
        while let Some(node) = below.pop() {
            for edge in self.spec.incoming(node) {
                let Some((from, _)) = self.spec.ends(*edge) else { continue };
                if seen.insert(from) {
                    if self.status_of(from) == NodeStatus::Completed {
                        results.extend(self.spec.node(from).map(NodeSpec::output_key));
                    }
                    below.push(from);
                }
            }
        }
        let list = settings.for_each.as_ref().map(|for_each| for_each.over.as_str().trim());
        let keys: BTreeSet<&str> = results.iter().copied().chain(self.input.keys()).collect();
        keys.into_iter()
            .filter(|key| Some(*key) != list)
            .filter_map(|key| {
                let value = if results.contains(key) { state.get(key) } else { self.input.get(key) };
                Some((key.to_owned(), value?.clone()))
            })
            .collect()
    }

    /// Something that was open for a node has an outcome that fits it.
    pub(super) fn take_outcome(
        &mut self,
        node: NodeIndex,
        open: Open,
        outcome: Outcome,
        id: EffectId,
        timing: Timing,
    ) {
        match (open.purpose, outcome) {
            (Purpose::Work { copy }, Outcome::Child { end }) => {
                self.child_ended(node, &end, timing);
                self.work_ended(node, copy, end.result);
            }
            (Purpose::Work { copy }, Outcome::Function { result }) => self.work_ended(node, copy, result),
            (Purpose::Work { copy }, Outcome::Tool { result }) => {
                let failed = |failure| self.with_edit_told(node, copy, tool_failure(failure));
                self.work_ended(node, copy, result.map(|output| output.to_value()).map_err(failed));
            }
            (Purpose::Work { copy }, Outcome::TimedOut { limit_ms }) => {
                let message = format!("an attempt took longer than {limit_ms} ms and was stopped");
                self.work_ended(node, copy, Err(NodeFailure::new(NodeFailureKind::TimedOut, message)));
            }
            (Purpose::Approval { copy }, Outcome::Approve { decision }) => {
                let Effect::Approve { name, arguments } = open.effect else { return };
                self.leave_decided(node, copy, &id, name, arguments, decision);
            }
            (Purpose::Backoff { copy }, _) => self.enqueue(node, copy),
            (Purpose::Edge { edge }, Outcome::Decide { result }) => {
                let Effect::Decide { state, .. } = open.effect else { return };
                self.edge_decided(node, edge, result, &state);
            }
            (Purpose::Until, Outcome::Decide { result }) => self.until_decided(node, result),
            // Whether they fit was looked at before.
            _ => debug_assert!(false, "an outcome that does not fit {id}"),
        }
    }

    fn child_ended(&mut self, node: NodeIndex, end: &ChildEnd, timing: Timing) {
        self.usage += end.usage;
        if let Some(run) = self.node_mut(node) {
            run.usage += end.usage;
        }
        self.emit(EventKind::ChildEnded {
            step: node.saturating_add(1),
            name: self.spec.name(node).to_string(),
            child: end.run.clone(),
            error: end.result.as_ref().err().map(ToString::to_string),
            usage: end.usage,
            timing,
        });
    }

    /// An attempt is over.
    fn work_ended(&mut self, node: NodeIndex, copy: Option<u32>, result: Result<Value, NodeFailure>) {
        self.release(node);
        match (result, copy) {
            (Err(failure), _) => self.work_failed(node, copy, failure),
            (Ok(value), Some(copy)) => self.copy_done(node, copy, CopyResult::Value(value)),
            (Ok(value), None) if self.spec.node(node).is_some_and(|spec| spec.repeat.is_some()) => {
                self.time_done(node, value);
            }
            (Ok(value), None) => self.completed(node, value, false),
        }
    }

    /// An attempt failed: tries again, or takes it as what it means.
    pub(super) fn work_failed(&mut self, node: NodeIndex, copy: Option<u32>, failure: NodeFailure) {
        let spec = self.spec.clone();
        let (Some(settings), Some(run)) = (spec.node(node), self.nodes.get(node as usize)) else { return };
        let Some(work) = run.work.as_deref() else { return };
        let attempt = match (&work.copies, copy) {
            (Some(copies), Some(copy)) => copies.attempts.get(&copy).copied().unwrap_or_default(),
            _ => work.attempt,
        };
        let retry = &settings.retry;
        if attempt <= retry.count && retry.on.contains(&failure.kind) {
            let wait_ms = retry.wait_ms(attempt);
            self.emit(EventKind::NodeRetried {
                node: spec.name(node),
                attempt,
                item: copy,
                error: failure.message,
                wait_ms,
            });
            if wait_ms == 0 {
                self.enqueue(node, copy);
            } else {
                self.ask_for(node, Effect::Wait { ms: wait_ms }, Purpose::Backoff { copy });
            }
            return;
        }
        let Some(copy) = copy else { return self.failed(node, failure) };
        let failure = NodeFailure { message: format!("item {copy}: {}", failure.message), ..failure };
        let value = match settings.on_error {
            OnError::Fail => return self.failed(node, failure),
            OnError::Skip => CopyResult::Nothing,
            OnError::Continue => CopyResult::Value(Value::Null),
        };
        self.partial = true;
        if let Some(run) = self.node_mut(node) {
            run.error.get_or_insert(failure);
        }
        self.copy_done(node, copy, value);
    }

    /// A copy is done, with a result or without.
    fn copy_done(&mut self, node: NodeIndex, copy: u32, value: CopyResult) {
        let Some(work) = self.node_mut(node).and_then(|run| run.work.as_deref_mut()) else { return };
        let Some(copies) = &mut work.copies else { return };
        copies.done += 1;
        copies.attempts.remove(&copy);
        match copies.order {
            ForEachOrder::Items => {
                if let Some(place) = copies.results.get_mut(copy as usize) {
                    *place = value;
                }
            }
            ForEachOrder::Finished => copies.results.push(value),
        }
        let of = u32::try_from(copies.items.len()).unwrap_or(u32::MAX);
        let (done, next) = (copies.done, copies.next);
        if done == of {
            let results = std::mem::take(&mut copies.results).into_iter().filter_map(|result| match result {
                CopyResult::Nothing => None,
                CopyResult::Value(value) => Some(value),
            });
            let result = Value::Array(results.collect());
            self.emit(EventKind::NodeProgressed { node: self.spec.name(node), done, of });
            return self.completed(node, result, false);
        }
        if next < of {
            copies.next += 1;
            self.enqueue(node, Some(next));
        }
        self.emit(EventKind::NodeProgressed { node: self.spec.name(node), done, of });
    }

    /// One time of a repetition is done.
    fn time_done(&mut self, node: NodeIndex, value: Value) {
        let spec = self.spec.clone();
        let Some(repeat) = spec.node(node).and_then(|spec| spec.repeat.as_ref()) else { return };
        if let Err(failure) = self.write(node, value) {
            return self.failed(node, failure);
        }
        let name = spec.name(node);
        let Some(run) = self.node_mut(node) else { return };
        let repeated = run.repeated.get_or_insert_with(Repeated::default);
        repeated.times += 1;
        let done = repeated.times;
        self.emit(EventKind::NodeProgressed { node: name.clone(), done, of: repeat.max });
        let state = self.state.current().clone();
        match &repeat.until {
            Condition::Expression(expression) => {
                let result =
                    expression.holds(&state).map_err(|error| format!("`{}`: {error}", expression.as_str()));
                self.until_decided(node, result);
            }
            Condition::Host => {
                let condition = crate::effect::ConditionOf::Until { node: name.to_string() };
                self.ask_for(node, Effect::Decide { condition, state }, Purpose::Until);
            }
        }
    }

    fn until_decided(&mut self, node: NodeIndex, result: Result<bool, String>) {
        let spec = self.spec.clone();
        let state = self.state.current().clone();
        let Some(repeat) = spec.node(node).and_then(|spec| spec.repeat.as_ref()) else { return };
        let Some(run) = self.node_mut(node) else { return };
        let repeated = run.repeated.get_or_insert_with(Repeated::default);
        let met = match result {
            Ok(met) => met,
            Err(problem) => {
                let message = format!("the condition that ends its repetition: {problem}");
                return self.failed(node, NodeFailure::new(NodeFailureKind::Condition, message));
            }
        };
        repeated.met = met;
        if !met && repeated.times < repeat.max {
            if let Some(work) = run.work.as_deref_mut() {
                work.state = state;
                work.attempt = 0;
                work.approved.clear();
                work.edited.clear();
                self.enqueue(node, None);
            }
            return;
        }
        if !met && repeat.at_max == AtMax::Fail {
            let message = format!("its condition did not hold after {} times", repeat.max);
            return self.failed(node, NodeFailure::new(NodeFailureKind::Failed, message));
        }
        self.completed(node, Value::Null, true);
    }
}

/// One copy for each item of the list.
fn copies(for_each: &ForEach, state: &State) -> Result<Copies, NodeFailure> {
    let source = for_each.over.as_str();
    let items = match for_each.over.evaluate(state) {
        Ok(Value::Array(items)) => items,
        Ok(other) => {
            let kind = match other {
                Value::Null => "null",
                Value::Bool(_) => "a truth value",
                Value::Number(_) => "a number",
                Value::String(_) => "a text",
                _ => "an object",
            };
            return Err(input_failure(format!("`{source}` is {kind}; `for_each` needs a list")));
        }
        Err(error) => return Err(input_failure(format!("the list `{source}` of `for_each`: {error}"))),
    };
    let window = u32::try_from(for_each.max_parallel.clamp(1, items.len().max(1))).unwrap_or(u32::MAX);
    let results = match for_each.order {
        ForEachOrder::Items => vec![CopyResult::Nothing; items.len()],
        ForEachOrder::Finished => Vec::with_capacity(items.len()),
    };
    Ok(Copies {
        name: for_each.name.as_str().into(),
        items: items.into_iter().map(Arc::new).collect(),
        next: window,
        done: 0,
        results,
        order: for_each.order,
        attempts: BTreeMap::new(),
    })
}

/// The arguments of a tool: the mapped values; without a mapping an item that is an object, or those of the tool's
/// parameters that the item or the state has.
fn tool_arguments(spec: &ToolSpec, input: &NodeInput) -> Map<String, Value> {
    let is_parameter = |name: &str| spec.parameter_names().any(|known| known == name);
    if let Some(values) = &input.values {
        let mut arguments = values.clone();
        if let Some(item) = input.item.as_ref().filter(|item| is_parameter(&item.name)) {
            arguments.entry(item.name.to_string()).or_insert_with(|| (*item.value).clone());
        }
        return arguments;
    }
    match &input.item {
        Some(item) => match &*item.value {
            Value::Object(object) => object.clone(),
            value => {
                let name = spec.parameter_names().next().unwrap_or(&item.name);
                Map::from_iter([(name.to_owned(), value.clone())])
            }
        },
        None => spec
            .parameter_names()
            .filter_map(|name| Some((name.to_owned(), input.state.get(name)?.clone())))
            .collect(),
    }
}

fn tool_failure(failure: ToolFailure) -> NodeFailure {
    let kind = match failure.kind {
        ToolFailureKind::Denied => NodeFailureKind::Denied,
        ToolFailureKind::Arguments => NodeFailureKind::Input,
        ToolFailureKind::TimedOut => NodeFailureKind::TimedOut,
        _ => NodeFailureKind::Failed,
    };
    NodeFailure::new(kind, failure.message)
}
