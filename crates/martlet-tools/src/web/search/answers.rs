//! What search engines answer.

use dom_query::Document;
use serde_json::Value;
use url::Url;

use super::super::markup::is_hostile;
use super::super::page::one_line;
use super::SearchResult;

/// The most characters of a title and of a summary.
const TITLE: usize = 200;
const SNIPPET: usize = 600;

/// The results on DuckDuckGo's page without scripts, without advertisements; `None` if it is another page, which asks for
/// proof of a person.
pub(super) fn duckduckgo(body: &[u8]) -> Option<Vec<SearchResult>> {
    let html = String::from_utf8_lossy(body);
    if is_hostile(&html) {
        return None;
    }
    let document = Document::from(html.as_ref());
    let mut results = Vec::new();
    for result in document.select("div.result").iter() {
        if result.has_class("result--ad") || result.has_class("result--no-result") {
            continue;
        }
        let link = result.select("a.result__a");
        let Some(url) = link.attr("href").and_then(|target| beyond_redirect(&target)) else { continue };
        results.push(result_of(&link.text(), url, &result.select(".result__snippet").text()));
    }
    let is_there = |selector: &str| document.select(selector).exists();
    let is_answer = !results.is_empty()
        || is_there(".no-results, .result--no-result")
        || is_there("#links") && !is_there(".anomaly-modal__title");
    is_answer.then_some(results)
}

/// Where a link of DuckDuckGo's page leads in the end: it goes through a page of its own.
fn beyond_redirect(target: &str) -> Option<String> {
    let base = Url::parse("https://duckduckgo.com/").ok()?;
    let target = base.join(target).ok()?;
    if target.domain() != Some("duckduckgo.com") {
        return Some(target.to_string());
    }
    // `y.js` is where advertisements lead.
    if target.path() != "/l/" {
        return None;
    }
    target.query_pairs().find(|(key, _)| key == "uddg").map(|(_, url)| url.into_owned())
}

/// The results in a list of objects.
pub(super) fn json(answer: &Value, list: &str, url: &str, snippet: &str) -> Option<Vec<SearchResult>> {
    // Brave leaves the list out where there is nothing; an answer that is no object is none.
    answer.as_object()?;
    let results = answer.pointer(list).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text =
        |result: &Value, key: &str| result.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let read = |result: &Value| {
        let (title, snippet) = (text(result, "title"), text(result, snippet));
        result_of(&unmarked(&title), text(result, url), &unmarked(&snippet))
    };
    Some(results.iter().map(read).collect())
}

fn result_of(title: &str, url: String, snippet: &str) -> SearchResult {
    let cut = |text: &str, limit: usize| one_line(text).chars().take(limit).collect::<String>();
    let title = match cut(title, TITLE) {
        title if title.is_empty() => url.clone(),
        title => title,
    };
    SearchResult { title, url, snippet: cut(snippet, SNIPPET) }
}

/// A text without the tags and entities with which engines mark what was searched for.
fn unmarked(text: &str) -> String {
    if !text.contains(['<', '&']) || is_hostile(text) {
        return text.to_owned();
    }
    Document::from(text).text().to_string()
}
