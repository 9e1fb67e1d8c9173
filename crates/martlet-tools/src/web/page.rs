//! Pages of the web as Markdown.

use dom_query::{Document, NodeRef};
use dom_smoothie::{Config, ParsePolicy, Readability, TextMode};
use url::Url;

use super::markup::{bare_text, is_hostile};

/// A page that is nested deeper is read as plain text: what writes Markdown goes into each level by a call of its own.
const MAX_DEPTH: usize = 256;
/// A page with more elements is read as plain text, too: finding the article in it would take too long.
const MAX_ELEMENTS: usize = 60_000;
/// Below so many characters, the part that looks like the article is not taken for the whole page.
const ARTICLE: usize = 400;
/// What a reader does not see, or cannot use.
const UNREAD: &str = "script, style, noscript, template, iframe, object, embed, svg, canvas, form button, [hidden], \
                      [aria-hidden=true], img[src^='data:']";

/// A page in a form that models read well.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) title: String,
    pub(super) text: String,
}

/// The page as Markdown: the article, if there is one, or else all that there is. Links are absolute.
pub(super) fn page(html: &str, url: &Url) -> Page {
    if is_hostile(html) {
        return Page { title: String::new(), text: tidy(&bare_text(html)) };
    }
    let document = Document::from(html);
    let title = one_line(&document.select("head > title").text());
    if !is_tame(&document) {
        return Page { title, text: tidy(&plain_text(&document)) };
    }
    document.select(UNREAD).remove();
    make_absolute(&document, url);
    let whole = tidy(&document.md(None));
    let article = article(document, url);
    let text = match article {
        // A short part of a long page is rather its first comment, or a note about cookies.
        Some(article) if article.len() >= ARTICLE && article.len() * 8 >= whole.len() => article,
        _ => whole,
    };
    Page { title, text }
}

fn article(document: Document, url: &Url) -> Option<String> {
    let config =
        Config { text_mode: TextMode::Markdown, max_elements_to_parse: MAX_ELEMENTS, ..Config::default() };
    let mut readability = Readability::with_document(document, Some(url.as_str()), Some(config)).ok()?;
    let article = readability.parse_with_policy(ParsePolicy::Moderate).ok()?;
    Some(tidy(&article.text_content))
}

/// Whether the tree can be handled with calls that go down into it.
fn is_tame(document: &Document) -> bool {
    let mut elements = 0;
    walk(document, |node, depth| {
        elements += usize::from(node.is_element());
        depth <= MAX_DEPTH && elements <= MAX_ELEMENTS
    })
}

/// All text, without calls that go down into the tree.
fn plain_text(document: &Document) -> String {
    let mut text = String::new();
    let mut hidden_below: Option<usize> = None;
    walk(document, |node, depth| {
        if hidden_below.is_some_and(|hidden| depth > hidden) {
            return true;
        }
        hidden_below = None;
        if node.is_element() {
            let name = node.node_name().unwrap_or_default();
            if matches!(&*name, "script" | "style" | "noscript" | "template" | "head" | "svg" | "iframe") {
                hidden_below = Some(depth);
            } else if !matches!(&*name, "a" | "b" | "i" | "em" | "strong" | "span" | "code" | "font" | "u") {
                text.push('\n');
            }
        } else if node.is_text() {
            text.push_str(&node.text());
        }
        true
    });
    text
}

/// Shows every node with its depth, until `visit` says no; whether it never did.
fn walk(document: &Document, mut visit: impl FnMut(&NodeRef<'_>, usize) -> bool) -> bool {
    let mut at = Some(document.root());
    let mut depth = 0;
    while let Some(node) = at {
        if !visit(&node, depth) {
            return false;
        }
        at = match node.first_child() {
            Some(child) => {
                depth += 1;
                Some(child)
            }
            None => {
                let mut up = Some(node);
                loop {
                    let Some(node) = up else { break None };
                    if let Some(next) = node.next_sibling() {
                        break Some(next);
                    }
                    depth = depth.saturating_sub(1);
                    up = node.parent();
                }
            }
        };
    }
    true
}

fn make_absolute(document: &Document, url: &Url) {
    let base = document.select("head > base").attr("href").and_then(|base| url.join(&base).ok());
    let base = base.as_ref().unwrap_or(url);
    for (selector, attribute) in [("a[href]", "href"), ("img[src]", "src")] {
        for node in document.select(selector).nodes() {
            let Some(target) = node.attr(attribute) else { continue };
            match base.join(target.trim()) {
                Ok(target) if matches!(target.scheme(), "http" | "https" | "mailto") => {
                    node.set_attr(attribute, target.as_str());
                }
                // `javascript:` and its like lead nowhere.
                _ => node.remove_attr(attribute),
            }
        }
    }
}

/// Without blanks at the ends of lines, and with at most one empty line in a row.
pub(super) fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.lines() {
        let line = line.trim_end();
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty < 2 && !(tidy.is_empty() && line.is_empty()) {
            tidy.push_str(line);
            tidy.push('\n');
        }
    }
    tidy.truncate(tidy.trim_end().len());
    tidy
}

/// A text on one line.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(html: &str) -> Page {
        page(html, &Url::parse("https://example.com/news/today").unwrap())
    }

    const ARTICLE_PAGE: &str = include_str!("fixtures/article.html");
    const TABLE_PAGE: &str = include_str!("fixtures/table.html");

    #[test]
    fn an_article_is_read_without_what_stands_around_it() {
        let page = read(ARTICLE_PAGE);
        assert_eq!(page.title, "Martlets seen over the valley");
        assert!(
            page.text.contains("# Martlets seen over the valley")
                || page.text.contains("A flock of house martins"),
            "{}",
            page.text
        );
        assert!(page.text.contains("[ringing station](https://example.com/station)"), "{}", page.text);
        for unwanted in ["Accept all cookies", "alert(", "Subscribe to our newsletter", "javascript:"] {
            assert!(!page.text.contains(unwanted), "{unwanted}: {}", page.text);
        }
    }

    #[test]
    fn a_page_without_an_article_is_read_whole() {
        let page = read(TABLE_PAGE);
        assert!(page.text.contains("| Bird") && page.text.contains("| 17 "), "{}", page.text);
        assert!(page.text.contains("[Next week](https://example.com/news/next)"), "{}", page.text);
    }

    #[test]
    fn hostile_pages_need_no_more_stack_or_time() {
        for opening in ["<div>", "<blockquote>", "<ul><li>", "<b>", "<table><tr><td>", "<a href=x><p>"] {
            // As deep as is parsed, and as deep as is not.
            for depth in [130, 380, 500_000] {
                let page = read(&format!("{}<p>at the bottom</p>", opening.repeat(depth)));
                assert!(page.text.contains("at the bottom"), "{opening} {depth}");
            }
        }
        let many = read(&"<p>x</p>".repeat(100_000));
        assert!(many.text.len() > 100_000);
        assert_eq!(read("").text, "");
        assert_eq!(read("just text").text, "just text");
    }
}
