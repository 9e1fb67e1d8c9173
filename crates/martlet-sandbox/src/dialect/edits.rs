//! Changes to a program's text that remember which line of it each new line stands for.

/// One replacement; an insertion has `start == end`.
#[derive(Debug, Clone)]
struct Edit {
    start: usize,
    end: usize,
    text: String,
    /// The source line of each line of `text`, if it is not simply the line at `start`.
    lines: Option<Vec<u32>>,
}

/// A set of changes to one text.
///
/// Changes at the same place apply in the order in which they were made. A visitor that walks the tree in
/// source order, inserts prefixes on the way in and suffixes on the way out, nests them correctly.
#[derive(Debug, Clone, Default)]
pub(super) struct Edits {
    edits: Vec<Edit>,
}

impl Edits {
    pub(super) fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    pub(super) fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.replace(at, at, text);
    }

    pub(super) fn replace(&mut self, start: usize, end: usize, text: impl Into<String>) {
        self.edits.push(Edit { start, end: end.max(start), text: text.into(), lines: None });
    }

    /// Replaces with text whose lines stand for the given lines of the source.
    pub(super) fn replace_lines(&mut self, start: usize, end: usize, text: String, lines: Vec<u32>) {
        self.edits.push(Edit { start, end: end.max(start), text, lines: Some(lines) });
    }

    /// The changed text. A change that overlaps an earlier one is left out.
    pub(super) fn apply(mut self, source: &Source) -> Source {
        // Stable: equal places keep their order. A replacement that starts where something is inserted comes after.
        self.edits.sort_by_key(|edit| (edit.start, edit.end > edit.start));
        let mut out =
            Writer { text: String::with_capacity(source.text.len() + 256), lines: vec![source.line(1)] };
        let mut at = 0;
        let mut line = 1;
        for edit in &self.edits {
            if edit.start < at {
                continue;
            }
            let Some(before) = source.text.get(at..edit.start) else { continue };
            out.copy(before, &mut line, source);
            for (index, part) in edit.text.split('\n').enumerate() {
                let origin = match edit.lines.as_ref().and_then(|lines| lines.get(index)) {
                    Some(origin) => source.line(*origin),
                    None => source.line(line),
                };
                if index > 0 {
                    out.text.push('\n');
                    out.lines.push(origin);
                }
                out.text.push_str(part);
            }
            let removed = source.text.get(edit.start..edit.end).unwrap_or_default();
            line += u32::try_from(removed.matches('\n').count()).unwrap_or(0);
            at = edit.end;
        }
        let rest = source.text.get(at..).unwrap_or_default();
        out.copy(rest, &mut line, source);
        Source { text: out.text, lines: out.lines }
    }
}

struct Writer {
    text: String,
    lines: Vec<u32>,
}

impl Writer {
    fn copy(&mut self, text: &str, line: &mut u32, source: &Source) {
        for (index, part) in text.split('\n').enumerate() {
            if index > 0 {
                *line += 1;
                self.text.push('\n');
                self.lines.push(source.line(*line));
            }
            self.text.push_str(part);
        }
    }
}

/// A program's text, and for each of its lines the line that the model wrote.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Source {
    pub(super) text: String,
    lines: Vec<u32>,
}

impl Source {
    /// The text as the model wrote it.
    pub(super) fn new(text: &str) -> Self {
        let count = u32::try_from(text.matches('\n').count()).unwrap_or(u32::MAX - 1);
        Self { text: text.to_owned(), lines: (1..=count + 1).collect() }
    }

    /// The model's line of a line of this text, both from 1.
    pub(super) fn line(&self, line: u32) -> u32 {
        let last = self.lines.last().copied().unwrap_or(1);
        usize::try_from(line.saturating_sub(1))
            .ok()
            .and_then(|index| self.lines.get(index))
            .copied()
            .unwrap_or(last)
    }

    pub(super) fn into_lines(self) -> Vec<u32> {
        self.lines
    }

    /// The line of a place in this text, from 1.
    pub(super) fn line_at(&self, offset: usize) -> u32 {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        u32::try_from(before.matches('\n').count()).unwrap_or(u32::MAX - 1) + 1
    }

    /// The white space at the beginning of the line of a place.
    pub(super) fn indent_at(&self, offset: usize) -> &str {
        let start = self.line_start(offset);
        let line = self.text.get(start..).unwrap_or_default();
        let width = line.len() - line.trim_start_matches([' ', '\t']).len();
        line.get(..width).unwrap_or_default()
    }

    /// Whether nothing but white space stands before a place in its line.
    pub(super) fn starts_line(&self, offset: usize) -> bool {
        let start = self.line_start(offset);
        self.text.get(start..offset).is_some_and(|before| before.trim().is_empty())
    }

    fn line_start(&self, offset: usize) -> usize {
        self.text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_lines_stand_for_the_line_they_were_made_from() {
        let source = Source::new("a\nb\nc\n");
        let mut edits = Edits::default();
        edits.insert(2, "x\ny\n");
        let out = edits.apply(&source);
        assert_eq!(out.text, "a\nx\ny\nb\nc\n");
        assert_eq!([1, 2, 3, 4, 5].map(|line| out.line(line)), [1, 2, 2, 2, 3]);
    }

    #[test]
    fn insertions_at_one_place_keep_their_order() {
        let source = Source::new("f(a)");
        let mut edits = Edits::default();
        edits.insert(2, "g(");
        edits.insert(2, "h(");
        edits.insert(3, ")");
        edits.insert(3, ")");
        assert_eq!(edits.apply(&source).text, "f(g(h(a)))");
    }

    #[test]
    fn maps_compose() {
        let source = Source::new("a\nb\nc");
        let mut first = Edits::default();
        first.insert(0, "0\n");
        let mut second = Edits::default();
        let middle = first.apply(&source);
        second.insert(4, "1\n2\n");
        let out = second.apply(&middle);
        assert_eq!(out.text, "0\na\n1\n2\nb\nc");
        assert_eq!((1..=6).map(|line| out.line(line)).collect::<Vec<_>>(), [1, 1, 2, 2, 2, 3]);
    }
}
