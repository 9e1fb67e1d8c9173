//! Random graphs as plain data, which proptest can make smaller, and the world in which they run.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use martlet_core::graph::{
    AtMax, Condition, EdgeSpec, Expression, ForEach, ForEachOrder, GraphLimits, GraphSettings, Join,
    NodeFailure, NodeFailureKind, NodeSpec, OnError, OnFailure, Reducer, Repeat, Retry, When, Work,
};
use martlet_core::{
    ChildEnd, ConditionOf, Decision, Effect, GraphSpec, Outcome, RunId, ToolFailure, ToolFailureKind,
    ToolFlags, ToolOutput, ToolSpec, Usage,
};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
    pub(super) fail_fast: bool,
    pub(super) max_parallel: Option<usize>,
    pub(super) class_limit: Option<usize>,
    pub(super) tape: Vec<u8>,
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) worker: Worker,
    pub(super) join: Option<Join>,
    pub(super) on_error: OnError,
    pub(super) retry: Retry,
    pub(super) timeout: Option<u64>,
    pub(super) classed: bool,
    pub(super) copies: Option<Copies>,
    pub(super) repeat: Option<Times>,
    pub(super) key: Key,
    pub(super) input: Input,
    /// What its attempts take and give, over and over.
    pub(super) script: Vec<Attempt>,
    /// What a person decides on its calls, over and over, and how long it takes.
    pub(super) approvals: Vec<(u64, bool)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worker {
    Function,
    Agent,
    Tool,
    ApprovedTool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Copies {
    pub(super) items: usize,
    pub(super) window: usize,
    pub(super) as_finished: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) until: Until,
    pub(super) max: u32,
    pub(super) fail: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Until {
    /// An expression that holds at once.
    Yes,
    /// An expression that never holds.
    No,
    /// An expression that cannot be evaluated.
    Broken,
    /// The host says so when it is asked for that time.
    Host(u32),
    /// The host cannot tell.
    HostBroken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Own,
    Log,
    Sum,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    State,
    Mapped,
    Missing,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt {
    pub(super) ms: u64,
    pub(super) end: Ending,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Ok,
    Failed,
    Unavailable,
    Host,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) when: Taken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    Always,
    If(Says),
    Case(Says),
    Otherwise,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Says {
    /// How long the host takes for it, if it is the host's.
    pub(super) host: Option<u64>,
    pub(super) what: Truth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    Yes,
    No,
    Broken,
}

/// How long things take: long times hardly ever end at the same moment, short ones often do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Clock {
    Fine,
    Coarse,
}

fn ms(clock: Clock) -> BoxedStrategy<u64> {
    match clock {
        Clock::Fine => (1_u64..100_000).boxed(),
        Clock::Coarse => (1_u64..4).boxed(),
    }
}

fn attempt(clock: Clock) -> impl Strategy<Value = Attempt> {
    let end = prop_oneof![
        7 => Just(Ending::Ok), 2 => Just(Ending::Failed), 1 => Just(Ending::Unavailable), 1 => Just(Ending::Host)
    ];
    (ms(clock), end).prop_map(|(ms, end)| Attempt { ms, end })
}

fn truth(clock: Clock) -> impl Strategy<Value = Says> {
    let what = prop_oneof![6 => Just(Truth::Yes), 4 => Just(Truth::No), 1 => Just(Truth::Broken)];
    (what, weighted(0.5, ms(clock))).prop_map(|(what, host)| Says { host, what })
}

fn taken(clock: Clock) -> impl Strategy<Value = Taken> {
    prop_oneof![
        5 => Just(Taken::Always),
        2 => truth(clock).prop_map(Taken::If),
        2 => truth(clock).prop_map(Taken::Case),
        1 => Just(Taken::Otherwise),
    ]
}

fn retry(clock: Clock) -> impl Strategy<Value = Retry> {
    let on = prop_oneof![
        3 => Just(Retry::default().on),
        1 => Just(Vec::new()),
        1 => Just(vec![NodeFailureKind::Failed]),
        1 => Just(vec![NodeFailureKind::TimedOut, NodeFailureKind::Denied]),
    ];
    let factor = prop_oneof![Just(1.0), Just(2.0), Just(3.0)];
    (prop_oneof![2 => Just(0_u32), 1 => 1..4_u32], ms(clock), factor, 1_u64..200_000, on).prop_map(
        |(count, backoff_ms, factor, max_backoff_ms, on)| Retry {
            count,
            backoff_ms,
            factor,
            max_backoff_ms,
            on,
        },
    )
}

fn join() -> impl Strategy<Value = Option<Join>> {
    prop_oneof![
        4 => Just(None),
        1 => Just(Some(Join::All)),
        1 => Just(Some(Join::AllTaken)),
        2 => Just(Some(Join::Any)),
        2 => (1..4_u32).prop_map(|m| Some(Join::NOf(m))),
        2 => Just(Some(Join::FirstOk)),
    ]
}

fn times() -> impl Strategy<Value = Times> {
    let until = prop_oneof![
        Just(Until::Yes),
        Just(Until::No),
        Just(Until::Broken),
        (1..4_u32).prop_map(Until::Host),
        Just(Until::HostBroken)
    ];
    (until, 1..4_u32, any::<bool>()).prop_map(|(until, max, fail)| Times { until, max, fail })
}

fn node(clock: Clock) -> impl Strategy<Value = Node> {
    let worker = prop_oneof![
        4 => Just(Worker::Function), 2 => Just(Worker::Agent), 1 => Just(Worker::Tool), 1 => Just(Worker::ApprovedTool)
    ];
    let on_error =
        prop_oneof![3 => Just(OnError::Fail), 1 => Just(OnError::Skip), 1 => Just(OnError::Continue)];
    let copies = (0..5_usize, 1..4_usize, any::<bool>()).prop_map(|(items, window, as_finished)| Copies {
        items,
        window,
        as_finished,
    });
    let key = prop_oneof![5 => Just(Key::Own), 1 => Just(Key::Log), 1 => Just(Key::Sum)];
    let input = prop_oneof![6 => Just(Input::State), 4 => Just(Input::Mapped), 1 => Just(Input::Missing)];
    (
        (worker, join(), on_error, retry(clock), weighted(0.2, ms(clock)), any::<bool>()),
        (weighted(0.25, copies), weighted(0.15, times()), key, input),
        (vec(attempt(clock), 1..5), vec((ms(clock), prop::bool::weighted(0.8)), 1..3)),
    )
        .prop_map(
            |(
                (worker, join, on_error, retry, timeout, classed),
                (copies, repeat, key, input),
                (script, approvals),
            )| {
                Node {
                    worker,
                    join,
                    on_error,
                    retry,
                    timeout,
                    classed,
                    copies,
                    repeat,
                    key,
                    input,
                    script,
                    approvals,
                }
            },
        )
}

/// Random graphs of up to ten nodes.
pub(super) fn case(clock: Clock) -> impl Strategy<Value = Case> {
    (
        vec(node(clock), 1..=10),
        vec((0..100_usize, 0..100_usize, taken(clock)), 0..16),
        any::<bool>(),
        vec(any::<u8>(), 1..20),
    )
        .prop_map(|(nodes, edges, fail_fast, tape)| {
            let mut case =
                Case { nodes, edges: Vec::new(), fail_fast, max_parallel: None, class_limit: None, tape };
            for (one, other, when) in edges {
                let (one, other) = (one % case.nodes.len(), other % case.nodes.len());
                let (from, to) = (one.min(other), one.max(other));
                if from != to && !case.edges.iter().any(|edge| (edge.from, edge.to) == (from, to)) {
                    case.edges.push(Edge { from, to, when });
                }
            }
            case.make_sensible();
            case
        })
}

/// The same with limits.
pub(super) fn limited(clock: Clock) -> impl Strategy<Value = Case> {
    (case(clock), weighted(0.8, 1..4_usize), weighted(0.6, 1..3_usize)).prop_map(
        |(mut case, max_parallel, class_limit)| {
            (case.max_parallel, case.class_limit) = (max_parallel, class_limit);
            case
        },
    )
}

pub(super) fn name(node: usize) -> String {
    format!("n{node}")
}

impl Case {
    /// Takes back what no graph may have, or what the model does not say.
    fn make_sensible(&mut self) {
        for from in 0..self.nodes.len() {
            let has_case =
                self.edges.iter().any(|edge| edge.from == from && matches!(edge.when, Taken::Case(_)));
            let mut otherwise = 0;
            for edge in
                self.edges.iter_mut().filter(|edge| edge.from == from && edge.when == Taken::Otherwise)
            {
                otherwise += 1;
                if !has_case || otherwise > 1 {
                    edge.when = Taken::Always;
                }
            }
        }
        for place in 0..self.nodes.len() {
            let inbound = u32::try_from(self.inbound(place).count()).unwrap();
            let node = &mut self.nodes[place];
            match &mut node.join {
                join if inbound == 0 => *join = None,
                Some(Join::NOf(m)) => *m = (*m).min(inbound),
                _ => {}
            }
            // A list, or a `null`, cannot be added to a number; a result that is written several times is no sum.
            // Either copies or repetitions.
            if node.copies.is_some() {
                node.repeat = None;
            }
            if node.copies.is_some() && node.key == Key::Sum
                || node.repeat.is_some()
                || node.on_error == OnError::Continue
            {
                node.key = Key::Own;
            }
        }
    }

    pub(super) fn inbound(&self, node: usize) -> impl Iterator<Item = usize> {
        self.edges.iter().enumerate().filter(move |(_, edge)| edge.to == node).map(|(place, _)| place)
    }

    pub(super) fn outbound(&self, node: usize) -> impl Iterator<Item = usize> {
        self.edges.iter().enumerate().filter(move |(_, edge)| edge.from == node).map(|(place, _)| place)
    }

    pub(super) fn key(&self, node: usize) -> String {
        match self.nodes[node].key {
            Key::Own => name(node),
            Key::Log => "log".into(),
            Key::Sum => "sum".into(),
        }
    }

    /// The values that the state begins with.
    pub(super) fn input(&self) -> Map<String, Value> {
        let mut input = Map::from_iter([("yes".into(), json!(true)), ("no".into(), json!(false))]);
        for items in 0..5_usize {
            input.insert(format!("items{items}"), (0..items).collect());
        }
        input
    }

    /// The checked graph; `None` if it is refused.
    pub(super) fn spec(&self) -> Option<Arc<GraphSpec>> {
        let mut settings = self.settings();
        GraphSpec::new(settings.clone())
            .or_else(|_| {
                settings.nodes.iter_mut().for_each(|node| node.may_skip = true);
                GraphSpec::new(settings)
            })
            .ok()
            .map(Arc::new)
    }

    pub(super) fn settings(&self) -> GraphSettings {
        let nodes: Vec<NodeSpec> =
            self.nodes.iter().enumerate().map(|(place, node)| self.node_spec(place, node)).collect();
        // Limits and reducers that hold for no node are refused.
        let limit = self.class_limit.filter(|_| nodes.iter().any(|node| node.class.is_some()));
        let classes = limit.map(|limit| ("busy".to_owned(), limit)).into_iter().collect();
        let mut reducers = BTreeMap::from([("log".into(), Reducer::Append), ("sum".into(), Reducer::Sum)]);
        reducers.retain(|key: &String, _| nodes.iter().any(|node| node.output_key() == key));
        GraphSettings {
            name: "random".into(),
            nodes,
            edges: self
                .edges
                .iter()
                .map(|edge| EdgeSpec {
                    from: name(edge.from),
                    to: name(edge.to),
                    when: match edge.when {
                        Taken::Always => When::Always,
                        Taken::If(says) => When::If(says.condition()),
                        Taken::Case(says) => When::Case(says.condition()),
                        Taken::Otherwise => When::Otherwise,
                    },
                })
                .collect(),
            reducers,
            limits: GraphLimits {
                max_parallel: self.max_parallel,
                classes,
                on_failure: if self.fail_fast { OnFailure::FailFast } else { OnFailure::Finish },
                ..GraphLimits::default()
            },
            ..GraphSettings::default()
        }
    }

    fn node_spec(&self, place: usize, node: &Node) -> NodeSpec {
        let work = match node.worker {
            Worker::Function => Work::Function,
            Worker::Agent => Work::Agent,
            Worker::Tool | Worker::ApprovedTool => Work::Tool {
                spec: ToolSpec::new(format!("t{place}"), "Does something.")
                    .parameters(
                        json!({"type": "object", "properties": {"item": {}, "yes": {"type": "boolean"}}}),
                    )
                    .flags(ToolFlags {
                        needs_approval: node.worker == Worker::ApprovedTool,
                        ..ToolFlags::default()
                    }),
            },
        };
        // A tool is given nothing but what is mapped.
        let item = node.copies.is_some() && matches!(work, Work::Tool { .. });
        let item = item.then(|| ("item".to_owned(), expression("item")));
        let mapped =
            |key: &str| Some([("yes".to_owned(), expression(key))].into_iter().chain(item.clone()).collect());
        NodeSpec {
            join: node.join,
            on_error: node.on_error,
            retry: node.retry.clone(),
            timeout_ms: node.timeout,
            class: (node.classed && self.class_limit.is_some()).then(|| "busy".into()),
            output_key: (node.key != Key::Own).then(|| self.key(place)),
            input_mapping: match node.input {
                Input::State => None,
                Input::Mapped => mapped("yes"),
                Input::Missing => mapped("nowhere"),
            },
            for_each: node.copies.map(|copies| ForEach {
                max_parallel: copies.window,
                order: if copies.as_finished { ForEachOrder::Finished } else { ForEachOrder::Items },
                ..ForEach::new(expression(&format!("items{}", copies.items)))
            }),
            repeat: node.repeat.map(|times| Repeat {
                until: match times.until {
                    Until::Yes => Condition::Expression(expression("yes")),
                    Until::No => Condition::Expression(expression("no")),
                    Until::Broken => Condition::Expression(expression("nowhere")),
                    Until::Host(_) | Until::HostBroken => Condition::Host,
                },
                max: times.max,
                at_max: if times.fail { AtMax::Fail } else { AtMax::Complete },
            }),
            ..NodeSpec::new(name(place), work)
        }
    }
}

fn expression(text: &str) -> Expression {
    Expression::new(text).unwrap()
}

impl Says {
    fn condition(self) -> Condition {
        match self.what {
            _ if self.host.is_some() => Condition::Host,
            Truth::Yes => Condition::Expression(expression("yes")),
            Truth::No => Condition::Expression(expression("no")),
            Truth::Broken => Condition::Expression(expression("nowhere")),
        }
    }
}

impl Node {
    /// What the attempt of that number (from 0) of a copy takes and gives.
    pub(super) fn attempt(&self, copy: u32, number: usize) -> Attempt {
        self.script[(number + copy as usize * 3) % self.script.len()]
    }

    /// What a person decides on the call of that number (from 0).
    pub(super) fn approval(&self, copy: u32, number: usize) -> (u64, bool) {
        self.approvals[(number + copy as usize) % self.approvals.len()]
    }
}

/// Performs effects as the scripts of a case say.
pub(super) struct World<'a> {
    case: &'a Case,
    performed: HashMap<(usize, u32), usize>,
    asked: HashMap<(usize, u32), usize>,
    times: HashMap<usize, u32>,
}

