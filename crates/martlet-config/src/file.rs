//! Reading TOML, with the line of everything.

use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::Problem;
use crate::origin::Origin;
use crate::tree::{Entry, Kind, Node};

/// The most bytes of a file: far more than anybody writes by hand.
const BYTES: u64 = 16 << 20;

/// Reads a file. `None` if there is none.
///
/// # Errors
/// The file cannot be read, or is no TOML.
pub(crate) fn read(path: &Path) -> Result<Option<Node>, Problem> {
    let shown = || crate::origin::shown(path).display().to_string();
    let bytes = match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Ok(about) if about.len() > BYTES => {
            return Err(Problem::new(format!("{} is longer than {} MiB: split it", shown(), BYTES >> 20)));
        }
        _ => std::fs::read(path).map_err(|error| {
            Problem::new(format!("cannot read {}: {error}; check whether you may read it", shown()))
        })?,
    };
    let text = String::from_utf8(bytes)
        .map_err(|_| Problem::new(format!("{} is not UTF-8 text: save it as such", shown())))?;
    parse(&text, path).map(Some)
}

/// Reads the text of the file `path`.
///
/// # Errors
/// It is no TOML. The message repeats nothing of the text, which may hold a key.
pub(crate) fn parse(text: &str, path: &Path) -> Result<Node, Problem> {
    let path: Arc<Path> = path.into();
    let lines = Lines::new(text);
    let place = |at: usize| Origin::File { path: path.clone(), line: lines.of(at) };
    match DeTable::parse(text) {
        Ok(table) => {
            let origin = place(0);
            Ok(Node { kind: table_kind(table.into_inner(), &place), origin })
        }
        Err(error) => {
            let origin = place(error.span().map_or(0, |span| span.start));
            let first = error.message().lines().next().unwrap_or("it cannot be read");
            Err(Problem::new(format!("this is not TOML ({origin}): {first}")).at(origin))
        }
    }
}

/// What a text reads as where a value may stand; `None` if it is no TOML value.
pub(crate) fn parse_value(text: &str, origin: &Origin) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    Some(node(value, &|_| origin.clone()))
}

fn node(value: Spanned<DeValue<'_>>, place: &impl Fn(usize) -> Origin) -> Node {
    let origin = place(value.span().start);
    let kind = match value.into_inner() {
        DeValue::String(text) => Kind::Text(text.into_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Kind::Integer(number),
            // Too long for a number of any key; said where the key is read.
            Err(_) => Kind::Text(number.as_str().to_owned()),
        },
        DeValue::Float(number) => match number.as_str().parse() {
            Ok(number) => Kind::Float(number),
            Err(_) => Kind::Text(number.as_str().to_owned()),
        },
        DeValue::Boolean(value) => Kind::Bool(value),
        DeValue::Datetime(time) => Kind::Text(time.to_string()),
        DeValue::Array(items) => Kind::List(items.into_iter().map(|item| node(item, place)).collect()),
        DeValue::Table(table) => table_kind(table, place),
    };
    Node { kind, origin }
}

fn table_kind(table: DeTable<'_>, place: &impl Fn(usize) -> Origin) -> Kind {
    let entries: IndexMap<String, Entry> = table
        .into_iter()
        .map(|(key, value)| {
            let origin = place(key.span().start);
            let mut value = node(value, place);
            // A table is where its name stands, not where its first value does.
            if matches!(value.kind, Kind::Table(_)) {
                value.origin = origin.clone();
            }
            (key.into_inner().into_owned(), Entry { origin, value })
        })
        .collect();
    Kind::Table(entries)
}

/// The starts of the lines of a text.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(std::iter::once(0).chain(breaks.map(|(place, _)| place + 1)).collect())
    }

    /// The line, from 1, of a place in the text.
    fn of(&self, place: usize) -> usize {
        self.0.partition_point(|start| *start <= place)
    }
}
