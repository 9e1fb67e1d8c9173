//! What can be wrong with the settings of a graph, and what to do about it.

use crate::approval::PolicyError;
use crate::graph::spec::Join;

/// Why settings do not make a graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// An approval rule that cannot be meant as it is.
    #[error(transparent)]
    Approvals(#[from] PolicyError),
    /// There are no nodes.
    #[error("the graph `{0}` has no nodes: add at least one")]
    NoNodes(String),
    /// The name of a node cannot be used.
    #[error("the node name `{}` cannot be used: {problem}", .name.escape_debug())]
    NodeName {
        /// The name.
        name: String,
        /// What to do about it.
        problem: String,
    },
    /// Two nodes of one name.
    #[error("there are two nodes named `{0}`: rename one of them")]
    DuplicateNode(String),
    /// An edge names a node that is not there.
    #[error("the edge `{from} -> {to}` names `{name}`, which is not a node{}", did_you_mean(.nearest.as_deref(), "add the node, or correct the edge"))]
    UnknownNode {
        /// The node that the edge leaves.
        from: String,
        /// The node that it leads to.
        to: String,
        /// Which of them does not exist.
        name: String,
        /// The node that was probably meant.
        nearest: Option<String>,
    },
    /// Two edges between the same nodes.
    #[error(
        "there are two edges `{from} -> {to}`: remove one of them; two conditions can be one, joined by `or`"
    )]
    DuplicateEdge {
        /// The node that they leave.
        from: String,
        /// The node that they lead to.
        to: String,
    },
    /// An edge from a node to itself.
    #[error("the edge `{0} -> {0}` leads back to its own node: remove it, and use `repeat` for loops")]
    SelfEdge(String),
    /// A cycle.
    #[error("the edges `{}` are a cycle: remove one of them, and use `repeat` for loops", path(.0))]
    Cycle(
        /// The names of its nodes, in the order of the edges; the last edge leads back to the first node.
        Vec<String>,
    ),
    /// An edge that is taken otherwise, at a node without cases.
    #[error(
        "the edge `{from} -> {to}` is taken otherwise, but no edge of `{from}` is a case: \
         make one of them a case, or let this edge always be taken"
    )]
    OtherwiseWithoutCase {
        /// The node that the edge leaves.
        from: String,
        /// The node that it leads to.
        to: String,
    },
    /// A join where nothing is to be joined.
    #[error("the node `{node}` has the join `{}`, but no edge leads to it: remove the join, or add edges", join_name(*.join))]
    JoinWithoutEdges {
        /// The node.
        node: String,
        /// Its join.
        join: Join,
    },
    /// A join that waits for no edge.
    #[error("the join `n_of(0)` of node `{0}` waits for nothing: use a number of at least 1")]
    JoinOfNone(String),
    /// A join that waits for more edges than there are.
    #[error(
        "the join `n_of({count})` of node `{node}` waits for more edges than lead to it: \
         use at most {edges}, or add edges"
    )]
    JoinOfTooMany {
        /// The node.
        node: String,
        /// How many edges it waits for.
        count: u32,
        /// How many there are.
        edges: usize,
    },
    /// A node that is not reached under any choice of branches.
    #[error(
        "the node `{node}` can never run: no choice of branches completes its join `{}`; \
         use `all_taken`, or change the conditions of the edges before it", join_name(*.join)
    )]
    NeverRuns {
        /// The node.
        node: String,
        /// Its join.
        join: Join,
    },
    /// A join that some choice of branches reaches and does not complete.
    #[error(
        "the join `{}` of node `{node}` is reached but never completed when {choice}: \
         use `all_taken`, or set `may_skip` if the node is to be skipped then", join_name(*.join)
    )]
    IncompleteJoin {
        /// The node.
        node: String,
        /// Its join.
        join: Join,
        /// The choice, in words.
        choice: String,
    },
    /// Two nodes that may write a state key at the same time.
    #[error(
        "the nodes `{first}` and `{second}` both write the state key `{key}` and may run at the same time: \
         give `{key}` a reducer, give one of them another `output_key`, or let one wait for the other by an edge"
    )]
    ParallelWriters {
        /// The state key.
        key: String,
        /// The one.
        first: String,
        /// The other.
        second: String,
    },
    /// No node may run.
    #[error(
        "`limits.max_parallel` is 0, so that nothing could run: use at least 1, or leave it out for no limit"
    )]
    MaxParallel,
    /// No node of a class may run.
    #[error(
        "the limit of the class `{0}` is 0, so that its nodes could not run: use at least 1, or leave it out"
    )]
    ClassLimit(String),
    /// A limit of a class that no node has.
    #[error("no node has the class `{class}` that has a limit{}", did_you_mean(.nearest.as_deref(), "remove the limit, or give it to nodes"))]
    UnknownClass {
        /// The class.
        class: String,
        /// The class that was probably meant.
        nearest: Option<String>,
    },
    /// A reducer of a state key that no node writes.
    #[error("no node writes the state key `{key}` that has a reducer{}", did_you_mean(.nearest.as_deref(), "remove the reducer, or name the key that is written"))]
    UnknownReducerKey {
        /// The state key.
        key: String,
        /// The key that was probably meant.
        nearest: Option<String>,
    },
    /// The state key of a node cannot be used.
    #[error("the `output_key` of node `{node}` cannot be used: {problem}")]
    OutputKey {
        /// The node.
        node: String,
        /// What to do about it.
        problem: String,
    },
    /// Waits that would get shorter, or are not numbers.
    #[error("`retry.factor` of node `{node}` is {factor}: use a finite number of at least 1")]
    RetryFactor {
        /// The node.
        node: String,
        /// The factor.
        factor: String,
    },
    /// An attempt may take no time.
    #[error("`timeout_ms` of node `{0}` is 0: use at least 1, or leave it out for no limit")]
    Timeout(String),
    /// No copy may run.
    #[error("`for_each.max_parallel` of node `{0}` is 0, so that no copy could run: use at least 1")]
    ForEachParallel(String),
    /// The name of a copy's item cannot be used in expressions.
    #[error("`for_each.name` of node `{node}` is `{}`: {problem}", .name.escape_debug())]
    ForEachName {
        /// The node.
        node: String,
        /// The name of the item.
        name: String,
        /// What to do about it.
        problem: String,
    },
    /// The node may not run even once.
    #[error("`repeat.max` of node `{0}` is 0, so that it could not run: use at least 1")]
    RepeatMax(String),
    /// Copies and repetitions on one node.
    #[error(
        "the node `{0}` has both `for_each` and `repeat`: put the node with the one into a graph of its own, \
         and that graph as a node with the other"
    )]
    ForEachAndRepeat(String),
    /// A prompt where nobody reads it.
    #[error("the node `{0}` has a `prompt` but is not an agent: remove it, or use `input_mapping`")]
    PromptWithoutAgent(String),
    /// A prompt that is not a template.
    #[error("the `prompt` of node `{node}` cannot be used, correct the template: {problem}")]
    Prompt {
        /// The node.
        node: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A tool's schema cannot be used.
    #[error("the schema of tool `{tool}` of node `{node}` cannot be used: {problem}")]
    ToolSchema {
        /// The node.
        node: String,
        /// The tool.
        tool: String,
        /// What is wrong.
        problem: String,
    },
    /// A parameter that the tool needs is not mapped.
    #[error("the tool `{tool}` of node `{node}` needs `{parameter}`: add it to the node's `input_mapping`")]
    ToolParameterMissing {
        /// The node.
        node: String,
        /// The tool.
        tool: String,
        /// The parameter.
        parameter: String,
    },
    /// A name is mapped that is no parameter of the tool.
    #[error(
        "the `input_mapping` of node `{node}` names `{parameter}`, which the tool `{tool}` does not take; it takes {}",
        list(.known)
    )]
    ToolParameterUnknown {
        /// The node.
        node: String,
        /// The tool.
        tool: String,
        /// The name.
        parameter: String,
        /// The parameters that the tool takes.
        known: Vec<String>,
    },
}

fn did_you_mean(nearest: Option<&str>, otherwise: &str) -> String {
    match nearest {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None => format!(": {otherwise}"),
    }
}

/// The nodes of a cycle; of a long one, those at its ends.
fn path(nodes: &[String]) -> String {
    const ENDS: usize = 5;
    let back = nodes.first().map(String::as_str);
    let shown: Vec<&str> = if nodes.len() > 2 * ENDS {
        let head = nodes.iter().take(ENDS).map(String::as_str);
        let tail = nodes.iter().skip(nodes.len() - ENDS).map(String::as_str);
        head.chain(["…"]).chain(tail).chain(back).collect()
    } else {
        nodes.iter().map(String::as_str).chain(back).collect()
    };
    shown.join(" -> ")
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "no parameters".into();
    }
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A join as it is written in settings and documents.
fn join_name(join: Join) -> String {
    match join {
        Join::All => "all".into(),
        Join::Any => "any".into(),
        Join::NOf(count) => format!("n_of({count})"),
        Join::AllTaken => "all_taken".into(),
        Join::FirstOk => "first_ok".into(),
    }
}