impl<'a> World<'a> {
    pub(super) fn new(case: &'a Case) -> Self {
        Self { case, performed: HashMap::new(), asked: HashMap::new(), times: HashMap::new() }
    }

    pub(super) fn perform(&mut self, effect: &Effect) -> (u64, Outcome) {
        match effect {
            Effect::Decide { condition: ConditionOf::Edge { from, to }, .. } => {
                let (from, to) = (place(from), place(to));
                let edge = self.case.edges.iter().find(|edge| (edge.from, edge.to) == (from, to)).unwrap();
                let (Taken::If(says) | Taken::Case(says)) = edge.when else { panic!("nothing to decide") };
                let result = match says.what {
                    Truth::Yes => Ok(true),
                    Truth::No => Ok(false),
                    Truth::Broken => Err("cannot tell".into()),
                };
                (says.host.unwrap(), Outcome::Decide { result })
            }
            Effect::Decide { condition: ConditionOf::Until { node }, .. } => {
                let node = place(node);
                let times = self.times.entry(node).or_default();
                *times += 1;
                let result = match self.case.nodes[node].repeat.unwrap().until {
                    Until::Host(at) => Ok(*times >= at),
                    _ => Err("cannot tell".into()),
                };
                (0, Outcome::Decide { result })
            }
            effect => {
                let (node, copy) = self.case.worker_of(effect).unwrap();
                self.work(node, copy, effect)
            }
        }
    }

