//! The approval policies of agents and workflows: their own rules, then those for all.

use std::collections::BTreeSet;

use martlet::core::tool::FINAL_ANSWER;
use martlet::{ApprovalPolicy, ToolPattern};

use crate::builder::Builder;
use crate::error::{Problem, instead, list};
use crate::settings::Rules;

/// The key of rules, in every table.
const KEY: &str = "approvals";

impl Builder<'_> {
    /// The policy of an agent or a workflow. `owner` are the keys of the table that holds its own rules; none if it stands
    /// in no file.
    pub(crate) fn policy(&self, owner: &[&str], own: &Rules) -> Result<ApprovalPolicy, Problem> {
        self.check_rules(owner, own)?;
        self.check_general_rules()?;
        let general = &self.config.settings().approvals;
        Ok(ApprovalPolicy::new(own.iter().chain(general.iter()).cloned()))
    }

    /// Whether the rules for all can be meant as they are.
    pub(crate) fn check_general_rules(&self) -> Result<(), Problem> {
        self.check_rules(&[], &self.config.settings().approvals)
    }

    fn check_rules(&self, owner: &[&str], rules: &Rules) -> Result<(), Problem> {
        for (place, rule) in rules.iter().enumerate() {
            let place = place.to_string();
            let problem =
                |key: &str, text: &str| self.config.problem(&[owner, &[KEY, &place, key]].concat(), text);
            if let Err(error) = ApprovalPolicy::new([rule.clone()]).check() {
                return Err(problem("reason", error.problem()));
            }
            // A name that is misspelt would be a rule that never holds.
            if let Some(pattern) = &rule.tool
                && let Some(text) = self.fits_nothing(pattern)
            {
                return Err(problem("tool", &text));
            }
        }
        Ok(())
    }

    /// What to say of a pattern that fits nothing that can be called.
    fn fits_nothing(&self, pattern: &ToolPattern) -> Option<String> {
        let settings = self.config.settings();
        let mut known: BTreeSet<String> = self.host.tool_names().into_iter().collect();
        known.extend(settings.agents.keys().chain(settings.workflows.keys()).cloned());
        known.insert(FINAL_ANSWER.to_owned());
        if known.iter().any(|name| pattern.matches(name)) {
            return None;
        }
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let advice = match pattern.as_str().contains('*') {
            true => format!("there are {}", list(&known)),
            false => instead(pattern.as_str(), known),
        };
        Some(format!("no tool, agent or workflow is named `{pattern}`: {advice}"))
    }
}
