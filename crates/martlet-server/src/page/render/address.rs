//! Addresses of the web that stand in a text.

/// The first address in a text: where it begins and ends.
pub(super) fn find(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(found) = text.get(from..)?.find("://") {
        let colon = from + found;
        let before = text.get(..colon).unwrap_or_default();
        let scheme = ["https", "http"].into_iter().find(|scheme| before.ends_with(scheme));
        if let Some(start) = scheme.map(|scheme| colon - scheme.len())
            && !before.get(..start).unwrap_or_default().ends_with(char::is_alphanumeric)
        {
            let rest = text.get(colon + 3..).unwrap_or_default();
            let length = length(rest);
            if length > 0 {
                return Some((start, colon + 3 + length));
            }
        }
        from = colon + 3;
    }
    None
}

/// How much of a text belongs to an address that begins before it: what ends the sentence does not.
fn length(rest: &str) -> usize {
    let ends =
        |char: char| char.is_whitespace() || char.is_control() || matches!(char, '<' | '>' | '"' | '`' | '|');
    let mut address = rest.split(ends).next().unwrap_or_default();
    let mut open = 0_i64;
    for byte in address.bytes() {
        open += i64::from(byte == b'(') - i64::from(byte == b')');
    }
    while let Some(last) = address.chars().next_back() {
        let is_over = match last {
            // The one that closes a bracket around the address.
            ')' => open < 0,
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '_' | '~' | ']' | '}' | '…' | '”' | '’' => {
                true
            }
            _ => false,
        };
        if !is_over {
            break;
        }
        open += i64::from(last == ')');
        address = address.get(..address.len() - last.len_utf8()).unwrap_or_default();
    }
    address.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_end_before_what_ends_the_sentence() {
        for (text, found) in [
            ("see https://example.com/a_b?c=d#e.", Some("https://example.com/a_b?c=d#e")),
            ("(http://x.example/a_(b))", Some("http://x.example/a_(b)")),
            ("**https://x.example**", Some("https://x.example")),
            ("a xhttps://x.example", None),
            ("https://", None),
            ("https://...", None),
            ("ftp://x.example https://y.example, z", Some("https://y.example")),
            ("no address", None),
        ] {
            assert_eq!(find(text).map(|(from, to)| &text[from..to]), found, "{text}");
        }
    }
}
