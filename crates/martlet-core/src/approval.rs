//! Which tool calls need a person: an ordered list of rules that belongs to an agent or a graph.
//!
//! A policy is part of the settings, which no run can change: an agent cannot talk itself out of it.

mod pattern;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::graph::{Expression, Scope, Shared};
use crate::tool::{ToolFlags, ToolSpec};

pub use pattern::{PatternError, ToolPattern};

/// The names that the expressions of rules know.
const NAMES: [&str; 3] = ["tool", "arguments", "risk"];

/// Decides for each call of a tool whether it is made, is refused, or waits for a person.
///
/// Of its own rules the first that matches a call decides it; where none does, the tool's own flag
/// [`needs_approval`](ToolFlags::needs_approval). Where a run is part of another one, the rules of that are looked at as
/// well, and count where they say [`Ask`](Verdict::Ask) or [`Deny`](Verdict::Deny): the stricter verdict holds.
///
/// ```
/// use martlet_core::{ApprovalPolicy, ApprovalRule, ToolSpec, Verdict};
/// use serde_json::{Map, json};
///
/// let policy = ApprovalPolicy::new([
///     ApprovalRule::deny().tool("drop_*".parse()?).reason("nothing is deleted here"),
///     ApprovalRule::ask().tool("refund".parse()?).when("arguments.amount > 50".parse()?),
///     ApprovalRule::allow().tool("refund".parse()?),
/// ]);
/// let refund = ToolSpec::new("refund", "Gives money back.");
/// let arguments = Map::from_iter([("amount".into(), json!(80))]);
/// assert_eq!(policy.ruling(&refund, &arguments).verdict, Verdict::Ask);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ApprovalPolicy {
    /// The rules, in the order in which they are tried.
    pub rules: Vec<ApprovalRule>,
    /// The rules of the agents and graphs that this one works for, nearest first. [`within`](Self::within) adds them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outer: Vec<Vec<ApprovalRule>>,
}

/// A rule of an [`ApprovalPolicy`]. It matches a call where all that it names fits; one that names nothing matches all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ApprovalRule {
    /// Tools by their names, with `*` for any letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<ToolPattern>,
    /// Tools of that risk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
    /// Calls for which the expression holds. It knows `tool` (the name), `arguments` and `risk`. One that fails makes a
    /// person decide, whatever the rule says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<Expression>,
    /// What happens to a call that matches.
    pub then: Verdict,
    /// Why: told to the person who is asked, or to the model that is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What a policy says of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A person decides.
    Ask,
    /// It is made without asking anybody, also where the tool itself says that it needs approval.
    Allow,
    /// It is refused without asking anybody; the model is told why.
    Deny,
}

/// How bad it is to call a tool, or to call it twice; it follows from its [`ToolFlags`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// It changes nothing ([`ToolFlags::read_only`]).
    ReadOnly,
    /// It changes something, once however often it is repeated ([`ToolFlags::idempotent`]).
    Repeatable,
    /// It may change something each time. Managed agents and graphs count as this: what they do is up to them.
    Unsafe,
}

impl Risk {
    /// The word by which rules and their expressions know it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadOnly => "read_only",
            Self::Repeatable => "repeatable",
            Self::Unsafe => "unsafe",
        }
    }
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ToolFlags {
    /// The risk of calling a tool of these flags.
    pub fn risk(self) -> Risk {
        if self.read_only {
            Risk::ReadOnly
        } else if self.idempotent {
            Risk::Repeatable
        } else {
            Risk::Unsafe
        }
    }
}

/// What a policy says of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ruling {
    /// What happens to it.
    pub verdict: Verdict,
    /// Why.
    pub reason: Option<String>,
}

impl Ruling {
    fn new(verdict: Verdict, reason: Option<String>) -> Self {
        Self { verdict, reason }
    }

    fn strictness(&self) -> u8 {
        match self.verdict {
            Verdict::Allow => 0,
            Verdict::Ask => 1,
            Verdict::Deny => 2,
        }
    }

    /// What the model is told of a call that is refused.
    pub(crate) fn refusal(&self) -> String {
        match &self.reason {
            Some(reason) => format!("the approval policy refuses this call: {reason}"),
            None => "the approval policy refuses this call".into(),
        }
    }
}

impl ApprovalRule {
    /// A rule that matches every call, until it is told which ones.
    pub fn new(then: Verdict) -> Self {
        Self { tool: None, risk: None, when: None, then, reason: None }
    }

    /// A person decides on the calls.
    pub fn ask() -> Self {
        Self::new(Verdict::Ask)
    }

    /// The calls are made without asking anybody.
    pub fn allow() -> Self {
        Self::new(Verdict::Allow)
    }

    /// The calls are refused without asking anybody.
    pub fn deny() -> Self {
        Self::new(Verdict::Deny)
    }

