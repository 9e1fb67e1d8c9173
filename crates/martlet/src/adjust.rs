//! An agent as one caller wants it for one run.

use std::sync::Arc;

use martlet_core::{AgentSpec, ModelOptions};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agent::{Agent, Parts};
use crate::error::AgentError;

/// What one caller wants of an agent for one run, without another agent being configured for it.
///
/// It adds to what the agent is, and takes nothing away: tools, approval rules and limits stay as they are.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Adjustment {
    /// Instructions that follow the agent's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// JSON Schema that the answer must satisfy, in the place of the agent's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer_schema: Option<Value>,
    /// Sampling and length of each model call, over the agent's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<ModelOptions>,
}

impl Adjustment {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Agent {
    /// This agent with an adjustment. A run of it keeps it, also when it is resumed as a run of this agent.
    ///
    /// # Errors
    /// A schema that cannot be used.
    pub fn adjusted(&self, adjustment: &Adjustment) -> Result<Self, AgentError> {
        if adjustment.is_empty() {
            return Ok(self.clone());
        }
        let parts = &**self.parts();
        let mut settings = (**parts.spec).clone();
        if let Some(more) = &adjustment.instructions {
            let own = settings.instructions.take().filter(|own| !own.trim().is_empty());
            settings.instructions = Some(own.map_or_else(|| more.clone(), |own| format!("{own}\n\n{more}")));
        }
        if let Some(schema) = &adjustment.answer_schema {
            settings.answer_schema = Some(schema.clone());
        }
        if let Some(options) = &adjustment.options {
            settings.options = settings.options.overridden_by(options);
        }
        Ok(Self::from_parts(Parts {
            spec: Arc::new(AgentSpec::new(settings)?),
            model: parts.model.clone(),
            tools: parts.tools.clone(),
            python: parts.python.clone(),
            checks: parts.checks.clone(),
            approver: parts.approver.clone(),
            journal: parts.journal.clone(),
            children: parts.children.clone(),
            max_depth: parts.max_depth,
        }))
    }
}
