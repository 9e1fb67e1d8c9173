//! Our own Python: pieces that a session is fed when a program needs them.

pub(crate) mod captured;

use std::collections::BTreeSet;
use std::sync::{LazyLock, OnceLock};

/// A piece: its name, the pieces that it stands on, its text.
struct Piece {
    name: &'static str,
    needs: &'static [&'static str],
    code: &'static str,
    /// The text that is fed.
    fed: OnceLock<String>,
}

macro_rules! pieces {
    ($($name:literal: [$($need:literal),*]),* $(,)?) => {
        LazyLock::new(|| vec![$(Piece {
            name: $name,
            needs: &[$($need),*],
            code: include_str!(concat!("prelude/", $name, ".py")),
            fed: OnceLock::new(),
        }),*])
    };
}

/// Every piece after those that it stands on.
static PIECES: LazyLock<Vec<Piece>> = pieces! {
    "module": [],
    "classes": [],
    "builtins": [],
    "await": [],
    "order": ["classes"],
    "generators": ["classes"],
    "abc": ["module"],
    "array": ["module"],
    "asyncio": ["module", "await"],
    "calendar": ["module"],
    "cmath": ["module"],
    "collections": ["module", "classes"],
    "collections_abc": ["module", "classes"],
    "concurrent": ["module"],
    "contextlib": ["module", "classes", "generators"],
    "dataclasses": ["module", "classes"],
    "datetime": ["module"],
    "difflib": ["module"],
    "enum": ["module", "classes"],
    "fractions": ["module"],
    "functools": ["module", "classes", "builtins"],
    "heapq": ["module", "classes", "order"],
    "html": ["module"],
    "io": ["module"],
    "json": ["module"],
    "logging": ["module"],
    "numbers": ["module"],
    "operator": ["module"],
    "pprint": ["module"],
    "queue": ["module", "classes", "order", "heapq"],
    "re": ["module"],
    "secrets": ["module"],
    "stat": ["module"],
    "statistics": ["module", "classes"],
    "string": ["module"],
    "textwrap": ["module"],
    "traceback": ["module", "classes"],
    "types": ["module"],
    "typing": ["module", "classes"],
    "urllib": ["module"],
    "uuid": ["module"],
    "warnings": ["module"],
    "zlib": ["module"],
    "zoneinfo": ["module"],
};

/// The texts to feed for what a program needs, without what was `loaded` before; notes them there.
///
/// `hides` says whether the program gives a name that the pieces read another meaning.
pub(super) fn pieces(
    needs: &BTreeSet<&'static str>,
    hides: bool,
    loaded: &mut BTreeSet<String>,
) -> Vec<&'static str> {
    let mut wanted = BTreeSet::new();
    let mut open: Vec<&'static str> = needs.iter().copied().collect();
    while let Some(name) = open.pop() {
        if wanted.insert(name)
            && let Some(piece) = PIECES.iter().find(|piece| piece.name == name)
        {
            open.extend(piece.needs);
        }
    }
    let mut texts = Vec::new();
    if (hides || !wanted.is_empty()) && loaded.insert(captured::NAME.to_owned()) {
        texts.push(captured::copies());
    }
    texts.extend(
        PIECES
            .iter()
            .filter(|piece| wanted.contains(piece.name) && loaded.insert(piece.name.to_owned()))
            .map(|piece| piece.fed.get_or_init(|| captured::reading_copies(piece.code)).as_str()),
    );
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_come_after_what_they_stand_on() {
        for (index, piece) in PIECES.iter().enumerate() {
            for need in piece.needs {
                assert!(
                    PIECES[..index].iter().any(|earlier| earlier.name == *need),
                    "{} needs {need}",
                    piece.name
                );
            }
        }
    }

    #[test]
    fn pieces_are_fed_once() {
        let mut loaded = BTreeSet::new();
        assert_eq!(pieces(&BTreeSet::from(["order"]), false, &mut loaded).len(), 3);
        assert!(pieces(&BTreeSet::from(["order", "classes"]), true, &mut loaded).is_empty());
    }

    #[test]
    fn built_in_names_are_copied_before_they_can_be_hidden() {
        let mut loaded = BTreeSet::new();
        assert!(pieces(&BTreeSet::new(), false, &mut loaded).is_empty());
        assert_eq!(pieces(&BTreeSet::new(), true, &mut loaded), [captured::copies()]);
        assert!(pieces(&BTreeSet::new(), true, &mut loaded).is_empty());
    }
}
