//! What the model is told of an exception.

use martlet_core::code::CodeError;
use martlet_core::text::cut_middle;
use martlet_core::tool::ToolSpec;
use monty_types::{ExcType, MontyException};

use super::{LATER, Prepared, line_of, modules};

/// The mark between an exception's text, its own class and its number; see the prelude's `_mt_raise`.
const MARK: char = '\u{2063}';

/// The most characters of an exception's text that the model is shown.
const MAX_MESSAGE_CHARS: usize = 4_000;

/// The text of an exception, without its middle if it is long: a program may put all of its data into one.
pub(crate) fn shown_message(text: &str) -> String {
    cut_middle(text, MAX_MESSAGE_CHARS).into_owned()
}

/// What the model is told of an exception that a program ended with.
pub(crate) fn explain(error: &MontyException, prepared: &Prepared, tools: &[ToolSpec]) -> CodeError {
    let (kind, mut message) = own_class(error);
    // The program's own lines: the frames of the first frame's text, the last of them.
    let frames = error.traceback();
    let line = frames.first().and_then(|first| {
        let last = frames.iter().rev().find(|frame| frame.filename == first.filename)?;
        let index = usize::try_from(last.start.line.checked_sub(1)?).ok()?;
        prepared.lines.get(index).or(prepared.lines.last()).copied()
    });
    message = message.replace(LATER, "");
    let hint = hint(error, &message, prepared, tools);
    message = shown_message(&message);
    if let Some(hint) = hint {
        if !message.is_empty() && !message.ends_with(['.', '!', '?']) {
            message.push('.');
        }
        message = format!("{message} {hint}").trim().to_owned();
    }
    CodeError { kind, message, source_line: line.and_then(|line| line_of(&prepared.source, line)), line }
}

/// The class and the text of an exception, also of one of the program's own classes.
fn own_class(error: &MontyException) -> (String, String) {
    let message = error.message().unwrap_or_default();
    let mut parts = message.rsplitn(3, MARK);
    if let (Some(_), Some(class), Some(text)) = (parts.next(), parts.next(), parts.next()) {
        return (class.to_owned(), text.to_owned());
    }
    let kind = error.exc_type().to_string();
    // CPython shows the class without its module in `type(e).__name__`.
    let kind = kind.rsplit('.').next().unwrap_or(&kind).to_owned();
    let kind = if error.exc_type() == ExcType::RePatternError { "error".to_owned() } else { kind };
    (kind, message.to_owned())
}

fn hint(error: &MontyException, message: &str, prepared: &Prepared, tools: &[ToolSpec]) -> Option<String> {
    let fixed = |text: &str| Some(text.to_owned());
    match error.exc_type() {
        ExcType::NotImplementedError if message.contains("cannot suspend in this synchronous context") => {
            fixed(
                "A tool cannot be called from inside a special method (`__str__`, `__getitem__`, `__iter__`, ...) or a \
             callback of a built-in function: call it first in a loop or a comprehension and keep the results.",
            )
        }
        ExcType::NotImplementedError if message.contains("does not yet support") => {
            let ways = [
                ("metaclasses", "Write the class without a metaclass; use a decorator or a function."),
                ("yield", "Collect the values in a list and return it."),
                ("async for", "Await the whole list first, then loop over it with `for`."),
                ("async comprehensions", "Use `await asyncio.gather(*[...])`."),
                ("async with", "Use `with`, or call the functions directly."),
                ("exception groups", "Use plain `except` and loop over `e.exceptions`."),
                (
                    "class bodies",
                    "Put only methods and `name = value` in a class body; move the rest behind the class.",
                ),
                ("complex class variable", "Assign one name per line in a class body."),
                ("Wildcard", "Import the names that you need."),
                ("**kwargs", "Merge the dicts first: `f(**{**a, **b})`."),
                ("shadows a captured variable", "Rename the class member or the outer variable."),
                ("template strings", "Use an f-string."),
            ];
            ways.iter()
                .find(|(part, _)| message.contains(part))
                .and_then(|(_, way)| fixed(way))
                .or_else(|| fixed("Write it in another way: plain functions, lists and dicts always work."))
        }
        ExcType::NotImplementedError if message.contains("Wildcard imports") => {
            fixed("Import the names that you need.")
        }
        ExcType::TypeError if message.contains("coroutine") => {
            fixed("Write `await` before the call (or `await asyncio.gather(...)` for several).")
        }
        ExcType::TypeError if message.contains("can't be awaited") => {
            fixed("The value is already there: leave `await` out.")
        }
        ExcType::NameError => {
            let name = quoted(message)?;
            if let Some(tool) = nearest(name, tools) {
                return Some(format!("Did you mean the function `{tool}`?"));
            }
            if modules::provision(name).is_some() {
                return Some(format!("Write `import {name}` first."));
            }
            match name {
                "input" => fixed("Nobody can type here: use the given functions."),
                "exit" | "quit" => fixed("End with the last statement instead."),
                _ => None,
            }
        }
        ExcType::ModuleNotFoundError => {
            let module = quoted(message)?;
            let known =
                modules::AVAILABLE.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
            Some(format!("Authorized imports are: [{known}]. {}", modules::way_around(module)))
        }
        ExcType::PermissionError => {
            fixed("There are no files here: use the given functions, or keep the text in a variable.")
        }
        ExcType::RuntimeError
            if message.contains("exceptions can only be called with zero or one string") =>
        {
            fixed("Give the exception one text: `raise ValueError(f\"...\")`.")
        }
        ExcType::TypeError if message.contains("cannot create 'object' instances") => {
            fixed("Use `None`, or an instance of an own empty class, as a marker.")
        }
        ExcType::AttributeError => attribute(message, prepared),
        _ => None,
    }
}

fn attribute(message: &str, prepared: &Prepared) -> Option<String> {
    let owner = quoted(message)?;
    match owner {
        "function" => {
            Some("A function cannot have attributes here: keep the value in a variable or a dict.".to_owned())
        }
        "str" | "list" | "dict" | "set" | "tuple" | "int" | "float" | "bytes"
            if message.contains("has no attribute") && prepared.source.contains('.') =>
        {
            let name = message.rsplit('\'').nth(1)?;
            (prepared.source.contains(&format!(".{name}")) && !prepared.source.contains(&format!(".{name}(")))
                .then(|| format!("If you need the method as a value, write `lambda *a: x.{name}(*a)`."))
        }
        _ => None,
    }
}

/// The first quoted part of a message.
fn quoted(message: &str) -> Option<&str> {
    message.split('\'').nth(1)
}

/// The tool whose name is nearest to one that does not exist, if it is near enough.
fn nearest<'a>(name: &str, tools: &'a [ToolSpec]) -> Option<&'a str> {
    tools
        .iter()
        .map(|tool| (distance(name, &tool.name), tool.name.as_str()))
        .filter(|(distance, tool)| {
            *distance <= 2.max(tool.len() / 3) && *distance < tool.len() || contains_words(name, tool)
        })
        .min()
        .map(|(_, tool)| tool)
}

fn contains_words(name: &str, tool: &str) -> bool {
    name.len() > 3 && tool.len() > 3 && (tool.contains(name) || name.contains(tool))
}

/// How many characters have to be changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(&b) {
            let above = *cell;
            left = (above + 1).min(left + 1).min(diagonal + usize::from(x != *y));
            diagonal = above;
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn distances() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