    fn work(&mut self, place: usize, copy: u32, effect: &Effect) -> (u64, Outcome) {
        let node = &self.case.nodes[place];
        if let Effect::Approve { arguments, .. } = effect {
            let number = self.asked.entry((place, copy)).or_default();
            let (ms, approved) = node.approval(copy, *number);
            *number += 1;
            let decision = match (approved, (place + *number).is_multiple_of(2)) {
                (true, false) => Decision::Approved,
                (true, true) => Decision::Edited { arguments: edited(arguments) },
                (false, _) => Decision::Denied { reason: "no".into() },
            };
            return (ms, Outcome::Approve { decision });
        }
        let number = self.performed.entry((place, copy)).or_default();
        let attempt = node.attempt(copy, *number);
        *number += 1;
        let value = Ok(json!(*number));
        let kind = match attempt.end {
            Ending::Ok => None,
            Ending::Failed => Some(NodeFailureKind::Failed),
            Ending::Unavailable => Some(NodeFailureKind::Unavailable),
            Ending::Host => Some(NodeFailureKind::Host),
        };
        let result = kind.map_or(value, |kind| Err(NodeFailure::new(kind, "it failed")));
        let outcome = match effect {
            Effect::Function { .. } => Outcome::Function { result },
            Effect::Child { .. } => {
                let run = RunId::new("child").unwrap();
                let usage = Usage { input_tokens: 3, output_tokens: 1, ..Usage::default() };
                Outcome::Child { end: ChildEnd { run, result, usage } }
            }
            _ => Outcome::Tool {
                result: result
                    .map(ToolOutput::from)
                    .map_err(|_| ToolFailure::new(ToolFailureKind::Failed, "it failed")),
            },
        };
        (attempt.ms, outcome)
    }
}

