//! Building graphs: what is refused and in which words, and what is computed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use martlet_core::GraphSpec;
use martlet_core::ToolSpec;
use martlet_core::graph::{
    AtMax, Condition, EdgeSpec, Expression, ForEach, GraphError, GraphLimits, GraphSettings, Join, NodeSpec,
    Reducer, Repeat, When, Work,
};
use proptest::prelude::*;
use serde_json::json;

fn expression(text: &str) -> Expression {
    Expression::new(text).unwrap()
}

fn node(name: &str) -> NodeSpec {
    NodeSpec::new(name, Work::Function)
}

fn writer(name: &str, key: &str) -> NodeSpec {
    NodeSpec { output_key: Some(key.into()), ..node(name) }
}

fn joined(name: &str, join: Join) -> NodeSpec {
    NodeSpec { join: Some(join), ..node(name) }
}

/// `a -> b`; with ` if`, ` case` or ` otherwise` behind it what it depends on.
fn edge(text: &str) -> EdgeSpec {
    let (from, rest) = text.split_once(" -> ").unwrap();
    let (to, when) = rest.split_once(' ').unwrap_or((rest, ""));
    let when = match when {
        "" => When::Always,
        "if" => When::If(Condition::Host),
        "case" => When::Case(Condition::Expression(expression("x > 3"))),
        "otherwise" => When::Otherwise,
        other => panic!("{other}"),
    };
    EdgeSpec { from: from.into(), to: to.into(), when }
}

/// The nodes, and functions for those that are only named by edges, in the order in which they appear there.
fn settings(nodes: &[NodeSpec], edges: &[&str]) -> GraphSettings {
    let edges: Vec<EdgeSpec> = edges.iter().map(|text| edge(text)).collect();
    let mut nodes = nodes.to_vec();
    for name in edges.iter().flat_map(|edge| [&edge.from, &edge.to]) {
        if !nodes.iter().any(|node| node.name == *name) {
            nodes.push(node(name));
        }
    }
    GraphSettings { nodes, edges, ..GraphSettings::default() }
}

fn build(nodes: &[NodeSpec], edges: &[&str]) -> Result<GraphSpec, GraphError> {
    GraphSpec::new(settings(nodes, edges))
}

#[track_caller]
fn refused(nodes: &[NodeSpec], edges: &[&str], message: &str) {
    assert_eq!(build(nodes, edges).unwrap_err().to_string(), message);
}

#[track_caller]
fn refused_settings(settings: GraphSettings, message: &str) {
    assert_eq!(GraphSpec::new(settings).unwrap_err().to_string(), message);
}

fn join_of(graph: &GraphSpec, name: &str) -> Join {
    graph.join(graph.place(name).unwrap())
}

#[test]
fn a_graph_knows_its_nodes_and_edges() {
    let graph = build(
        &[node("write"), node("ingest")],
        &["ingest -> stats", "ingest -> patterns", "stats -> write", "patterns -> write"],
    )
    .unwrap();
    assert_eq!((graph.len(), graph.is_empty()), (4, false));
    let place = |name| graph.place(name).unwrap();
    assert_eq!(graph.node(place("stats")).unwrap().name, "stats");
    assert_eq!(graph.place("nobody"), None);
    assert_eq!(graph.outgoing(place("ingest")), [0, 1]);
    assert_eq!(graph.incoming(place("write")), [2, 3]);
    assert_eq!(graph.ends(3), Some((place("patterns"), place("write"))));
    assert_eq!((graph.ends(4), graph.node(4), graph.outgoing(4)), (None, None, &[][..]));
    assert_eq!(["ingest", "stats", "patterns", "write"].map(|name| graph.rank(place(name))), [0, 1, 2, 3]);
    let levels: Vec<Vec<String>> =
        graph.levels().iter().map(|level| level.iter().map(ToString::to_string).collect()).collect();
    assert_eq!(levels, [vec!["ingest"], vec!["stats", "patterns"], vec!["write"]]);
    assert_eq!(graph.start_nodes(), ["ingest".into()]);
    assert_eq!(graph.end_nodes(), ["write".into()]);
}

