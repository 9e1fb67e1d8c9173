//! Streams as golden files: what differs from run to run has a name in the place of its value.

use serde_json::Value;

/// The text with the names of runs, questions and files, and times, replaced.
pub(crate) fn stable(text: &str) -> String {
    let mut stable = String::new();
    let mut known: Vec<String> = Vec::new();
    let mut rest = text;
    while let Some((at, prefix)) =
        ["run_", "appr_", "file_"].iter().filter_map(|prefix| Some((rest.find(prefix)?, *prefix))).min()
    {
        let (before, name) = rest.split_at(at);
        stable.push_str(before);
        let end = name.char_indices().skip(prefix.len()).find(|(_, char)| !char.is_ascii_alphanumeric());
        let (name, after) = name.split_at(end.map_or(name.len(), |(end, _)| end));
        if name.len() < 30 {
            stable.push_str(name);
        } else {
            let number = known.iter().position(|known| known == name).unwrap_or_else(|| {
                known.push(name.to_owned());
                known.len() - 1
            });
            stable.push_str(&format!("{prefix}{number}"));
        }
        rest = after;
    }
    stable + rest
}

/// Lines of JSON, one for each thing that was sent, without what depends on the clock: whether a run waits in line, too.
pub(crate) fn lines<'a>(all: impl IntoIterator<Item = &'a Value>) -> String {
    let lines: Vec<_> = all
        .into_iter()
        .filter(|one| one["msg"] != "estimation" && one["type"] != "data-queue" && one["name"] != "queue")
        .map(|one| {
            let mut one = one.clone();
            without_times(&mut one);
            one.to_string()
        })
        .collect();
    stable(&lines.join("\n"))
}

fn without_times(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match key.as_str() {
                    "expiresAt" | "duration" | "average_duration" | "ms" if !value.is_null() => {
                        *value = "…".into();
                    }
                    _ => without_times(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(without_times),
        _ => {}
    }
}