/// The arguments as a person might have them.
fn edited(arguments: &Map<String, Value>) -> Map<String, Value> {
    let mut arguments = arguments.clone();
    let yes = arguments.get("yes") == Some(&json!(true));
    arguments.insert("yes".into(), json!(!yes));
    arguments
}

fn place(name: &str) -> usize {
    name[1..].parse().unwrap()
}

impl Case {
    /// The node and the copy that an effect works for; `None` for waits and decisions.
    pub(super) fn worker_of(&self, effect: &Effect) -> Option<(usize, u32)> {
        let number = |value: Option<&Value>| u32::try_from(value.and_then(Value::as_u64).unwrap()).unwrap();
        let (node, item) = match effect {
            Effect::Function { name, input } => (place(name), input.item.as_ref().map(|item| item.index)),
            Effect::Child { name, input } => {
                let copied = self.nodes[place(name)].copies.is_some();
                (place(name), copied.then(|| number(input.get("item").or(Some(input)))))
            }
            Effect::Tool { name, arguments } | Effect::Approve { name, arguments } => {
                (place(name), arguments.get("item").map(|item| number(Some(item))))
            }
            _ => return None,
        };
        assert_eq!(item.is_some(), self.nodes[node].copies.is_some(), "copies have items: {effect:?}");
        Some((node, item.unwrap_or_default()))
    }
}