#[test]
fn a_graph_is_stored_as_its_settings() {
    let graph = build(&[], &["a -> b case", "a -> c otherwise", "b -> d", "c -> d"]).unwrap();
    let text = serde_json::to_string(&graph).unwrap();
    assert_eq!(serde_json::from_str::<GraphSpec>(&text).unwrap(), graph);
    assert_eq!(serde_json::from_str::<GraphSettings>(&text).unwrap(), GraphSettings::from(graph));
    let broken = text.replace(r#""to":"b""#, r#""to":"a""#);
    assert_eq!(
        serde_json::from_str::<GraphSpec>(&broken).unwrap_err().to_string(),
        "the edge `a -> a` leads back to its own node: remove it, and use `repeat` for loops"
    );
}

#[test]
fn names_and_edges_that_cannot_be_are_refused() {
    refused(&[], &[], "the graph `graph` has no nodes: add at least one");
    refused(&[node("")], &[], "the node name `` cannot be used: it is empty; use letters, digits and `_`");
    refused(&[node(" a")], &[], "the node name ` a` cannot be used: remove the space around it");
    refused(
        &[node("a\nb")],
        &[],
        "the node name `a\\nb` cannot be used: remove the line breaks and control characters",
    );
    let long = "x".repeat(129);
    refused(
        &[node(&long)],
        &[],
        &format!("the node name `{long}` cannot be used: use at most 128 characters"),
    );
    refused(&[node("a"), node("a")], &[], "there are two nodes named `a`: rename one of them");
    refused(
        &[writer("a", "")],
        &[],
        "the `output_key` of node `a` cannot be used: it is empty; use letters, digits and `_`",
    );
    let unknown = |name: &str, edge: EdgeSpec| GraphSettings {
        nodes: vec![node("ingest"), node(name)],
        edges: vec![edge],
        ..GraphSettings::default()
    };
    refused_settings(
        unknown("write", edge("ingest -> wirte")),
        "the edge `ingest -> wirte` names `wirte`, which is not a node; did you mean `write`?",
    );
    refused_settings(
        unknown("write", edge("nobody -> write")),
        "the edge `nobody -> write` names `nobody`, which is not a node: add the node, or correct the edge",
    );
    refused(
        &[],
        &["a -> b", "a -> c", "a -> b if"],
        "there are two edges `a -> b`: remove one of them; two conditions can be one, joined by `or`",
    );
    refused(
        &[],
        &["a -> b", "b -> b"],
        "the edge `b -> b` leads back to its own node: remove it, and use `repeat` for loops",
    );
    refused(
        &[],
        &["a -> b", "a -> c otherwise"],
        "the edge `a -> c` is taken otherwise, but no edge of `a` is a case: make one of them a case, or let this edge \
         always be taken",
    );
}

#[test]
fn a_cycle_is_shown_with_its_path() {
    refused(
        &[node("start"), node("a"), node("b")],
        &["start -> c", "b -> c", "a -> b", "c -> a", "c -> below", "below -> end"],
        "the edges `a -> b -> c -> a` are a cycle: remove one of them, and use `repeat` for loops",
    );
    let nodes: Vec<NodeSpec> = (0..100_000).map(|number| node(&format!("n{number}"))).collect();
    let edges =
        (0..100_000).map(|number| edge(&format!("n{number} -> n{}", (number + 1) % 100_000))).collect();
    refused_settings(
        GraphSettings { nodes, edges, ..GraphSettings::default() },
        "the edges `n0 -> n1 -> n2 -> n3 -> n4 -> … -> n99995 -> n99996 -> n99997 -> n99998 -> n99999 -> n0` are a \
         cycle: remove one of them, and use `repeat` for loops",
    );
}

#[test]
fn limits_that_let_nothing_run_are_refused() {
    let with = |change: fn(&mut GraphSettings)| {
        let mut settings = settings(&[node("a")], &[]);
        change(&mut settings);
        settings
    };
    refused_settings(
        with(|settings| settings.limits.max_parallel = Some(0)),
        "`limits.max_parallel` is 0, so that nothing could run: use at least 1, or leave it out for no limit",
    );
    refused_settings(
        with(|settings| settings.limits.classes = BTreeMap::from([("gpu".into(), 0)])),
        "the limit of the class `gpu` is 0, so that its nodes could not run: use at least 1, or leave it out",
    );
    let free = NodeSpec { class: Some("gpu".into()), ..node("a") };
    assert!(build(&[free], &[]).is_ok(), "a class needs no limit");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let with = |change: &dyn Fn(&mut NodeSpec)| {
        let mut node = node("a");
        change(&mut node);
        [node]
    };
    for (factor, shown) in [(0.5, "0.5"), (f64::NAN, "NaN"), (f64::INFINITY, "inf")] {
        refused(
            &with(&|node| node.retry.factor = factor),
            &[],
            &format!("`retry.factor` of node `a` is {shown}: use a finite number of at least 1"),
        );
    }
    refused(
        &with(&|node| node.timeout_ms = Some(0)),
        &[],
        "`timeout_ms` of node `a` is 0: use at least 1, or leave it out for no limit",
    );
    let each = |name: &str, max_parallel| ForEach {
        name: name.into(),
        max_parallel,
        ..ForEach::new(expression("rows"))
    };
    refused(
        &with(&|node| node.for_each = Some(each("item", 0))),
        &[],
        "`for_each.max_parallel` of node `a` is 0, so that no copy could run: use at least 1",
    );
    for name in ["", "2nd", "the row"] {
        refused(
            &with(&|node| node.for_each = Some(each(name, 1))),
            &[],
            &format!(
                "`for_each.name` of node `a` is `{name}`: use letters, digits and `_`, and no digit at the start"
            ),
        );
    }
    refused(
        &with(&|node| node.for_each = Some(each("not", 1))),
        &[],
        "`for_each.name` of node `a` is `not`: expressions read it as something else, use another name",
    );
    let repeat = |max| Repeat { until: Condition::Host, max, at_max: AtMax::Fail };
    refused(
        &with(&|node| node.repeat = Some(repeat(0))),
        &[],
        "`repeat.max` of node `a` is 0, so that it could not run: use at least 1",
    );
    refused(
        &with(&|node| {
            node.repeat = Some(repeat(2));
            node.for_each = Some(each("item", 1));
        }),
        &[],
        "the node `a` has both `for_each` and `repeat`: put the node with the one into a graph of its own, and that \
         graph as a node with the other",
    );
    assert!(build(&with(&|node| node.repeat = Some(repeat(2))), &[]).is_ok());
}

#[test]
fn what_holds_for_no_node_is_refused() {
    let limited = GraphSettings {
        nodes: vec![NodeSpec { class: Some("gpu".into()), ..node("a") }],
        limits: GraphLimits { classes: [("gup".into(), 1)].into(), ..GraphLimits::default() },
        ..GraphSettings::default()
    };
    refused_settings(limited, "no node has the class `gup` that has a limit; did you mean `gpu`?");
    let reduced = |key: &str| GraphSettings {
        nodes: vec![node("logs")],
        reducers: [(key.into(), Reducer::Append)].into(),
        ..GraphSettings::default()
    };
    refused_settings(
        reduced("log"),
        "no node writes the state key `log` that has a reducer; did you mean `logs`?",
    );
    refused_settings(
        reduced("total"),
        "no node writes the state key `total` that has a reducer: remove the reducer, or name the key that is written",
    );
    assert!(GraphSpec::new(reduced("logs")).is_ok());
}

#[test]
fn a_prompt_is_a_template_for_an_agent() {
    let with = |work, prompt: &str| [NodeSpec { prompt: Some(prompt.into()), ..NodeSpec::new("a", work) }];
    assert!(build(&with(Work::Agent, "Write about {{ topic }}."), &[]).is_ok());
    refused(
        &with(Work::Graph, "Write."),
        &[],
        "the node `a` has a `prompt` but is not an agent: remove it, or use `input_mapping`",
    );
    refused(
        &with(Work::Agent, "Write about {{ topic }."),
        &[],
        "the `prompt` of node `a` cannot be used, correct the template: syntax error: unexpected `}`, expected end of \
         variable block (in <string>:1)",
    );
}

#[test]
fn a_tool_gets_what_it_needs() {
    let tool = |schema| Work::Tool { spec: ToolSpec::new("search", "Searches.").parameters(schema) };
    let schema = json!({
        "type": "object",
        "properties": {"text": {"type": "string"}, "count": {"type": "integer"}},
        "required": ["text"],
    });
    let with = |schema, names: &[&str]| {
        let mapping = names.iter().map(|name| ((*name).to_owned(), expression("x"))).collect();
        NodeSpec { input_mapping: Some(mapping), ..NodeSpec::new("a", tool(schema)) }
    };
    assert!(build(&[NodeSpec::new("a", tool(schema.clone()))], &[]).is_ok(), "the state has to give them");
    assert!(build(&[with(schema.clone(), &["text"])], &[]).is_ok());
    refused(
        &[with(schema.clone(), &["count"])],
        &[],
        "the tool `search` of node `a` needs `text`: add it to the node's `input_mapping`",
    );
    refused(
        &[with(schema.clone(), &["text", "limit"])],
        &[],
        "the `input_mapping` of node `a` names `limit`, which the tool `search` does not take; it takes `text`, `count`",
    );
    let item = ForEach { name: "text".into(), ..ForEach::new(expression("rows")) };
    let copies = NodeSpec { for_each: Some(item), ..with(schema, &["count"]) };
    assert!(build(std::slice::from_ref(&copies), &[]).is_ok(), "its item is the argument");
    let misspelt = ForEach { name: "txet".into(), ..ForEach::new(expression("rows")) };
    refused(
        &[NodeSpec { for_each: Some(misspelt), ..copies }],
        &[],
        "the tool `search` of node `a` needs `text`: add it to the node's `input_mapping`",
    );
    let open = json!({"type": "object", "properties": {}, "additionalProperties": true});
    assert!(build(&[with(open, &["limit"])], &[]).is_ok());
    refused(
        &[with(json!({"type": "string"}), &[])],
        &[],
        "the schema of tool `search` of node `a` cannot be used: the parameters must be a JSON Schema of type \
         \"object\"",
    );
}

#[test]
fn joins_have_edges_to_join() {
    refused(
        &[joined("a", Join::AllTaken)],
        &["a -> b"],
        "the node `a` has the join `all_taken`, but no edge leads to it: remove the join, or add edges",
    );
    refused(
        &[joined("c", Join::NOf(0))],
        &["a -> c", "b -> c"],
        "the join `n_of(0)` of node `c` waits for nothing: use a number of at least 1",
    );
    refused(
        &[joined("c", Join::NOf(3))],
        &["a -> c", "b -> c"],
        "the join `n_of(3)` of node `c` waits for more edges than lead to it: use at most 2, or add edges",
    );
}

/// The edges of a router with two branches that meet again.
const BRANCHES: [&str; 4] = ["router -> a case", "router -> b otherwise", "a -> merge", "b -> merge"];

#[test]
fn branches_that_meet_again_are_joined_by_what_is_taken() {
    assert_eq!(join_of(&build(&[], &BRANCHES).unwrap(), "merge"), Join::AllTaken);
    let plain = build(&[], &["s -> a", "s -> b", "a -> merge", "b -> merge"]).unwrap();
    assert_eq!(join_of(&plain, "merge"), Join::All);
    // What lies behind one condition is taken together or not at all.
    let behind = build(&[], &["s -> a if", "a -> b", "a -> c", "b -> merge", "c -> merge"]).unwrap();
    assert_eq!(join_of(&behind, "merge"), Join::All);
    // Branches inside a branch meet before the outer ones do.
    let nested = [
        "outer -> inner case",
        "outer -> c otherwise",
        "inner -> a case",
        "inner -> b otherwise",
        "a -> met",
        "b -> met",
        "inner -> beside",
        "met -> both",
        "beside -> both",
        "both -> end",
        "c -> end",
    ];
    let nested = build(&[], &nested).unwrap();
    let joins = ["met", "both", "end"].map(|name| join_of(&nested, name));
    assert_eq!(joins, [Join::AllTaken, Join::All, Join::AllTaken]);
}

#[test]
fn a_join_that_no_choice_completes_is_refused() {
    let message = |join: &str| {
        format!(
            "the node `merge` can never run: no choice of branches completes its join `{join}`; use `all_taken`, or \
             change the conditions of the edges before it"
        )
    };
    refused(&[joined("merge", Join::All)], &BRANCHES, &message("all"));
    refused(&[joined("merge", Join::NOf(2))], &BRANCHES, &message("n_of(2)"));
    // Not even on purpose.
    refused(&[NodeSpec { may_skip: true, ..joined("merge", Join::All) }], &BRANCHES, &message("all"));
    for join in [Join::Any, Join::AllTaken, Join::FirstOk, Join::NOf(1)] {
        let graph = build(&[joined("merge", join)], &BRANCHES).unwrap();
        assert_eq!(join_of(&graph, "merge"), join);
    }
}

#[test]
fn a_join_that_some_choice_leaves_incomplete_is_refused() {
    refused(
        &[joined("merge", Join::All)],
        &["router -> a if", "router -> b", "a -> merge", "b -> merge"],
        "the join `all` of node `merge` is reached but never completed when `router -> a` does not hold: use \
         `all_taken`, or set `may_skip` if the node is to be skipped then",
    );
    let cases = [
        "router -> a case",
        "router -> b case",
        "router -> c otherwise",
        "router -> d if",
        "a -> merge",
        "b -> merge",
        "d -> merge",
    ];
    refused(
        &[joined("merge", Join::NOf(2))],
        &cases,
        "the join `n_of(2)` of node `merge` is reached but never completed when `router -> b` holds and `router -> d` \
         does not hold: use `all_taken`, or set `may_skip` if the node is to be skipped then",
    );
    let skipped = build(&[NodeSpec { may_skip: true, ..joined("merge", Join::NOf(2)) }], &cases).unwrap();
    assert_eq!(join_of(&skipped, "merge"), Join::NOf(2));
}

#[test]
fn several_edges_may_be_taken_otherwise() {
    let edges = [
        "s -> a case",
        "s -> b otherwise",
        "s -> c otherwise",
        "b -> both",
        "c -> both",
        "a -> end",
        "both -> end",
    ];
    let graph = build(&[joined("both", Join::All)], &edges).unwrap();
    assert_eq!(join_of(&graph, "end"), Join::AllTaken);
}

#[track_caller]
fn collide(nodes: &[NodeSpec], edges: &[&str], first: &str, second: &str, key: &str) {
    refused(
        nodes,
        edges,
        &format!(
            "the nodes `{first}` and `{second}` both write the state key `{key}` and may run at the same time: give \
             `{key}` a reducer, give one of them another `output_key`, or let one wait for the other by an edge"
        ),
    );
}

#[test]
fn writers_of_one_key_run_one_after_the_other() {
    let two = [writer("a", "text"), writer("b", "text")];
    collide(&two, &[], "a", "b", "text");
    collide(&[node("text"), writer("b", "text")], &[], "text", "b", "text");
    collide(&two, &["s -> a if", "s -> b if"], "a", "b", "text");
    let reduced =
        GraphSettings { reducers: BTreeMap::from([("text".into(), Reducer::Append)]), ..settings(&two, &[]) };
    assert!(GraphSpec::new(reduced).is_ok());
    assert!(build(&two, &["a -> between", "between -> b"]).is_ok(), "one waits for the other");
    assert!(build(&two, &["s -> a case", "s -> b otherwise"]).is_ok(), "only one of them runs");
    // One before the branches, one in each branch, one after them.
    let four = [writer("router", "text"), writer("a", "text"), writer("b", "text"), writer("merge", "text")];
    assert!(build(&four, &BRANCHES).is_ok());
    assert!(build(&four, &[&BRANCHES[..], &["router -> c", "c -> merge"]].concat()).is_ok());
    let five = [&four[..], &[writer("c", "text")]].concat();
    collide(&five, &[&BRANCHES[..], &["router -> c", "c -> merge"]].concat(), "a", "c", "text");
}

#[test]
fn a_join_that_does_not_wait_orders_nothing() {
    let edges = ["s -> a", "s -> c", "a -> b", "c -> b", "b -> end"];
    for join in [Join::Any, Join::NOf(1), Join::FirstOk] {
        let nodes = [writer("a", "text"), joined("b", join), writer("end", "text")];
        collide(&nodes, &edges, "a", "end", "text");
    }
    for join in [Join::All, Join::AllTaken, Join::NOf(2)] {
        let nodes = [writer("a", "text"), joined("b", join), writer("end", "text")];
        assert!(build(&nodes, &edges).is_ok(), "{join:?}");
    }
    // With one branch at a time there is nothing that it could overtake.
    let branch = [writer("a", "text"), joined("merge", Join::Any), writer("end", "text")];
    assert!(build(&branch, &[&BRANCHES[..], &["merge -> end"]].concat()).is_ok());
    // A join that may be skipped is skipped before everything above it has ended.
    let edges = ["s -> a", "s -> x if", "a -> m", "x -> m", "m -> end", "s -> end"];
    let m = NodeSpec { may_skip: true, ..joined("m", Join::All) };
    collide(&[writer("a", "text"), m.clone(), writer("end", "text")], &edges, "a", "end", "text");
    let own = NodeSpec { output_key: Some("text".into()), ..m };
    assert!(build(&[own.clone(), writer("end", "text")], &edges).is_ok());
    collide(&[writer("a", "text"), own, writer("end", "text")], &edges, "a", "end", "text");
}

#[test]
fn many_writers_are_compared_by_the_block() {
    // A writer, 200 that exclude each other, one after them: neither a chain nor all exclusive.
    let names: Vec<String> = (0..200).map(|number| format!("n{number}")).collect();
    let mut nodes = vec![writer("s", "text"), writer("end", "text")];
    nodes.extend(names.iter().map(|name| writer(name, "text")));
    let mut edges: Vec<EdgeSpec> = names.iter().map(|name| edge(&format!("s -> {name} case"))).collect();
    edges.extend(names.iter().map(|name| edge(&format!("{name} -> end"))));
    let with = |edges: &[EdgeSpec]| {
        GraphSpec::new(GraphSettings {
            nodes: nodes.clone(),
            edges: edges.to_vec(),
            ..GraphSettings::default()
        })
    };
    assert!(with(&edges).is_ok());
    edges[150].when = When::If(Condition::Host);
    assert_eq!(
        with(&edges).unwrap_err(),
        GraphError::ParallelWriters { key: "text".into(), first: "n0".into(), second: "n150".into() }
    );
}

/// A chain or a fan of so many nodes.
fn large(
    nodes: impl Iterator<Item = NodeSpec>,
    edges: impl Iterator<Item = (usize, usize)>,
) -> GraphSettings {
    let edge = |(from, to)| EdgeSpec { from: format!("n{from}"), to: format!("n{to}"), when: When::Always };
    GraphSettings { nodes: nodes.collect(), edges: edges.map(edge).collect(), ..GraphSettings::default() }
}

#[track_caller]
fn timed(what: &str, settings: GraphSettings) -> GraphSpec {
    let start = Instant::now();
    let graph = GraphSpec::new(settings).unwrap();
    let took = start.elapsed();
    // Generous, as the machine may be busy: what is quadratic takes minutes.
    assert!(
        took < Duration::from_secs(30),
        "{what} of {} nodes and {} edges took {took:?}",
        graph.len(),
        graph.edges.len()
    );
    graph
}

#[test]
fn large_graphs_are_built_in_no_time() {
    const N: usize = 100_000;
    let named = |number: usize| node(&format!("n{number}"));
    let chain = || large((0..N).map(named), (1..N).map(|number| (number - 1, number)));
    let graph = timed("chain", chain());
    assert_eq!((graph.levels().len(), graph.rank(99_999)), (N, 99_999));

    let conditional = |when: fn(usize) -> When, mut settings: GraphSettings| {
        for (number, edge) in settings.edges.iter_mut().enumerate() {
            edge.when = when(number);
        }
        settings
    };
    let host = |_| When::If(Condition::Host);
    timed("chain of conditions", conditional(host, chain()));

    let mut one_key = chain();
    for node in &mut one_key.nodes {
        node.output_key = Some("text".into());
    }
    timed("chain of writers of one key", one_key);

    // A source, a fan, a node where all meet.
    let fan = || {
        let edges = (1..N - 1).map(|number| (0, number)).chain((1..N - 1).map(|number| (number, N - 1)));
        large((0..N).map(named), edges)
    };
    let graph = timed("fan", fan());
    assert_eq!((graph.levels()[1].len(), graph.join(99_999)), (N - 2, Join::All));
    let half = |number| if number < N - 2 { When::If(Condition::Host) } else { When::Always };
    let graph = timed("fan of conditions", conditional(half, fan()));
    assert_eq!(graph.join(99_999), Join::AllTaken);
    let cases = |number| if number < N - 2 { When::Case(Condition::Host) } else { When::Always };
    let mut switch = conditional(cases, fan());
    for node in &mut switch.nodes[1..N - 1] {
        node.output_key = Some("text".into());
    }
    timed("switch of writers of one key", switch);

    // Two chains of conditions that meet: as deep a formula as there is.
    let halves = (1..N - 1).map(|number| (if number == N / 2 { 0 } else { number - 1 }, number));
    let ladder = large((0..N).map(named), halves.chain([(N / 2 - 1, N - 1), (N - 2, N - 1)]));
    let graph = timed("two chains of conditions", conditional(host, ladder));
    assert_eq!(graph.join(99_999), Join::AllTaken);

    // Diamonds of two cases, one behind the other.
    let diamonds = (0..N / 4 - 1).flat_map(|number| {
        let top = number * 4;
        [(top, top + 1), (top, top + 2), (top + 1, top + 3), (top + 2, top + 3), (top + 3, top + 4)]
    });
    let choice = |number| match number % 5 {
        0 => When::Case(Condition::Host),
        1 => When::Otherwise,
        _ => When::Always,
    };
    let diamonds = large((0..N - 3).map(named), diamonds);
    let graph = timed("diamonds", conditional(choice, diamonds));
    assert_eq!((graph.join(3), graph.levels().len()), (Join::AllTaken, 3 * (N / 4 - 1) + 1));

    // Layers of nodes that depend on each other in every way: formulas that are given up.
    let layers = (0..99_u32 * 1_000).flat_map(|number| {
        let (layer, place) = ((number / 1_000) as usize, (number % 1_000) as usize);
        [place, (place * 7 + 1) % 1_000].map(|to| (layer * 1_000 + place, (layer + 1) * 1_000 + to))
    });
    timed(
        "tangle of conditions",
        conditional(host, large((0..N).map(named), layers.filter(|(from, to)| from != to))),
    );
}

/// A random graph whose edges lead from a lower number to a higher one; the nodes are added in another order.
#[derive(Debug, Clone)]
struct Plan {
    nodes: Vec<(Option<Join>, bool)>,
    edges: Vec<(usize, usize, u8)>,
}

const ALWAYS: u8 = 0;
const IF: u8 = 1;
const CASE: u8 = 2;

impl Plan {
    fn settings(&self) -> GraphSettings {
        // The last first, so that an order has to be found.
        let nodes = (0..self.nodes.len()).rev().map(|number| {
            let (join, may_skip) = self.nodes[number];
            NodeSpec { join, may_skip, ..node(&format!("n{number}")) }
        });
        let edges = self.edges.iter().map(|(from, to, kind)| EdgeSpec {
            from: format!("n{from}"),
            to: format!("n{to}"),
            when: match *kind {
                ALWAYS => When::Always,
                IF => When::If(Condition::Host),
                CASE => When::Case(Condition::Host),
                _ => When::Otherwise,
            },
        });
        GraphSettings { nodes: nodes.collect(), edges: edges.collect(), ..GraphSettings::default() }
    }

    /// The edges that have a condition.
    fn conditions(&self) -> Vec<usize> {
        (0..self.edges.len()).filter(|edge| [IF, CASE].contains(&self.edges[*edge].2)).collect()
    }

    /// Which edges are taken and which nodes run if those conditions hold, the joins being given.
    fn play(&self, holds: &dyn Fn(usize) -> bool, joins: &[Option<Join>]) -> (Vec<bool>, Vec<bool>) {
        let mut taken = vec![false; self.edges.len()];
        let mut runs = vec![false; self.nodes.len()];
        for number in 0..self.nodes.len() {
            let inbound: Vec<usize> = (0..taken.len()).filter(|edge| self.edges[*edge].1 == number).collect();
            let count = inbound.iter().filter(|edge| taken[**edge]).count();
            runs[number] = match joins[number] {
                _ if inbound.is_empty() => true,
                Some(Join::All) => count == inbound.len(),
                Some(Join::NOf(wanted)) => count >= wanted as usize,
                _ => count > 0,
            };
            let outbound = (0..taken.len()).filter(|edge| self.edges[*edge].0 == number);
            let mut chosen = false;
            for edge in outbound.clone() {
                taken[edge] = runs[number]
                    && match self.edges[edge].2 {
                        ALWAYS => true,
                        IF => holds(edge),
                        CASE => !chosen && holds(edge),
                        _ => false,
                    };
                chosen |= self.edges[edge].2 == CASE && taken[edge];
            }
            for edge in outbound.filter(|edge| self.edges[*edge].2 > CASE) {
                taken[edge] = runs[number] && !chosen;
            }
        }
        (taken, runs)
    }

    /// What all assignments say: the joins, or the first node in each order whose join cannot be.
    fn expected(&self) -> Result<Vec<Join>, Vec<usize>> {
        let conditions = self.conditions();
        let mut joins: Vec<Option<Join>> = self.nodes.iter().map(|(join, _)| *join).collect();
        for number in 0..self.nodes.len() {
            let inbound: Vec<usize> =
                (0..self.edges.len()).filter(|edge| self.edges[*edge].1 == number).collect();
            let plays: Vec<(Vec<bool>, Vec<bool>)> = (0..1_u32 << conditions.len())
                .map(|choice| {
                    let holds = |edge: usize| {
                        let place = conditions.iter().position(|it| *it == edge).unwrap();
                        choice >> place & 1 == 1
                    };
                    self.play(&holds, &joins)
                })
                .collect();
            if joins[number].is_none() {
                let together = plays.iter().all(|(taken, _)| {
                    inbound.iter().all(|edge| taken[*edge]) || !inbound.iter().any(|edge| taken[*edge])
                });
                joins[number] = Some(if together { Join::All } else { Join::AllTaken });
            } else if !inbound.is_empty() {
                let never = !plays.iter().any(|(_, runs)| runs[number]);
                let incomplete = plays
                    .iter()
                    .any(|(taken, runs)| inbound.iter().any(|edge| taken[*edge]) && !runs[number]);
                if never || (incomplete && !self.nodes[number].1) {
                    return Err(vec![number]);
                }
            }
        }
        Ok(joins.into_iter().map(Option::unwrap).collect())
    }
}

/// Graphs of up to 8 nodes and 6 conditions in which only joins can be wrong.
fn plans() -> impl Strategy<Value = Plan> {
    let join = prop_oneof![
        4 => Just(None),
        1 => Just(Some(Join::Any)),
        1 => Just(Some(Join::AllTaken)),
        1 => Just(Some(Join::FirstOk)),
        2 => Just(Some(Join::All)),
        2 => (1..4_u32).prop_map(|count| Some(Join::NOf(count))),
    ];
    let nodes = prop::collection::vec((join, any::<bool>()), 1..=8);
    let edges = prop::collection::vec((0..8_usize, 0..8_usize, 0..4_u8), 0..16);
    (nodes, edges).prop_map(|(mut nodes, drawn)| {
        let mut edges: Vec<(usize, usize, u8)> = Vec::new();
        let mut conditions = 0;
        for (from, to, mut kind) in drawn {
            let (from, to) = (from.min(to), from.max(to));
            if from == to || to >= nodes.len() || edges.iter().any(|edge| (edge.0, edge.1) == (from, to)) {
                continue;
            }
            conditions += usize::from([IF, CASE].contains(&kind));
            if conditions > 6 {
                kind = ALWAYS;
            }
            edges.push((from, to, kind));
        }
        for at in 0..edges.len() {
            let (from, _, kind) = edges[at];
            if kind > CASE && !edges.iter().any(|edge| edge.0 == from && edge.2 == CASE) {
                edges[at].2 = ALWAYS;
            }
        }
        for (number, (join, _)) in nodes.iter_mut().enumerate() {
            let inbound = edges.iter().filter(|edge| edge.1 == number).count();
            match join {
                _ if inbound == 0 => *join = None,
                Some(Join::NOf(count)) => *count = (*count).min(u32::try_from(inbound).unwrap()),
                _ => {}
            }
        }
        Plan { nodes, edges }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    /// What the formulas say is what trying all choices says.
    #[test]
    fn joins_agree_with_trying_every_choice(plan in plans()) {
        match (GraphSpec::new(plan.settings()), plan.expected()) {
            (Ok(graph), Ok(joins)) => {
                for (number, join) in joins.iter().enumerate() {
                    prop_assert_eq!(join_of(&graph, &format!("n{number}")), *join, "n{}", number);
                }
            }
            (Err(GraphError::NeverRuns { .. } | GraphError::IncompleteJoin { .. }), Err(_)) => {}
            (built, expected) => prop_assert!(false, "{built:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn orders_and_levels_follow_the_edges(mut plan in plans()) {
        for node in &mut plan.nodes {
            *node = (None, false);
        }
        let graph = GraphSpec::new(plan.settings()).unwrap();
        let levels = graph.levels();
        let level = |node: u32| {
            let name = &graph.node(node).unwrap().name;
            levels.iter().position(|level| level.iter().any(|it| **it == **name)).unwrap()
        };
        let mut ranks: Vec<u32> = (0..graph.len() as u32).map(|node| graph.rank(node)).collect();
        for edge in 0..graph.edges.len() as u32 {
            let (from, to) = graph.ends(edge).unwrap();
            prop_assert!(graph.rank(from) < graph.rank(to));
            prop_assert!(level(from) < level(to));
        }
        for node in 0..graph.len() as u32 {
            let highest = graph.incoming(node).iter().map(|edge| level(graph.ends(*edge).unwrap().0)).max();
            prop_assert_eq!(level(node), highest.map_or(0, |highest| highest + 1));
        }
        ranks.sort_unstable();
        prop_assert_eq!(ranks, (0..graph.len() as u32).collect::<Vec<_>>());
        prop_assert_eq!(levels.iter().map(Vec::len).sum::<usize>(), graph.len());
    }

    /// Without conditions two writers collide exactly if no path leads from one to the other.
    #[test]
    fn writers_agree_with_paths(plan in plans(), writers in prop::collection::btree_set(0..8_usize, 2..5)) {
        let mut plan = plan;
        plan.nodes.iter_mut().for_each(|node| *node = (None, false));
        plan.edges.iter_mut().for_each(|edge| edge.2 = ALWAYS);
        let writers: Vec<usize> = writers.into_iter().filter(|it| *it < plan.nodes.len()).collect();
        let mut settings = plan.settings();
        for node in &mut settings.nodes {
            if writers.iter().any(|number| node.name == format!("n{number}")) {
                node.output_key = Some("text".into());
            }
        }
        let mut reach = vec![vec![false; 8]; 8];
        for (from, to, _) in &plan.edges {
            reach[*from][*to] = true;
        }
        for middle in 0..8 {
            for from in 0..8 {
                for to in 0..8 {
                    reach[from][to] |= reach[from][middle] && reach[middle][to];
                }
            }
        }
        let collide = writers.iter().any(|a| writers.iter().any(|b| a < b && !reach[*a][*b]));
        let refused = matches!(GraphSpec::new(settings), Err(GraphError::ParallelWriters { .. }));
        prop_assert_eq!(refused, collide);
    }
}
