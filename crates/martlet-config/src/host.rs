//! What a file cannot bring along.

use std::error::Error;
use std::sync::Arc;

use martlet::sandbox::Sandbox;
use martlet::{SharedModel, Toolbox};

/// Why the host cannot give something.
pub type HostError = Box<dyn Error + Send + Sync>;

/// The program that the configuration is used in: it brings what a file cannot.
pub trait Host: Send + Sync {
    /// The names of the tools that agents and workflows may name.
    fn tool_names(&self) -> Vec<String>;

    /// The tools of these names. Programs that a tool runs run in `sandbox` and may import `imports`.
    ///
    /// # Errors
    /// A name that is not known, or a tool that cannot be set up.
    fn tools(
        &self,
        names: &[String],
        sandbox: &Arc<dyn Sandbox>,
        imports: &[String],
    ) -> Result<Toolbox, HostError>;

    /// Where Python runs.
    ///
    /// # Errors
    /// It cannot be set up on this machine.
    fn sandbox(&self) -> Result<Arc<dyn Sandbox>, HostError>;

    /// The model of agents that name none, when the configuration names none either.
    ///
    /// # Errors
    /// There is none.
    fn default_model(&self) -> Result<SharedModel, HostError>;
}
