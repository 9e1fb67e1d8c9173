//! The configuration as it is in effect, for people; without its secrets.

use crate::load::Config;
use crate::origin::Origin;
use crate::tree::{Kind, Node};

/// One value that is set.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line {
    /// The tables that it stands in.
    pub table: Vec<String>,
    /// Its key.
    pub key: String,
    /// It as TOML; a secret is masked.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

impl Config {
    /// Every value that is set, tables in the order in which they were first named.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        collect(&self.tree, &mut Vec::new(), &mut lines);
        lines
    }
}

fn collect(node: &Node, path: &mut Vec<String>, lines: &mut Vec<Line>) {
    let Some(entries) = node.entries() else { return };
    // Values before tables: as they have to stand in a file.
    for (key, entry) in entries.iter().filter(|(_, entry)| entry.value.entries().is_none()) {
        lines.push(Line {
            table: path.clone(),
            key: quoted(key),
            value: written(&entry.value, secrecy(path, key)),
            origin: entry.value.origin.clone(),
        });
    }
    for (key, entry) in entries {
        if entry.value.entries().is_some() {
            path.push(quoted(key));
            collect(&entry.value, path, lines);
            path.pop();
        }
    }
}

/// What of a value may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Secrecy {
    /// All of it.
    None,
    /// Where a key is, but no key.
    Secret,
    /// An address, but no password in it.
    Address,
}

fn secrecy(path: &[String], key: &str) -> Secrecy {
    let lower = key.to_ascii_lowercase();
    let suspicious = ["key", "token", "secret", "password", "authorization"];
    let in_headers = path.last().is_some_and(|table| table == "headers");
    // The name of a state key.
    let harmless = lower == "output_key";
    if in_headers || !harmless && suspicious.iter().any(|word| lower.ends_with(word)) {
        Secrecy::Secret
    } else if matches!(lower.as_str(), "base_url" | "model" | "proxy" | "url") {
        Secrecy::Address
    } else {
        Secrecy::None
    }
}

const MASK: &str = "\"…\"";

fn written(node: &Node, secrecy: Secrecy) -> String {
    match &node.kind {
        Kind::Text(text) => written_text(text, secrecy),
        Kind::Variable { read: Some(read), .. } => written(read, secrecy),
        Kind::Variable { text, .. } => written_text(text, secrecy),
        _ if secrecy == Secrecy::Secret => MASK.into(),
        Kind::Integer(number) => number.to_string(),
        Kind::Float(number) => format!("{number:?}"),
        Kind::Bool(value) => value.to_string(),
        Kind::List(items) => {
            let items: Vec<String> = items.iter().map(|item| written(item, secrecy)).collect();
            format!("[{}]", items.join(", "))
        }
        Kind::Table(entries) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, entry)| {
                    let secrecy = if secrecy == Secrecy::None { self::secrecy(&[], key) } else { secrecy };
                    format!("{} = {}", quoted(key), written(&entry.value, secrecy))
                })
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

fn written_text(text: &str, secrecy: Secrecy) -> String {
    match secrecy {
        Secrecy::Secret if !text.starts_with("env:") && !text.starts_with("file:") => MASK.into(),
        Secrecy::Address => in_quotes(&without_password(text)),
        _ => in_quotes(text),
    }
}

/// The text with no user and password in it, where it is an address: for whatever shows one.
pub fn without_password(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://…@{host}{path}"),
        None => address.to_owned(),
    }
}

/// A key as TOML writes it.
fn quoted(key: &str) -> String {
    let bare = !key.is_empty()
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if bare { key.to_owned() } else { in_quotes(key) }
}

/// A text as TOML writes it. JSON's escapes are TOML's, too.
fn in_quotes(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_cut_out_of_addresses() {
        assert_eq!(without_password("https://me:pw@h/v1#m"), "https://…@h/v1#m");
        assert_eq!(without_password("http://h:1/v1?a=b@c"), "http://h:1/v1?a=b@c");
        assert_eq!(without_password("openai/gpt-4o"), "openai/gpt-4o");
    }
}
