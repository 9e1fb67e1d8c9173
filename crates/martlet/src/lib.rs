//! Martlet: a runtime for LLM agents that never block.
//!
//! An [`Agent`] is a value: instructions, a model, tools, limits. It is cheap to clone and serves any number of
//! runs at the same time. A run is one future; dropping it cancels everything that it started.
//!
//! ```
//! use martlet::{Agent, ToolError, tool};
//! # use martlet_testkit::ScriptedModel;
//!
//! /// Current temperature of a city, in °C.
//! #[tool]
//! async fn temperature(/** City name. */ city: String) -> Result<f64, ToolError> {
//!     Ok(if city == "Oslo" { 4.0 } else { 19.5 })
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let model = ScriptedModel::new(["```python\nfinal_answer(temperature('Oslo'))\n```"]);
//! let agent = Agent::code(model).tool(temperature).build()?;
//! let result = agent.run("How warm is it in Oslo?").await?;
//! assert_eq!(result.output, 4.0);
//! # Ok(())
//! # }
//! ```
//!
//! The crates underneath are re-exported: [`core`] (the run as a state machine), [`model`], [`tools`],
//! [`sandbox`] and [`store`].

mod adjust;
mod agent;
mod approve;
mod blocking;
mod child;
mod driver;
mod error;
mod graph;
mod handle;
mod ids;
mod observe;
mod record;
mod request;
mod session;
mod settings;
mod within;

pub use martlet_core as core;
pub use martlet_model as model;
pub use martlet_sandbox as sandbox;
pub use martlet_store as store;
pub use martlet_tools as tools;

pub use adjust::Adjustment;
pub use agent::{Agent, AgentBuilder};
pub use approve::{Approver, DenyAll, Doubt, Question};
pub use child::Child;
pub use error::{AgentError, RunError};
pub use graph::{
    Graph, GraphBuildError, GraphBuilder, GraphHandle, GraphRequest, GraphRunError, Input, InputError,
    IntoNode, Node, NodeOutput, Verdict, blocking, kind,
};
pub use handle::RunHandle;
pub use martlet_core::graph::{
    AtMax, Expression, ForEach, ForEachOrder, GraphFailure, Join, NodeFailure, NodeFailureKind, NodeReport,
    NodeStatus, OnError, OnFailure, Reducer, Retry, SkipCause, SkipKind, State,
};
pub use martlet_core::{
    AgentMetrics, AgentResponse, AgentSpec, ApprovalPolicy, ApprovalRule, Decision, DecisionKind, Event,
    EventKind, GraphResult, GraphSpec, GraphStatus, Message, ModelOptions, ModelProfile, Part, Prompts, Risk,
    Role, RunId, RunResult, RunStatus, Step, Strategy, Task, ToolPattern, ToolSpec, Usage, replay::replay,
};
pub use martlet_macros::tool;
pub use martlet_model::{Model, OpenAiCompatible, SharedModel};
pub use martlet_tools::{Tool, ToolContext, ToolError, Toolbox};
pub use observe::{ModelCall, Observer, Update};
pub use record::JournalRecord;
pub use request::RunRequest;
pub use session::Session;

#[cfg(doctest)]
mod documents {
    //! The snippets of the pages compile, and those that can run offline run.
    #[doc = include_str!("../../../README.md")]
    mod readme {}
    #[doc = include_str!("../../../docs/agents.md")]
    mod agents {}
    #[doc = include_str!("../../../docs/tools.md")]
    mod tools {}
    #[doc = include_str!("../../../docs/tools-web.md")]
    mod tools_web {}
    #[doc = include_str!("../../../docs/files.md")]
    mod files {}
    #[doc = include_str!("../../../docs/memory.md")]
    mod memory {}
    #[doc = include_str!("../../../docs/graphs.md")]
    mod graphs {}
    #[doc = include_str!("../../../docs/reasoning.md")]
    mod reasoning {}
    #[doc = include_str!("../../../docs/durable.md")]
    mod durable {}
    #[doc = include_str!("../../../docs/approvals.md")]
    mod approvals {}
}