    /// Only calls of tools whose names fit.
    pub fn tool(mut self, pattern: ToolPattern) -> Self {
        self.tool = Some(pattern);
        self
    }

    /// Only calls of tools of that risk.
    pub fn risk(mut self, risk: Risk) -> Self {
        self.risk = Some(risk);
        self
    }

    /// Only calls for which the expression holds.
    pub fn when(mut self, expression: Expression) -> Self {
        self.when = Some(expression);
        self
    }

    /// Why: told to the person who is asked, or to the model that is refused.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// What the rule says of a call; `None` if it is not about it.
    fn ruling(&self, spec: &ToolSpec, arguments: &Map<String, Value>) -> Option<Ruling> {
        let risk = spec.flags.risk();
        if self.tool.as_ref().is_some_and(|pattern| !pattern.matches(&spec.name))
            || self.risk.is_some_and(|wanted| wanted != risk)
        {
            return None;
        }
        let Some(when) = &self.when else { return Some(Ruling::new(self.then, self.reason.clone())) };
        match when.holds(&Call { tool: &spec.name, arguments, risk }) {
            Ok(true) => Some(Ruling::new(self.then, self.reason.clone())),
            Ok(false) => None,
            // Whatever the rule was meant to say, it must not be passed by a call that it cannot read.
            Err(error) => {
                let reason = format!("a rule could not be applied to this call: {error}");
                Some(Ruling::new(Verdict::Ask, Some(reason)))
            }
        }
    }

    /// What is wrong with the rule: something that nobody would ever see.
    fn check(&self) -> Result<(), &'static str> {
        match &self.reason {
            Some(_) if self.then == Verdict::Allow => {
                Err("it allows, so nobody is told its `reason`: remove it")
            }
            Some(reason) if reason.trim().is_empty() => Err("its `reason` is empty: write one, or remove it"),
            _ => Ok(()),
        }
    }
}

/// What the expression of a rule sees of a call.
struct Call<'a> {
    tool: &'a str,
    arguments: &'a Map<String, Value>,
    risk: Risk,
}

impl Scope for Call<'_> {
    fn lookup(&self, name: &str) -> Option<Value> {
        match name {
            "tool" => Some(self.tool.into()),
            "arguments" => Some(Value::Object(self.arguments.clone())),
            "risk" => Some(self.risk.as_str().into()),
            _ => None,
        }
    }

    fn share(&self, name: &str) -> Option<Shared> {
        self.lookup(name).map(Shared::from)
    }

    fn names(&self) -> Vec<String> {
        NAMES.map(str::to_owned).to_vec()
    }
}

impl ApprovalPolicy {
    /// A policy of these rules.
    pub fn new(rules: impl IntoIterator<Item = ApprovalRule>) -> Self {
        Self { rules: rules.into_iter().collect(), outer: Vec::new() }
    }

    /// Whether there are no rules at all: then each tool's own flag decides.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.outer.is_empty()
    }

    /// This policy for something that works for what `outer` governs: an agent for the one that manages it, a node for
    /// its graph. Nothing that this policy says is weakened by it.
    #[must_use]
    pub fn within(mut self, outer: &Self) -> Self {
        for rules in [&outer.rules].into_iter().chain(&outer.outer) {
            // The same rules once more would say nothing new.
            if !rules.is_empty() && *rules != self.rules && !self.outer.contains(rules) {
                self.outer.push(rules.clone());
            }
        }
        self
    }

    /// What happens to a call of the tool with these arguments.
    pub fn ruling(&self, spec: &ToolSpec, arguments: &Map<String, Value>) -> Ruling {
        let first = |rules: &[ApprovalRule]| rules.iter().find_map(|rule| rule.ruling(spec, arguments));
        let own = first(&self.rules).unwrap_or_else(|| {
            Ruling::new(if spec.flags.needs_approval { Verdict::Ask } else { Verdict::Allow }, None)
        });
        self.outer.iter().filter_map(|rules| first(rules)).fold(own, |strictest, ruling| {
            if ruling.strictness() > strictest.strictness() { ruling } else { strictest }
        })
    }

    /// Checks the rules.
    ///
    /// # Errors
    /// Which rule cannot be meant like that, and what to do about it.
    pub fn check(&self) -> Result<(), PolicyError> {
        let rules = self.rules.iter().chain(self.outer.iter().flatten());
        for (number, rule) in (1..).zip(rules) {
            rule.check().map_err(|problem| PolicyError { rule: number, problem })?;
        }
        Ok(())
    }
}

/// A rule that cannot be meant as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("approval rule {rule} cannot be used: {problem}")]
pub struct PolicyError {
    rule: usize,
    problem: &'static str,
}

impl PolicyError {
    /// The number of the rule, from 1.
    pub fn rule(&self) -> usize {
        self.rule
    }

    /// What is wrong with it and what to do about it.
    pub fn problem(&self) -> &str {
        self.problem
    }
}
