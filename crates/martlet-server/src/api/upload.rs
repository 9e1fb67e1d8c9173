//! What is made of the name and the type that somebody gives a file.

use crate::problem::{Problem, ProblemKind};

/// The longest name, in bytes.
const NAME: usize = 200;
const PLAIN: &str = "application/octet-stream";

/// A name to show: one component, nothing invisible, nothing that a file system takes for something else.
pub(crate) fn clean_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut name: String = last
        .chars()
        .filter(|char| !char.is_control() && !is_hidden(*char))
        .map(|char| if matches!(char, '<' | '>' | ':' | '"' | '|' | '?' | '*') { '_' } else { char })
        .collect();
    if name.len() > NAME {
        let extension = name.rsplit_once('.').map(|(_, end)| format!(".{end}")).filter(|end| end.len() <= 20);
        let extension = extension.unwrap_or_default();
        let end = name.floor_char_boundary(NAME - extension.len());
        name.truncate(end);
        name.push_str(&extension);
    }
    let name = name.trim_start().trim_end_matches(|char: char| char == '.' || char.is_whitespace());
    if name.is_empty() || name.chars().all(|char| char == '.') {
        return "file".into();
    }
    if is_device(name) { format!("_{name}") } else { name.into() }
}

fn is_hidden(char: char) -> bool {
    matches!(char, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Names that Windows takes for devices, whatever their extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim().to_ascii_uppercase();
    matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL")
        || stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT")).is_some_and(|rest| {
            matches!(rest, "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
        })
}

/// The media type under which a file is kept: the claim, unless the content tells of an image.
pub(crate) fn media_type(claim: Option<&str>, beginning: &[u8]) -> Result<String, Problem> {
    let claim = claim.unwrap_or(PLAIN).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let token = |text: &str| {
        !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    if claim.len() > 100 || !claim.split_once('/').is_some_and(|(kind, rest)| token(kind) && token(rest)) {
        let text = "the type of a file is not a media type: use one like `text/plain`";
        return Err(Problem::new(ProblemKind::BadRequest, text).param("Content-Type"));
    }
    let seen = image_type(beginning);
    if claim == PLAIN {
        return Ok(seen.unwrap_or(PLAIN).into());
    }
    let is_image = claim.starts_with("image/");
    let is_right =
        if is_image { seen == Some(if claim == "image/jpg" { "image/jpeg" } else { &*claim }) } else { true };
    if is_right {
        return Ok(seen.filter(|_| is_image).map_or(claim, Into::into));
    }
    let text =
        "the content of the image is not what its type says: send PNG, JPEG, GIF or WebP under its own type";
    Err(Problem::new(ProblemKind::UnsupportedMediaType, text))
}

/// What the first bytes tell.
fn image_type(beginning: &[u8]) -> Option<&'static str> {
    match beginning {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_11_a_name_is_never_a_path() {
        let cases = [
            ("report.pdf", "report.pdf"),
            ("../../etc/passwd", "passwd"),
            ("/etc/passwd", "passwd"),
            (r"C:\x\y.txt", "y.txt"),
            ("..", "file"),
            (".", "file"),
            ("a/", "file"),
            ("", "file"),
            ("CON", "_CON"),
            ("nul.txt", "_nul.txt"),
            ("com1.a.b", "_com1.a.b"),
            ("common.txt", "common.txt"),
            ("x\u{202e}fdp.exe", "xfdp.exe"),
            ("a\nb\0c", "abc"),
            ("trailing. . ", "trailing"),
            ("naïve: ein?.md", "naïve_ ein_.md"),
        ];
        for (given, expected) in cases {
            assert_eq!(clean_name(given), expected, "{given:?}");
        }
        let long = clean_name(&format!("{}.tar", "ä".repeat(300)));
        assert!(long.len() <= NAME && long.ends_with(".tar"), "{long}");
    }

    #[test]
    fn an_image_is_what_its_content_says() {
        let png = b"\x89PNG\r\n\x1a\n....";
        assert_eq!(media_type(Some("image/png"), png).unwrap(), "image/png");
        assert_eq!(media_type(None, png).unwrap(), "image/png");
        assert_eq!(media_type(Some("image/jpg"), b"\xff\xd8\xff\xe0").unwrap(), "image/jpeg");
        assert_eq!(media_type(Some("text/plain; charset=utf-8"), b"x").unwrap(), "text/plain");
        let kind = |claim, content| media_type(Some(claim), content).unwrap_err().kind();
        assert_eq!(kind("image/png", b"<script>"), ProblemKind::UnsupportedMediaType);
        assert_eq!(kind("image/svg+xml", b"<svg/>"), ProblemKind::UnsupportedMediaType);
        assert_eq!(kind("nonsense", b""), ProblemKind::BadRequest);
        assert_eq!(kind("a/b\r\nx: y", b""), ProblemKind::BadRequest);
    }
}
