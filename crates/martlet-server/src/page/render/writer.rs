//! Markdown to HTML, in one pass.

use std::fmt::Write as _;

use pulldown_cmark::{Alignment, CodeBlockKind, Event, LinkType, Options, Parser, Tag, TextMergeStream};

use super::address;
use crate::page::sanitise::{is_language, is_link, is_picture};

/// So deep things may be in each other; what is deeper is text. Browsers, and the parser behind this, take ever longer for
/// deeper ones.
const DEEPEST: usize = 48;
/// A table is a table, a part of it, a row and a cell.
const OF_TABLE: usize = 4;

/// After so many pieces a text is divided, which nobody sees.
const PIECES: usize = 2_048;

/// HTML that says the same. HTML in the text is text, pictures that would have to be loaded are links, and links that lead
/// elsewhere than to the web or to a mailbox are text.
pub(super) fn write(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut writer =
        Writer { html: String::with_capacity(markdown.len() + markdown.len() / 2), ..Writer::default() };
    for event in TextMergeStream::new(Parser::new_ext(markdown, options)) {
        writer.event(event);
    }
    writer.html
}

#[derive(Default)]
struct Writer {
    html: String,
    /// What is open, with what closes it; that of what was left out is empty.
    open: Vec<Closing>,
    /// How many more are open, too deep to be shown.
    too_deep: usize,
    /// Links that are open: a link has no links in it.
    links: usize,
    /// The picture whose words are being read.
    picture: Option<Picture>,
    /// Of how many pieces the text is that is being written.
    pieces: usize,
    /// In a program, addresses are no links.
    in_code: bool,
    columns: Vec<Alignment>,
    column: usize,
    is_head: bool,
}

