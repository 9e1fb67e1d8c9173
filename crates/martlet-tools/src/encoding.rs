//! Bytes that somebody else wrote, as text.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// The text that the bytes are, and the name of the encoding; `None` if they are no text at all.
///
/// A byte order mark decides; else the encoding that was named, if it fits; else what the bytes look like: UTF-8, UTF-16, or
/// what Windows writes in the west.
pub(crate) fn decode<'a>(bytes: &'a [u8], named: Option<&str>) -> Option<(Cow<'a, str>, &'static str)> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        let (text, _) = encoding.decode_without_bom_handling(bytes.get(mark..).unwrap_or_default());
        return Some((text, encoding.name()));
    }
    if let Some(encoding) = named.and_then(|name| Encoding::for_label(name.as_bytes())) {
        let (text, has_errors) = encoding.decode_without_bom_handling(bytes);
        if !has_errors {
            return Some((text, encoding.name()));
        }
    }
    if !bytes.contains(&0) {
        if let Ok(text) = std::str::from_utf8(bytes) {
            return Some((text.into(), UTF_8.name()));
        }
        // Cut in the middle of a character, or with a few bad ones.
        let (text, _) = UTF_8.decode_without_bom_handling(bytes);
        let bad = text.chars().filter(|&char| char == '\u{fffd}').count();
        let (encoding, text) = match bad * 200 <= text.len() {
            true => (UTF_8, text),
            false => (WINDOWS_1252, WINDOWS_1252.decode_without_bom_handling(bytes).0),
        };
        return is_text(&text).then(|| (text, encoding.name()));
    }
    // In UTF-16, every other byte of western text is zero.
    let zeros = |odd: usize| bytes.iter().skip(odd).step_by(2).take(512).filter(|&&byte| byte == 0).count();
    let sample = (bytes.len() / 2).min(512);
    let encoding = match (zeros(0), zeros(1)) {
        (0, low) if low * 2 > sample => UTF_16LE,
        (high, 0) if high * 2 > sample => UTF_16BE,
        _ => return None,
    };
    let (text, has_errors) = encoding.decode_without_bom_handling(bytes);
    (!has_errors).then(|| (text, encoding.name()))
}

/// Whether there is next to nothing in it that no text has.
fn is_text(text: &str) -> bool {
    let is_odd =
        |char: &char| char.is_control() && !matches!(char, '\t' | '\n' | '\r' | '\u{c}' | '\u{1b}' | '\u{8}');
    let odd = text.chars().take(4096).filter(is_odd).count();
    odd * 100 <= text.len().min(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_told_apart() {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        type Case<'a> = (&'a [u8], Option<&'a str>, Option<(&'a str, &'a str)>);
        let cases: [Case<'_>; 10] = [
            (b"plain", None, Some(("plain", "UTF-8"))),
            ("Gr\u{fc}\u{df}e".as_bytes(), None, Some(("Grüße", "UTF-8"))),
            (b"\xef\xbb\xbfmarked", None, Some(("marked", "UTF-8"))),
            (b"Gr\xfc\xdfe aus K\xf6ln", None, Some(("Grüße aus Köln", "windows-1252"))),
            (b"\xff\xfeG\0r\0\xfc\0", None, Some(("Grü", "UTF-16LE"))),
            (&utf16("name;value\n"), None, Some(("name;value\n", "UTF-16LE"))),
            (b"\0n\0a\0m\0e\0;", None, Some(("name;", "UTF-16BE"))),
            (b"\x93\xfa\x96{", Some("shift_jis"), Some(("日本", "Shift_JIS"))),
            (b"", None, Some(("", "UTF-8"))),
            (b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\x03\0>", None, None),
        ];
        for (bytes, named, expected) in cases {
            let found = decode(bytes, named);
            assert_eq!(found.as_ref().map(|(text, name)| (&**text, *name)), expected, "{bytes:?}");
        }
        assert_eq!(decode(&[0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0xff, 0xfe, 0xfd], None), None);
    }
}
