//! HTML that is looked at without parsing it.
//!
//! What the HTML standard asks of a parser takes, for each tag, a time that grows with the number of elements that are open:
//! a page of a few megabytes that opens one element after the other keeps it busy for hours. So nesting is estimated
//! first, in one go over the text.

use std::collections::HashMap;

/// More elements that are open at once than in any page that people read.
const MAX_OPEN: usize = 400;
/// More attributes of one tag: each is compared with all before it.
const MAX_ATTRIBUTES: usize = 1_000;

/// Elements that hold nothing, and those that the next one of their kind ends.
const UNCOUNTED: [&str; 34] = [
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track",
    "wbr", "p", "li", "dt", "dd", "td", "th", "tr", "tbody", "thead", "tfoot", "colgroup", "caption",
    "option", "optgroup", "rt", "rp", "html", "head", "body", "!doctype",
];
/// Elements in which there is no markup.
const RAW: [&str; 6] = ["script", "style", "textarea", "title", "xmp", "noframes"];

/// A tag, or the text before one.
enum Piece<'a> {
    Text(&'a str),
    Tag { name: String, is_end: bool, closes_itself: bool, attributes: usize },
}

/// Whether parsing the page would take longer than it is worth.
pub(super) fn is_hostile(html: &str) -> bool {
    let mut open: HashMap<String, usize> = HashMap::new();
    let mut depth: usize = 0;
    let mut is_calm = true;
    scan(html, |piece| {
        let Piece::Tag { name, is_end, closes_itself, attributes } = piece else { return true };
        is_calm = attributes <= MAX_ATTRIBUTES;
        if !UNCOUNTED.contains(&name.as_str()) {
            // Only in drawings and formulas does the slash at the end mean something.
            let foreign = ["svg", "math"].iter().any(|name| open.get(*name).is_some_and(|count| *count > 0));
            let count = open.entry(name).or_default();
            match is_end {
                true if *count > 0 => {
                    *count -= 1;
                    depth -= 1;
                }
                false if !(closes_itself && foreign) => {
                    *count += 1;
                    depth += 1;
                }
                _ => {}
            }
        }
        is_calm &= depth <= MAX_OPEN && open.len() <= 10_000;
        is_calm
    });
    !is_calm
}

/// The text between the tags.
pub(super) fn bare_text(html: &str) -> String {
    let mut text = String::new();
    scan(html, |piece| {
        match piece {
            Piece::Text(piece) => text.push_str(piece),
            Piece::Tag { .. } => text.push('\n'),
        }
        true
    });
    for (entity, char) in
        [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")]
    {
        text = text.replace(entity, char);
    }
    text
}

/// Shows what is in the text, until `visit` says no. Comments and what is in scripts are left out.
fn scan<'a>(html: &'a str, mut visit: impl FnMut(Piece<'a>) -> bool) {
    let mut rest = html;
    while !rest.is_empty() {
        let Some(start) = rest.find('<') else {
            visit(Piece::Text(rest));
            return;
        };
        let (text, from) = rest.split_at(start);
        if !text.is_empty() && !visit(Piece::Text(text)) {
            return;
        }
        let inner = from.get(1..).unwrap_or_default();
        if let Some(comment) = inner.strip_prefix("!--") {
            rest = comment.split_once("-->").map_or("", |(_, rest)| rest);
            continue;
        }
        let is_end = inner.starts_with('/');
        let named = inner.trim_start_matches('/');
        if !named.starts_with(|char: char| char.is_ascii_alphabetic() || char == '!' || char == '?') {
            if !visit(Piece::Text("<")) {
                return;
            }
            rest = inner;
            continue;
        }
        let (length, attributes) = extent(named);
        let tag = named.get(..length).unwrap_or_default();
        rest = named.get(length + 1..).unwrap_or_default();
        let name =
            tag.split(|char: char| char.is_ascii_whitespace() || char == '/').next().unwrap_or_default();
        let name = name.to_ascii_lowercase();
        if !is_end && RAW.contains(&name.as_str()) {
            rest = after_end(rest, &name);
            continue;
        }
        if !visit(Piece::Tag { name, is_end, closes_itself: tag.ends_with('/'), attributes }) {
            return;
        }
    }
}

/// How long a tag is, up to its `>`, and how many words stand in it outside of quotes.
fn extent(tag: &str) -> (usize, usize) {
    let mut quote = None;
    let mut words = 0;
    let mut last = b'x';
    for (place, &byte) in tag.as_bytes().iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return (place, words),
            (None, b'"' | b'\'') if last == b'=' => quote = Some(byte),
            (None, _) if byte.is_ascii_whitespace() && !last.is_ascii_whitespace() => words += 1,
            (Some(end), _) if byte == end => {
                quote = None;
                words += 1;
            }
            _ => {}
        }
        last = byte;
    }
    (tag.len(), words)
}

/// What follows the end of an element without markup in it.
fn after_end<'a>(rest: &'a str, name: &str) -> &'a str {
    let bytes = rest.as_bytes();
    let mut from = 0;
    while let Some(found) = rest.get(from..).and_then(|rest| rest.find("</")) {
        let place = from + found + 2;
        let is_it = bytes
            .get(place..place + name.len())
            .is_some_and(|word| word.eq_ignore_ascii_case(name.as_bytes()));
        if is_it {
            let end =
                rest.get(place..).and_then(|rest| rest.find('>')).map_or(rest.len(), |end| place + end + 1);
            return rest.get(end..).unwrap_or_default();
        }
        from = place;
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_keep_a_parser_busy_is_seen() {
        for opening in [
            "<div>",
            "<blockquote>",
            "<ul><li>",
            "<b>",
            "<span></x>",
            "<DIV class=a>",
            "<div/>",
            "<table><tr><td>",
            "<svg><g>",
            "<a href='>'>",
            "<span><div></span>",
        ] {
            assert!(is_hostile(&opening.repeat(500)), "{opening}");
            assert!(!is_hostile(&opening.repeat(40)), "{opening}");
        }
        let attributes: String = (0..2_000).map(|number| format!(" a{number}=1")).collect();
        assert!(is_hostile(&format!("<p{attributes}>")));
        let quoted: String = (0..2_000).map(|number| format!("a{number}=\"1\"")).collect();
        assert!(is_hostile(&format!("<p {quoted}>")));
    }

    #[test]
    fn long_pages_are_not_hostile() {
        for piece in [
            "<p>x",
            "<li>x",
            "<div>x</div>",
            "<br>",
            "<img src='data:a b c'>",
            "<tr><td>1<td>2",
            "text < and > more ",
            "<svg><path d='M 0 0'/></svg>",
            "<!-- <div> -->",
            "<script>if (a < b) '<div>'</script>",
            "<option>x",
        ] {
            assert!(!is_hostile(&piece.repeat(5_000)), "{piece}");
        }
    }

    #[test]
    fn the_text_is_what_stands_between_the_tags() {
        let html = "<title>T</title><p class=\"a>b\">1 &lt; 2 &amp; 3</p><script>evil('</p>')</script><!-- no -->x<3";
        let text = bare_text(html);
        assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["1", "<", "2", "&", "3", "x<3"]);
        for odd in ["<", "<div", "<div a='", "</", "<!--", "<script>", "<script></", "é<é"] {
            let _ = (bare_text(odd), is_hostile(odd));
        }
    }
}
