//! Reading plans and completion checks, and the forms that models are asked for.

use serde_json::{Map, Value, json};

use crate::agent::AgentSpec;
use crate::parse::values_in_text;
use crate::reasoning::{CompletionCheck, Plan, PlannedTask};
use crate::tool::{FINAL_ANSWER, ToolSpec};

/// The tool by which the user is asked.
pub(super) const ASK_USER: &str = "ask_user";

/// A plan that was read.
#[derive(Debug, PartialEq)]
pub(super) struct Read {
    pub(super) plan: Plan,
    pub(super) tasks: Vec<PlannedTask>,
    /// What is wrong with it, for the model; it was mended.
    pub(super) problem: Option<String>,
}

/// The tools that a plan can name.
pub(crate) fn plannable(tools: &[ToolSpec]) -> impl Iterator<Item = &ToolSpec> + Clone {
    tools.iter().filter(|tool| tool.name != FINAL_ANSWER)
}

/// The form of a plan.
pub(super) fn plan_schema(agent: &AgentSpec) -> Value {
    let mut names: Vec<Value> = plannable(agent.offered_tools()).map(|tool| json!(tool.name)).collect();
    names.push(Value::Null);
    let mut task = json!({
        "type": "object",
        "properties": {
            "description": {"type": "string"},
            "tool_name": {"enum": names},
            "depends_on": {"type": "array", "items": {"type": "integer"}},
            "requires_user_input": {"type": "boolean"},
        },
        "required": ["description", "tool_name", "depends_on", "requires_user_input"],
        "additionalProperties": false,
    });
    if agent.profile.small && agent.tool(ASK_USER).is_none() {
        // Small models set it without need, and here it would end the run.
        if let Some(properties) = task.pointer_mut("/properties").and_then(Value::as_object_mut) {
            properties.remove("requires_user_input");
        }
        if let Some(required) = task.pointer_mut("/required").and_then(Value::as_array_mut) {
            required.pop();
        }
    }
    json!({
        "type": "object",
        "properties": {
            "has_sufficient_info": {"type": "boolean"},
            "reasoning": {"type": "string"},
            "tasks": {"type": "array", "items": task},
        },
        "required": ["has_sufficient_info", "reasoning", "tasks"],
        "additionalProperties": false,
    })
}

/// The form of a completion check.
pub(super) fn check_schema(agent: &AgentSpec) -> Value {
    if agent.profile.small {
        // Reasons and lists take a small model long, and talk it out of being done.
        return json!({
            "type": "object",
            "properties": {"is_complete": {"type": "boolean"}, "next_action": {"type": "string"}},
            "required": ["is_complete"],
            "additionalProperties": false,
        });
    }
    json!({
        "type": "object",
        "properties": {
            "is_complete": {"type": "boolean"},
            "reasoning": {"type": "string"},
            "missing_steps": {"type": "array", "items": {"type": "string"}},
            "next_action": {"type": "string"},
        },
        "required": ["is_complete", "reasoning", "missing_steps", "next_action"],
        "additionalProperties": false,
    })
}

/// Reads a plan.
///
/// # Errors
/// What is wrong, for the model, where nothing can be made of the reply.
pub(super) fn read_plan(text: &str, agent: &AgentSpec) -> Result<Read, String> {
    let values = values_in_text(text);
    let mut problem = None;
    for value in &values {
        match plan_of(value, agent) {
            Ok(read) => return Ok(read),
            Err(wrong) => problem = problem.or(Some(wrong)),
        }
    }
    Err(problem.unwrap_or_else(|| "the reply holds no JSON object".into()))
}

