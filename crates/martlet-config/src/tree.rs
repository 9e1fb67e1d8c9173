//! Values with their origins: what files and variables say, before anybody asks what it means.

use indexmap::IndexMap;

use crate::origin::Origin;

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) origin: Origin,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Table(IndexMap<String, Entry>),
    List(Vec<Node>),
    Text(String),
    Integer(i64),
    Float(f64),
    Bool(bool),
    /// The value of a variable: a text, or what it reads as in TOML, whichever is asked for.
    Variable {
        text: String,
        read: Option<Box<Node>>,
    },
}

/// A value of a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// Where the key is written.
    pub(crate) origin: Origin,
    pub(crate) value: Node,
}

impl Node {
    pub(crate) fn table(origin: Origin) -> Self {
        Self { kind: Kind::Table(IndexMap::new()), origin }
    }

    pub(crate) fn entries(&self) -> Option<&IndexMap<String, Entry>> {
        match &self.kind {
            Kind::Table(entries) => Some(entries),
            Kind::Variable { read: Some(read), .. } => read.entries(),
            _ => None,
        }
    }

    /// The value at a path of keys, and of places in lists.
    pub(crate) fn at(&self, path: &[&str]) -> Option<&Node> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        let next = match &self.kind {
            Kind::List(items) => items.get(first.parse::<usize>().ok()?)?,
            _ => &self.entries()?.get(*first)?.value,
        };
        next.at(rest)
    }

    /// Lays `over` on top: its values take the place of those here, tables are joined key by key.
    pub(crate) fn overlay(&mut self, over: Node) {
        match (&mut self.kind, over.kind) {
            (Kind::Table(entries), Kind::Table(new)) => {
                for (key, entry) in new {
                    match entries.get_mut(&key) {
                        Some(old) => {
                            old.origin = entry.origin;
                            old.value.overlay(entry.value);
                        }
                        None => {
                            entries.insert(key, entry);
                        }
                    }
                }
            }
            (_, kind) => self.kind = kind,
        }
        self.origin = over.origin;
    }

    /// Sets the value at a path of keys that a variable's name gave. A key that is there in another spelling (`-` for
    /// `_`, capitals) is that key: names of variables cannot say more.
    pub(crate) fn set(&mut self, path: &[&str], value: Node) {
        let Some((first, rest)) = path.split_first() else {
            *self = value;
            return;
        };
        if self.entries().is_none() {
            *self = Self::table(value.origin.clone());
        }
        if let Kind::Variable { read: Some(read), .. } = &mut self.kind {
            return read.set(path, value);
        }
        let Kind::Table(entries) = &mut self.kind else { return };
        let spelt = |key: &str| key.to_ascii_lowercase().replace('-', "_");
        let wanted = spelt(first);
        let key = entries.keys().find(|key| spelt(key) == wanted).cloned().unwrap_or(wanted);
        let origin = value.origin.clone();
        let entry = entries
            .entry(key)
            .or_insert_with(|| Entry { origin: origin.clone(), value: Self::table(origin.clone()) });
        if rest.is_empty() {
            entry.origin = origin;
        }
        entry.value.set(rest, value);
    }
}
