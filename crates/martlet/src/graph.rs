//! The graph: a workflow of agents, functions, tools and other graphs.

use std::sync::Arc;

use martlet_core::GraphSpec;

/// A graph: immutable, cheap to clone, shared by any number of concurrent runs.
#[derive(Clone)]
pub struct Graph {
    inner: Arc<GraphParts>,
}

/// What the runs of a graph share.
pub(crate) struct GraphParts {
    pub(crate) spec: Arc<GraphSpec>,
}

impl Graph {
    /// What the graph is, without what performs its effects.
    pub fn spec(&self) -> &Arc<GraphSpec> {
        &self.inner.spec
    }
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph")
            .field("name", &self.inner.spec.name)
            .field("nodes", &self.inner.spec.len())
            .finish_non_exhaustive()
    }
}