fn plan_of(value: &Value, agent: &AgentSpec) -> Result<Read, String> {
    let (object, tasks) = match value {
        Value::Object(object) => (Some(object), object.get("tasks")),
        // The tasks alone. An empty list is none: `[]` may be anything, such as a box to tick.
        Value::Array(items)
            if !items.is_empty() && items.iter().all(|item| item.get("description").is_some()) =>
        {
            (None, Some(value))
        }
        _ => return Err("a plan is a JSON object with `has_sufficient_info`, `reasoning` and `tasks`".into()),
    };
    let tasks = match tasks {
        Some(Value::Array(items)) => items.as_slice(),
        Some(Value::Null) => &[],
        // Without tasks there must at least be the verdict that none are needed.
        None if object.is_some_and(|object| object.contains_key("has_sufficient_info")) => &[],
        Some(_) => return Err("`tasks` must be a list of objects".into()),
        None => return Err("`tasks` is missing: a list of objects, empty if there is nothing to do".into()),
    };
    let mut problems = Vec::new();
    let limit = agent.limits.calls_per_step;
    if tasks.len() > limit {
        problems.push(format!("{} tasks are too many: plan at most {limit} at once", tasks.len()));
    }
    let count = tasks.len().min(limit);
    let mut planned = Vec::with_capacity(count);
    for (number, task) in (1_u32..).zip(tasks.iter().take(limit)) {
        planned.push(task_of(number, task, count, agent, &mut problems)?);
    }
    if let Some(cycle) = mend_cycles(&mut planned) {
        problems.push(cycle);
    }
    let flag = |name: &str| object.and_then(|object| object.get(name)).and_then(truth);
    let plan = Plan {
        has_sufficient_info: flag("has_sufficient_info").unwrap_or(!planned.is_empty()),
        reasoning: object.map(|object| text_of(object, "reasoning")).unwrap_or_default(),
    };
    let problem = (!problems.is_empty()).then(|| problems.join("; "));
    Ok(Read { plan, tasks: planned, problem })
}

fn task_of(
    number: u32,
    value: &Value,
    count: usize,
    agent: &AgentSpec,
    problems: &mut Vec<String>,
) -> Result<PlannedTask, String> {
    let nothing = Map::new();
    let (object, description) = match value {
        Value::Object(object) => (object, text_of(object, "description")),
        Value::String(text) => (&nothing, text.trim().to_owned()),
        _ => return Err(format!("task {number} must be an object with a `description`")),
    };
    if description.is_empty() {
        return Err(format!("task {number} has no `description`"));
    }
    let requires_user_input = object.get("requires_user_input").and_then(truth).unwrap_or(false);
    let mut tool_name = match object.get("tool_name").or_else(|| object.get("tool")) {
        Some(Value::String(name)) => named_tool(name, agent),
        _ => None,
    };
    if requires_user_input && agent.tool(ASK_USER).is_some() {
        tool_name = Some(ASK_USER.to_owned());
    }
    if let Some(name) = &tool_name
        && agent.tool(name).is_none()
    {
        let known = plannable(agent.offered_tools()).map(|tool| tool.name.as_str());
        let unknown = crate::name::unknown(name, known);
        problems.push(format!("task {number}: {unknown}, or null for no tool"));
    }
    let depends_on = dependencies(number, object.get("depends_on"), count, problems);
    Ok(PlannedTask { description, tool_name, depends_on, requires_user_input })
}

/// The tool that a task names, if it names one: small models write words for "none".
fn named_tool(name: &str, agent: &AgentSpec) -> Option<String> {
    let name = name.trim().trim_end_matches("()");
    if name != FINAL_ANSWER && agent.tool(name).is_some() {
        return Some(name.to_owned());
    }
    let none = ["", "null", "none", "nil", "n/a", "no tool", "-", FINAL_ANSWER];
    (!none.contains(&name.to_ascii_lowercase().as_str())).then(|| name.to_owned())
}