/// What ends something that is open.
enum Closing {
    Tag(&'static str),
    Code,
    /// The address, and where its words begin.
    Link(String, usize),
    Picture,
}

struct Picture {
    address: String,
    words: String,
    depth: usize,
}

impl Writer {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(_) if self.open.len() >= DEEPEST => self.too_deep += 1,
            Event::Start(tag) => {
                let closing = self.start(tag);
                self.open.push(closing);
            }
            Event::End(_) if self.too_deep > 0 => self.too_deep -= 1,
            Event::End(_) => {
                if let Some(closing) = self.open.pop() {
                    self.end(closing);
                }
            }
            Event::Text(text) => self.text(&text),
            Event::Code(text) => {
                self.tag("<code>");
                self.escaped(&text);
                self.tag("</code>");
            }
            // It is much used for a break inside of a table's cell, and can do nothing.
            Event::InlineHtml(html) if is_break(&html) => self.tag("<br>"),
            Event::Html(html) | Event::InlineHtml(html) => self.escaped(&html),
            Event::SoftBreak => self.escaped("\n"),
            Event::HardBreak => self.tag("<br>\n"),
            Event::Rule => self.tag("<hr>\n"),
            Event::TaskListMarker(true) => self.tag("<input type=\"checkbox\" disabled checked> "),
            Event::TaskListMarker(false) => self.tag("<input type=\"checkbox\" disabled> "),
            // They are not switched on.
            Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                self.escaped(&text);
            }
        }
    }

    fn start(&mut self, tag: Tag<'_>) -> Closing {
        let has_room = self.open.len() + OF_TABLE <= DEEPEST || !matches!(tag, Tag::Table(_));
        if self.picture.is_some() || !has_room {
            return Closing::Tag("");
        }
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.pair("<p>", "</p>\n"),
            Tag::Heading { level, .. } => {
                let (start, end) = match level as u8 {
                    1 => ("<h1>", "</h1>\n"),
                    2 => ("<h2>", "</h2>\n"),
                    3 => ("<h3>", "</h3>\n"),
                    4 => ("<h4>", "</h4>\n"),
                    5 => ("<h5>", "</h5>\n"),
                    _ => ("<h6>", "</h6>\n"),
                };
                self.pair(start, end)
            }
            Tag::BlockQuote(_) => self.pair("<blockquote>\n", "</blockquote>\n"),
            Tag::CodeBlock(kind) => {
                let name = match &kind {
                    CodeBlockKind::Fenced(info) => info.split([' ', ',', '{']).next().unwrap_or_default(),
                    CodeBlockKind::Indented => "",
                };
                let class = format!("language-{name}");
                match is_language(&class) {
                    true => {
                        // Writing to a text cannot fail.
                        let _ = write!(self.html, "<pre><code class=\"{class}\">");
                    }
                    false => self.tag("<pre><code>"),
                }
                self.in_code = true;
                Closing::Code
            }
            Tag::List(None) => self.pair("<ul>\n", "</ul>\n"),
            Tag::List(Some(1)) => self.pair("<ol>\n", "</ol>\n"),
            Tag::List(Some(first)) => {
                let _ = writeln!(self.html, "<ol start=\"{first}\">");
                Closing::Tag("</ol>\n")
            }
            Tag::Item => self.pair("<li>", "</li>\n"),
            Tag::Table(columns) => {
                self.columns = columns;
                self.pair("<table>\n", "</tbody></table>\n")
            }
            Tag::TableHead => {
                (self.is_head, self.column) = (true, 0);
                self.pair("<thead><tr>", "</tr></thead><tbody>\n")
            }
            Tag::TableRow => {
                (self.is_head, self.column) = (false, 0);
                self.pair("<tr>", "</tr>\n")
            }
            Tag::TableCell => self.cell(),
            Tag::Emphasis => self.pair("<em>", "</em>"),
            Tag::Strong => self.pair("<strong>", "</strong>"),
            Tag::Strikethrough => self.pair("<del>", "</del>"),
            Tag::Link { link_type, dest_url, title, .. } => {
                let address = match link_type {
                    LinkType::Email => format!("mailto:{dest_url}"),
                    _ => dest_url.into_string(),
                };
                self.link(address, &title)
            }
            Tag::Image { dest_url, .. } if is_picture(&dest_url) => {
                let depth = self.open.len();
                self.picture = Some(Picture { address: dest_url.into_string(), words: String::new(), depth });
                Closing::Picture
            }
            // Nothing is loaded until somebody asks for it.
            Tag::Image { dest_url, title, .. } => self.link(dest_url.into_string(), &title),
            _ => Closing::Tag(""),
        }
    }

    fn end(&mut self, closing: Closing) {
        match closing {
            Closing::Tag(text) => self.tag(text),
            Closing::Code => {
                self.in_code = false;
                self.tag("</code></pre>\n");
            }
            Closing::Link(address, words) => {
                // One without words could not be seen.
                if self.html.len() == words {
                    self.escaped(&address);
                }
                self.links = self.links.saturating_sub(1);
                self.tag("</a>");
            }
            Closing::Picture => {
                if let Some(picture) = self.picture.take_if(|picture| picture.depth == self.open.len()) {
                    let _ = write!(self.html, "<img src=\"{}\" alt=\"", picture.address);
                    self.escaped(&picture.words);
                    self.tag("\">");
                }
            }
        }
    }

    fn cell(&mut self) -> Closing {
        let align = match self.columns.get(self.column) {
            Some(Alignment::Left) => " align=\"left\"",
            Some(Alignment::Center) => " align=\"center\"",
            Some(Alignment::Right) => " align=\"right\"",
            _ => "",
        };
        self.column += 1;
        let (name, end) = if self.is_head { ("th", "</th>") } else { ("td", "</td>") };
        let _ = write!(self.html, "<{name}{align}>");
        Closing::Tag(end)
    }

    fn link(&mut self, address: String, title: &str) -> Closing {
        if self.links > 0 || !is_link(&address) {
            return Closing::Tag("");
        }
        self.links += 1;
        self.tag("<a href=\"");
        self.href(&address);
        if !title.is_empty() {
            self.tag("\" title=\"");
            self.escaped(title);
        }
        self.tag("\">");
        let words = self.html.len();
        Closing::Link(address, words)
    }

    fn text(&mut self, text: &str) {
        let mut rest = text;
        if self.links == 0 && !self.in_code && self.picture.is_none() {
            while let Some((from, to)) = address::find(rest) {
                let (Some(before), Some(found)) = (rest.get(..from), rest.get(from..to)) else { break };
                self.escaped(before);
                self.tag("<a href=\"");
                self.href(found);
                self.tag("\">");
                self.escaped(found);
                self.tag("</a>");
                rest = rest.get(to..).unwrap_or_default();
            }
        }
        self.escaped(rest);
    }

    fn pair(&mut self, start: &str, end: &'static str) -> Closing {
        self.tag(start);
        Closing::Tag(end)
    }

    /// Text of ours, but not among the words of a picture.
    fn tag(&mut self, text: &str) {
        if self.picture.is_none() {
            self.html.push_str(text);
            self.pieces = 0;
        }
    }

    /// Text of others, in which nothing has a meaning.
    fn escaped(&mut self, text: &str) {
        let to = match &mut self.picture {
            Some(picture) => {
                picture.words.push_str(text);
                return;
            }
            None => &mut self.html,
        };
        for char in text.chars() {
            // The parser behind this reads a text piece by piece, and copies what it has with each of them.
            self.pieces += usize::from(matches!(char, '&' | '<' | '>' | '"' | '\n' | '\r'));
            if self.pieces > PIECES {
                self.pieces = 0;
                to.push_str("<wbr>");
            }
            match char {
                '&' => to.push_str("&amp;"),
                '<' => to.push_str("&lt;"),
                '>' => to.push_str("&gt;"),
                '"' => to.push_str("&quot;"),
                // They let text be read in another order than it has: they are named, and do nothing.
                '\u{202a}'..='\u{202e}' => {
                    let _ = write!(to, "[U+{:04X}]", u32::from(char));
                }
                other => to.push(other),
            }
        }
    }

    /// An address of others: what is not of ASCII is written in hexadecimal.
    fn href(&mut self, address: &str) {
        for byte in address.bytes() {
            match byte {
                b'&' => self.html.push_str("&amp;"),
                b'!' | b'#'..=b';' | b'=' | b'?'..=b'[' | b']' | b'_' | b'a'..=b'z' | b'~' => {
                    self.html.push(char::from(byte));
                }
                other => {
                    let _ = write!(self.html, "%{other:02X}");
                }
            }
        }
    }
}

fn is_break(html: &str) -> bool {
    let inner = html.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
    inner.is_some_and(|inner| inner.trim_end_matches('/').trim_end().eq_ignore_ascii_case("br"))
}
