//! Graphs: workflows of agents, functions, tools and other graphs, that run as soon as their inputs are there.
//!
//! A [`GraphSpec`] says what a graph is; a [`GraphRun`] is one execution of it, a state machine like
//! [`Run`](crate::Run). Nothing waits for a level: a node starts when its join is complete.
//!
//! # What follows from what
//!
//! A node ends as *completed*, *failed* or *skipped*. When it does, each edge that leaves it gets one of four states:
//!
//! | node | edge | state of the edge |
//! |---|---|---|
//! | completed | no condition, or one that holds | taken |
//! | completed | condition does not hold, or an earlier case was taken | not chosen |
//! | completed | condition cannot be evaluated, or that of an earlier case could not | broken: the node that it leads to fails |
//! | failed (`on_error = fail`) | any | failed |
//! | failed (`on_error = skip`) | any | not chosen, the error being the cause |
//! | failed (`on_error = continue`) | as completed with `null` | as completed |
//! | skipped because something failed | any | failed |
//! | skipped otherwise | any | not chosen |
//!
//! The join of a node says what the states of its inbound edges mean for it:
//!
//! | join | starts | is skipped | others |
//! |---|---|---|---|
//! | `all` | when all edges are taken | at the first edge that is not | |
//! | `all_taken` | when all edges are settled and one is taken | at the first failed edge; or when no edge is taken | |
//! | `any` | at the first taken edge | when no edge is taken | go on |
//! | `n_of(m)` | at the m-th taken edge | when fewer than m can still be taken | go on |
//! | `first_ok` | at the first taken edge | when no edge is taken | cancelled, where they run for this node alone |
//!
//! A node that is skipped carries its cause on to all its descendants. A broken edge fails the node that it leads to,
//! unless that has started.

mod build;
mod expression;
mod input;
mod picture;
mod presence;
mod reducer;
mod result;
mod run;
mod spec;
mod state;

pub use build::{GraphError, GraphSpec, NodeIndex};
pub use expression::{Expression, ExpressionError, Scope, Shared, check_template, render};
pub use input::{Item, NodeInput, task_text};
pub use picture::{MOST_DRAWN_NODES, MOST_MAPPED_NODES, dot, dot_of, mermaid, mermaid_of, svg, text};
pub use reducer::Reducer;
pub use result::{
    EditedCall, GraphFailure, GraphResult, GraphStatus, NodeReport, NodeStatus, Repeated, SkipCause, SkipKind,
};
pub use run::{GraphRun, GraphTask};
pub use spec::{
    AtMax, Condition, EdgeSpec, ForEach, ForEachOrder, GraphLimits, GraphSettings, Join, NodeFailure,
    NodeFailureKind, NodeSpec, OnError, OnFailure, Repeat, Retry, When, Work,
};
pub use state::{State, StateEntry, StateError, StateLog, Write};