/// The tasks on which a task depends. Where nothing is said: on all before it.
fn dependencies(number: u32, value: Option<&Value>, count: usize, problems: &mut Vec<String>) -> Vec<u32> {
    let listed = match value {
        None => return (1..number).collect(),
        Some(Value::Null) => return Vec::new(),
        Some(Value::Array(items)) => items.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    let mut known: Vec<u32> = Vec::with_capacity(listed.len());
    for item in listed {
        let named = task_number(item);
        match named {
            Some(named) if named >= 1 && usize::try_from(named).is_ok_and(|named| named <= count) => {
                if named != number && !known.contains(&named) {
                    known.push(named);
                }
            }
            _ => problems.push(format!(
                "task {number} depends on task {item}, which is not there: `depends_on` lists numbers of tasks, from 1 to \
                 {count}"
            )),
        }
    }
    known.sort_unstable();
    known
}

fn task_number(value: &Value) -> Option<u32> {
    match value {
        Value::Number(number) => {
            let whole = number.as_u64().or_else(|| {
                let float = number.as_f64()?;
                (float.fract() == 0.0 && (0.0..1e6).contains(&float)).then_some(float as u64)
            });
            u32::try_from(whole?).ok()
        }
        // "2", "task 2", "task_2"
        Value::String(text) => {
            text.trim_start_matches(|letter: char| !letter.is_ascii_digit()).trim().parse().ok()
        }
        _ => None,
    }
}

/// Takes dependencies on later tasks out where tasks wait for each other, and says which did.
fn mend_cycles(tasks: &mut [PlannedTask]) -> Option<String> {
    let mut waiting: Vec<usize> = (0..tasks.len()).collect();
    let mut done = vec![false; tasks.len()];
    loop {
        let is_free = |task: &PlannedTask, done: &[bool]| {
            task.depends_on.iter().all(|number| {
                usize::try_from(*number)
                    .ok()
                    .and_then(|number| done.get(number.checked_sub(1)?))
                    .copied()
                    .unwrap_or(true)
            })
        };
        let free: Vec<usize> = waiting
            .iter()
            .copied()
            .filter(|place| tasks.get(*place).is_some_and(|task| is_free(task, &done)))
            .collect();
        if free.is_empty() {
            break;
        }
        waiting.retain(|place| !free.contains(place));
        for place in free {
            if let Some(done) = done.get_mut(place) {
                *done = true;
            }
        }
    }
    if waiting.is_empty() {
        return None;
    }
    for place in &waiting {
        if let Some(task) = tasks.get_mut(*place) {
            task.depends_on.retain(|number| usize::try_from(*number).is_ok_and(|number| number <= *place));
        }
    }
    let numbers: Vec<String> = waiting.iter().map(|place| (place + 1).to_string()).collect();
    Some(format!("tasks {} wait for each other, or for tasks that do", numbers.join(", ")))
}

/// Reads a completion check.
///
/// # Errors
/// What is wrong, for the model.
pub(super) fn read_check(text: &str) -> Result<CompletionCheck, String> {
    let problem = "the reply holds no JSON object with `is_complete`: true or false";
    values_in_text(text)
        .iter()
        .filter_map(Value::as_object)
        .find_map(|object| {
            Some(CompletionCheck {
                is_complete: object.get("is_complete").and_then(truth)?,
                reasoning: text_of(object, "reasoning"),
                missing_steps: match object.get("missing_steps") {
                    Some(Value::Array(items)) => items.iter().map(crate::tool::display_value).collect(),
                    Some(Value::String(step)) if !step.trim().is_empty() => vec![step.clone()],
                    _ => Vec::new(),
                },
                next_action: text_of(object, "next_action"),
            })
        })
        .ok_or_else(|| problem.into())
}

/// Arguments that do not fit.
pub(super) struct Misfit {
    /// What is wrong, for the model.
    pub(super) problem: String,
    /// What came nearest.
    pub(super) nearest: Option<Map<String, Value>>,
}

/// Reads the arguments of a tool.
pub(super) fn read_arguments(text: &str, tool: &ToolSpec) -> Result<Map<String, Value>, Misfit> {
    let values = values_in_text(text);
    let mut misfit: Option<Misfit> = None;
    for object in values.iter().filter_map(Value::as_object) {
        let wrapped = ["arguments", "args", "parameters", "tool_args", "input", tool.name.as_str()];
        let inner = wrapped.iter().filter_map(|key| object.get(*key)?.as_object());
        for candidate in std::iter::once(object).chain(inner) {
            match tool.validate(candidate) {
                Ok(()) => return Ok(candidate.clone()),
                Err(error) => {
                    misfit = misfit.or_else(|| {
                        Some(Misfit { problem: error.to_string(), nearest: Some(candidate.clone()) })
                    });
                }
            }
        }
    }
    // One value alone, for a tool of one argument.
    if let ([value], Some(only), None) =
        (values.as_slice(), tool.parameter_names().next(), tool.parameter_names().nth(1))
        && !value.is_object()
    {
        let alone = Map::from_iter([(only.to_owned(), value.clone())]);
        if tool.validate(&alone).is_ok() {
            return Ok(alone);
        }
    }
    Err(misfit.unwrap_or_else(|| Misfit {
        problem: "the reply holds no JSON object with the arguments".into(),
        nearest: None,
    }))
}

fn text_of(object: &Map<String, Value>, name: &str) -> String {
    match object.get(name) {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::String(word) => match word.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" => Some(true),
            "false" | "no" => Some(false),
            _ => None,
        },
        _ => None,
    }
}
