//! The second wall around HTML that was made of Markdown: whatever the first one let through, only what is listed here is left.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};

/// Pictures may be in the text itself, and in these forms alone: none of them can do or load anything.
const PICTURES: [&str; 4] = [
    "data:image/png;base64,",
    "data:image/jpeg;base64,",
    "data:image/gif;base64,",
    "data:image/webp;base64,",
];

static WALL: LazyLock<Builder<'static>> = LazyLock::new(wall);

/// The HTML without all that it must not have.
pub(super) fn sanitise(html: &str) -> String {
    WALL.clean(html).to_string()
}

/// Whether an address may be that of a link: a whole one, of the web or of somebody's mailbox.
pub(super) fn is_link(address: &str) -> bool {
    let is_of = |scheme: &str| {
        address.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            && address.len() > scheme.len()
    };
    (is_of("https://") || is_of("http://") || is_of("mailto:")) && !address.contains(char::is_control)
}

/// Whether an address is a picture that needs no loading.
pub(super) fn is_picture(address: &str) -> bool {
    let of_digits = |rest: &str| {
        rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
    };
    PICTURES
        .iter()
        .any(|form| address.strip_prefix(form).is_some_and(|rest| !rest.is_empty() && of_digits(rest)))
}

/// Whether this is the class that says in which language a program is.
pub(super) fn is_language(class: &str) -> bool {
    class.strip_prefix("language-").is_some_and(|name| {
        (1..=32).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'#' | b'-' | b'_' | b'.'))
    })
}

fn wall() -> Builder<'static> {
    let tags = [
        "a",
        "blockquote",
        "br",
        "code",
        "del",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "img",
        "input",
        "li",
        "ol",
        "p",
        "pre",
        "strong",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "ul",
        "wbr",
    ];
    let attributes: [(&str, &[&str]); 7] = [
        ("a", &["href", "title"]),
        ("img", &["src", "alt", "title"]),
        ("code", &["class"]),
        ("ol", &["start"]),
        ("td", &["align"]),
        ("th", &["align"]),
        ("input", &["checked"]),
    ];
    let mut builder = Builder::empty();
    builder
        .tags(HashSet::from(tags))
        .generic_attributes(HashSet::new())
        .tag_attributes(
            attributes.into_iter().map(|(tag, names)| (tag, names.iter().copied().collect())).collect(),
        )
        .set_tag_attribute_values(HashMap::from([
            ("a", HashMap::from([("target", "_blank")])),
            ("input", HashMap::from([("type", "checkbox"), ("disabled", "")])),
        ]))
        .url_schemes(HashSet::from(["http", "https", "mailto", "data"]))
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"))
        .attribute_filter(|tag, name, value| {
            let may_stay = match (tag, name) {
                ("a", "href") => is_link(value),
                ("img", "src") => is_picture(value),
                ("code", "class") => is_language(value),
                ("ol", "start") => value.parse::<u64>().is_ok(),
                (_, "align") => matches!(value, "left" | "center" | "right"),
                _ => true,
            };
            may_stay.then_some(Cow::Borrowed(value))
        });
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The second wall is there for the day on which the first one has a hole.
    #[test]
    fn it_stands_alone() {
        for (html, left) in [
            ("<script>alert(1)</script>x", "x"),
            ("<img src=\"https://evil.example/?d=1\" onerror=\"alert(1)\" alt=\"a\">", "<img alt=\"a\">"),
            ("<a href=\"javascript:alert(1)\" onclick=\"x\">y</a>", "<a>y</a>"),
            ("<a href=\"data:text/html,x\">y</a>", "<a>y</a>"),
            ("<svg><a xlink:href=\"javascript:alert(1)\">y</a></svg>", ""),
            ("<math><mtext><style><img src=x onerror=alert(1)></style></mtext></math>", ""),
            ("<section role=\"alert\" data-approval=\"x\">Allow?</section>", "Allow?"),
            ("<p style=\"position:fixed\" class=\"card\" id=\"x\">t</p>", "<p>t</p>"),
            ("<code class=\"language-rust other\">x</code>", "<code>x</code>"),
            ("<img src=\"data:image/svg+xml;base64,AAAA\">", "<img>"),
            ("<iframe srcdoc=\"x\"></iframe><base href=\"//evil\"><meta http-equiv=refresh>", ""),
        ] {
            // Each link has these, in any order.
            let clean = sanitise(html)
                .replace(" target=\"_blank\"", "")
                .replace(" rel=\"noopener noreferrer nofollow\"", "");
            // What is left of foreign elements is for the parser to say, and never has an attribute.
            assert!(clean == left || (left.is_empty() && !clean.contains('=')), "{html}: {clean}");
        }
        let input = sanitise("<input type=\"text\" name=\"key\">");
        assert!(input.contains(" type=\"checkbox\"") && input.contains(" disabled=\"\""), "{input}");
        assert!(!input.contains("name") && !input.contains("\"text\""), "{input}");
    }
}
