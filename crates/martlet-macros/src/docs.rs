//! Doc comments: the description of a tool and of its parameters.

use proc_macro2::Span;
use syn::{Attribute, Expr, ExprLit, Lit, Meta};

/// The doc comments among `attributes` as one text.
pub(crate) fn text(attributes: &[Attribute]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for (doc, _) in attributes.iter().filter_map(doc) {
        // A block comment is one attribute of several lines. Its margin may be drawn with stars: then each line
        // after the first has one. Otherwise a star begins an item of a list.
        let block = doc.contains('\n');
        let margin =
            block && doc.lines().skip(1).map(str::trim).all(|line| line.is_empty() || line.starts_with('*'));
        lines.extend(doc.lines().map(|line| match (margin, block) {
            (true, _) => {
                let line = line.trim();
                line.strip_prefix('*').map_or(line, |line| line.strip_prefix(' ').unwrap_or(line)).to_owned()
            }
            (false, true) => line.trim().to_owned(),
            (false, false) => line.strip_prefix(' ').unwrap_or(line).trim_end().to_owned(),
        }));
    }
    lines.join("\n").trim().to_owned()
}

/// Where the doc comment is, for errors about it.
pub(crate) fn span(attributes: &[Attribute]) -> Option<Span> {
    attributes.iter().find_map(doc).map(|(_, span)| span)
}

fn doc(attribute: &Attribute) -> Option<(String, Span)> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    if !pair.path.is_ident("doc") {
        return None;
    }
    match &pair.value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some((text.value(), text.span())),
        _ => None,
    }
}

/// The doc comment of a function, taken apart.
#[derive(Debug, PartialEq)]
pub(crate) struct FunctionDocs {
    /// All but the section about the arguments.
    pub(crate) description: String,
    /// What that section says: names and texts, in order.
    pub(crate) arguments: Vec<(String, String)>,
}

impl FunctionDocs {
    pub(crate) fn parse(text: &str) -> Self {
        let mut description: Vec<&str> = Vec::new();
        let mut arguments: Vec<(String, String)> = Vec::new();
        let mut within = false;
        for line in text.lines() {
            if let Some(heading) = line.strip_prefix('#') {
                let heading = heading.trim_start_matches('#').trim().trim_end_matches(':');
                within = ["arguments", "parameters", "args"].contains(&heading.to_ascii_lowercase().as_str());
                if within {
                    continue;
                }
            }
            if !within {
                description.push(line);
            } else if let Some(argument) = item(line) {
                arguments.push(argument);
            } else if let (false, Some((_, text))) = (line.is_empty(), arguments.last_mut()) {
                // An item goes on over the next lines.
                text.push(' ');
                text.push_str(line.trim());
            }
        }
        Self { description: description.join("\n").trim().to_owned(), arguments }
    }
}

/// Reads ``* `name` - text``, also with `-` as the bullet and `:` as the separator.
fn item(line: &str) -> Option<(String, String)> {
    let line = line.trim_start();
    let rest = line.strip_prefix("* ").or_else(|| line.strip_prefix("- "))?.trim_start().strip_prefix('`')?;
    let (name, rest) = rest.split_once('`')?;
    let text = rest.trim_start().trim_start_matches(['-', ':', '–', '—']).trim();
    Some((name.to_owned(), text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_about_arguments_is_taken_out() {
        let docs = FunctionDocs::parse(
            "Forecast.\n\n# Arguments\n* `city` - Name of\n  the city\n- `days`: How many.\n\n# Notes\nIn °C.",
        );
        assert_eq!(docs.description, "Forecast.\n\n# Notes\nIn °C.");
        assert_eq!(
            docs.arguments,
            [("city".into(), "Name of the city".into()), ("days".into(), "How many.".into())]
        );
    }

    #[test]
    fn a_block_comment_loses_its_margin() {
        let item: syn::ItemFn = syn::parse_quote! {
            /** One.
             * Two.
             *
             * Three.
             */
            fn f() {}
        };
        assert_eq!(text(&item.attrs), "One.\nTwo.\n\nThree.");
        let item: syn::ItemFn = syn::parse_quote! {
            /** One:
             * * two
             * * three
             */
            fn f() {}
        };
        assert_eq!(text(&item.attrs), "One:\n* two\n* three");
    }
}
