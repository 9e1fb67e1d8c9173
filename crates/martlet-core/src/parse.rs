//! Reading replies: the program in a text, the tool calls in a text, the JSON in a text.

mod calls;
mod json;
mod program;

pub(crate) use calls::{calls_as_whole_text, calls_in_text};
pub(crate) use json::values_in_text;
pub(crate) use program::{Found, find_program};
