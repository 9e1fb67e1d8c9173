//! Finding the Python program in a reply.

/// What a reply holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// A program, the text before it, and whether its end was marked.
    Program { thought: String, code: String, closed: bool },
    /// No program: only text.
    Text(String),
}

/// Finds the program in `reply`; `opened` says that the reply's first character is already inside a block
/// (because our own prefill opened it).
///
/// Understood are ```` ```python ````, `py`, `python3`, `tool_code` and unnamed fences, `<code>` and
/// `<python>` tags, a missing end, and a bare program. Several blocks are one program, up to the place where
/// a model begins to invent an observation. A block in another language is text.
pub(crate) fn find_program(reply: &str, opened: bool) -> Found {
    let reply = reply.trim_end();
    // A model may open the block again although it is open already.
    let restarts = first_opening(reply)
        .is_some_and(|opening| reply.get(..opening.start).is_some_and(|head| head.trim().is_empty()));
    if opened && !restarts {
        let (code, closed) = until_close(reply, "```");
        return program("", &[code], closed);
    }
    let mut blocks: Vec<&str> = Vec::new();
    let mut thought = None;
    let mut closed = true;
    let mut rest = reply;
    let mut offset = 0;
    while let Some(opening) = first_opening(rest) {
        let before = rest.get(..opening.start).unwrap_or_default();
        if !blocks.is_empty() && invents_observation(before) {
            break;
        }
        let body = rest.get(opening.end..).unwrap_or_default();
        let (code, is_closed) = until_close(body, opening.close);
        let consumed = opening.end
            + code.len()
            + if is_closed { close_length(body, code.len(), opening.close) } else { 0 };
        if opening.python || (opening.unnamed && looks_like_program(code)) {
            if thought.is_none() {
                thought = reply.get(..offset + opening.start);
            }
            blocks.push(code);
            closed = is_closed;
        }
        offset += consumed;
        rest = rest.get(consumed..).unwrap_or_default();
    }
    if let Some(thought) = thought {
        return program(thought, &blocks, closed);
    }
    if looks_like_program(reply) {
        // Nothing marks the end of a bare program, so one that was cut off looks like any other.
        return program("", &[reply], false);
    }
    // "It is 155.\nfinal_answer(155)": the last call is a program, whatever stands before it.
    if let Some(start) = last_answer(reply)
        && let (Some(thought), Some(code)) = (reply.get(..start), reply.get(start..))
        && code.trim_end().ends_with(')')
        && looks_like_program(code)
    {
        return program(thought, &[code], false);
    }
    Found::Text(reply.trim().to_owned())
}

/// Where the last line begins that calls `final_answer`.
fn last_answer(reply: &str) -> Option<usize> {
    let call = "final_answer(";
    let line = reply.rfind(&format!("\n{call}")).map(|newline| newline + 1);
    line.or_else(|| reply.starts_with(call).then_some(0))
}

fn program(thought: &str, blocks: &[&str], closed: bool) -> Found {
    let code = blocks.iter().map(|block| dedent(block)).collect::<Vec<_>>().join("\n\n");
    if code.trim().is_empty() {
        return Found::Text(thought.trim().to_owned());
    }
    Found::Program { thought: thought.trim().to_owned(), code, closed }
}

struct Opening {
    start: usize,
    end: usize,
    close: &'static str,
    python: bool,
    unnamed: bool,
}

/// The first opening of a block. A fence counts only at the beginning of a line.
fn first_opening(text: &str) -> Option<Opening> {
    let tag = [("<code>", "</code>"), ("<python>", "</python>")]
        .into_iter()
        .filter_map(|(open, close)| {
            text.find(open).map(|start| Opening {
                start,
                end: start + open.len(),
                close,
                python: true,
                unnamed: false,
            })
        })
        .min_by_key(|opening| opening.start);
    let fence = text.match_indices("```").find_map(|(start, marker)| {
        let line = text.get(..start)?.rsplit('\n').next().unwrap_or_default();
        if !line.trim().is_empty() {
            return None;
        }
        let after = start + marker.len();
        let line_end = text.get(after..)?.find('\n').map_or(text.len(), |length| after + length);
        let name = text.get(after..line_end)?.trim();
        let first_word = name.split([' ', '{', ':', ',']).next().unwrap_or_default().to_ascii_lowercase();
        let python = matches!(first_word.as_str(), "python" | "py" | "python3" | "tool_code" | "ipython");
        // "```print(1)```" on one line has its program where the name would be.
        let inline = !python && name.contains(['(', '=']);
        // "```python print(1)```" has it behind the name.
        let behind_name = python && name.len() > first_word.len() && name.ends_with("```");
        let end = match (inline, behind_name) {
            (true, _) => after,
            (false, true) => line_end - name.len() + first_word.len(),
            (false, false) => (line_end + 1).min(text.len()),
        };
        Some(Opening { start, end, close: "```", python, unnamed: name.is_empty() || inline })
    });
    match (tag, fence) {
        (Some(tag), Some(fence)) => Some(if tag.start < fence.start { tag } else { fence }),
        (tag, fence) => tag.or(fence),
    }
}

/// The text up to the closing mark, and whether there is one. A closing fence stands at the beginning of a
/// line, or else anywhere outside the first line's string quotes: models put it behind the last statement.
fn until_close<'a>(body: &'a str, close: &str) -> (&'a str, bool) {
    let end = if close == "```" {
        let outside = |at: usize| body.get(..at).is_some_and(|head| !ends_inside_text(head));
        let at_line = |at: usize| {
            body.get(..at).is_some_and(|head| head.rsplit('\n').next().unwrap_or_default().trim().is_empty())
        };
        let marks: Vec<usize> =
            body.match_indices(close).map(|(at, _)| at).filter(|at| outside(*at)).collect();
        marks.iter().copied().find(|at| at_line(*at)).or_else(|| marks.last().copied())
    } else {
        body.find(close)
    };
    match end {
        Some(end) => (body.get(..end).unwrap_or_default(), true),
        None => (cut_at_observation(body), false),
    }
}

/// Whether a piece of program ends inside a triple-quoted text, where a fence is part of that text.
fn ends_inside_text(head: &str) -> bool {
    ["\"\"\"", "'''"].iter().any(|quotes| head.matches(quotes).count() % 2 == 1)
}

fn close_length(body: &str, at: usize, close: &str) -> usize {
    if body.get(at..).is_some_and(|rest| rest.starts_with(close)) { close.len() } else { 0 }
}

fn cut_at_observation(body: &str) -> &str {
    match body.find("\nObservation:") {
        Some(end) => body.get(..end).unwrap_or(body),
        None => body,
    }
}

fn invents_observation(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim_start_matches(['#', '*', ' ']);
        ["Observation", "Output:", "Execution logs", "Result:"].iter().any(|word| line.starts_with(word))
    })
}

/// Removes the indentation that all lines share.
fn dedent(block: &str) -> String {
    let block = block.trim_matches('\n').trim_end();
    let indent = block
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| line.len() - line.trim_start_matches([' ', '\t']).len())
        .min()
        .unwrap_or(0);
    if indent == 0 {
        return block.to_owned();
    }
    block.lines().map(|line| line.get(indent..).unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// Whether a text reads as a program rather than as prose: each line at the left margin begins like a
/// statement, and at least one of them is a call, an assignment or an import.
fn looks_like_program(text: &str) -> bool {
    let mut acts = false;
    let mut depth: i32 = 0;
    let mut any = false;
    for line in text.lines() {
        let inside = depth > 0;
        depth = (depth + bracket_balance(line)).max(0);
        if inside || line.trim().is_empty() || line.starts_with([' ', '\t']) {
            continue;
        }
        any = true;
        match statement(line) {
            Some(true) => acts = true,
            Some(false) => {}
            None => return false,
        }
    }
    any && acts
}

/// `Some(true)` for a statement that does something, `Some(false)` for one that only frames others,
/// `None` for what is no statement.
fn statement(line: &str) -> Option<bool> {
    const FRAMING: [&str; 14] = [
        "for", "while", "if", "elif", "else:", "def", "class", "with", "try:", "except", "finally:", "async",
        "match", "pass",
    ];
    if line.starts_with(['#', '@', ')', ']', '}']) {
        return Some(false);
    }
    let word = line.split_whitespace().next().unwrap_or_default();
    if FRAMING.contains(&word) || line.starts_with("except:") {
        return if line.trim_end().ends_with(':') || line.contains(": ") { Some(true) } else { None };
    }
    if word == "import" || (word == "from" && line.contains(" import ")) {
        return Some(true);
    }
    if matches!(word, "await" | "assert" | "del" | "raise" | "return") {
        return if line.contains('(') || word == "del" { Some(true) } else { None };
    }
    let target_end = line.find(|c: char| !(c.is_ascii_alphanumeric() || "_.,[]'\" ".contains(c)))?;
    let (target, rest) = line.split_at(target_end);
    let target = target.trim();
    let begins_as_name = target.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !begins_as_name {
        return None;
    }
    let one_name = !target.split(',').any(|name| name.trim().contains(' '));
    // "Note: x = 3" is prose, `count: int = 3` is not.
    let annotated = rest.strip_prefix(':').is_some_and(|rest| {
        let annotation = rest.trim_start();
        let types = [
            "int", "str", "float", "bool", "list", "dict", "set", "tuple", "List", "Dict", "Optional", "Any",
        ];
        rest.contains('=') && types.iter().any(|name| annotation.starts_with(name))
    });
    let assigned = ["=", "+=", "-=", "*=", "/=", "|="].iter().any(|mark| rest.starts_with(mark));
    let assigns = one_name && (annotated || assigned);
    let calls = rest.starts_with('(') && !target.contains(' ');
    if assigns || calls { Some(true) } else { None }
}

/// How many brackets a line opens more than it closes, outside its texts and comments.
fn bracket_balance(line: &str) -> i32 {
    let mut depth = 0;
    let mut quote = None;
    let mut escaped = false;
    for character in line.chars() {
        match (quote, character) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(character),
            (None, '#') => break,
            (None, '(' | '[' | '{') => depth += 1,
            (None, ')' | ']' | '}') => depth -= 1,
            (None, _) => {}
        }
    }
    depth
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(reply: &str) -> String {
        match find_program(reply, false) {
            Found::Program { code, .. } => code,
            Found::Text(text) => panic!("no program in {reply:?}, but text {text:?}"),
        }
    }

    #[test]
    fn the_usual_styles_give_their_program() {
        for reply in [
            "Thought: easy.\n```python\nprint(1)\n```",
            "```py\nprint(1)\n```",
            "```\nprint(1)\n```",
            "```Python3 title\nprint(1)\n```",
            "Thought\n<code>\nprint(1)\n</code>",
            "<code>print(1)</code>",
            "```python\nprint(1)",
            "```python\nprint(1)```",
            "```print(1)```",
            "```python print(1)```",
            "  ```python\n  print(1)\n  ```",
            "print(1)",
            "```tool_code\nprint(1)\n```\nObservation:\n```python\nprint(2)\n```",
            "```python\nprint(1)\nObservation: 1",
        ] {
            assert_eq!(code(reply), "print(1)", "{reply}");
        }
    }

    #[test]
    fn several_blocks_are_one_program() {
        assert_eq!(code("First\n```python\na = 1\n```\nthen\n```python\nprint(a)\n```"), "a = 1\n\nprint(a)");
    }

    #[test]
    fn other_languages_are_no_program() {
        let reply = "Run this:\n```bash\nls -l\n```\nor see\n```json\n{\"a\": 1}\n```";
        assert_eq!(find_program(reply, false), Found::Text(reply.into()));
    }

    #[test]
    fn prose_is_no_program() {
        for reply in [
            "The answer is 42.",
            "I will call print(1) now.",
            "Note: x = 3 here",
            "Paris",
            "",
            "If it rains, stay in.",
        ] {
            assert!(matches!(find_program(reply, false), Found::Text(_)), "{reply}");
        }
    }

    #[test]
    fn a_bare_program_of_several_lines_is_found() {
        let reply = "import math\n\ndef area(r):\n    return math.pi * r ** 2\n\nvalues = [\n  1,\n  2,\n]\nfinal_answer(area(2))";
        assert_eq!(code(reply), reply);
    }

    #[test]
    fn a_final_answer_below_prose_is_a_program() {
        assert_eq!(code("It is 155.\nfinal_answer(155)"), "final_answer(155)");
        assert_eq!(code("35\nfinal_answer(\n  35\n)"), "final_answer(\n  35\n)");
        assert!(matches!(find_program("I would call\nfinal_answer(1) if I knew", false), Found::Text(_)));
    }

    #[test]
    fn a_prefilled_block_is_continued() {
        let found = find_program("x = 1\nprint(x)\n```\nDone", true);
        assert_eq!(
            found,
            Found::Program { thought: String::new(), code: "x = 1\nprint(x)".into(), closed: true }
        );
        let found = find_program("x = 1\nprint(x)", true);
        assert_eq!(
            found,
            Found::Program { thought: String::new(), code: "x = 1\nprint(x)".into(), closed: false }
        );
        let again = find_program("```python\nprint(1)\n```", true);
        assert_eq!(again, Found::Program { thought: String::new(), code: "print(1)".into(), closed: true });
    }

    #[test]
    fn a_fence_inside_a_string_does_not_end_the_program() {
        let reply = "```python\ntext = 'a ``` b'\nprint(text)\n```";
        assert_eq!(code(reply), "text = 'a ``` b'\nprint(text)");
    }

    #[test]
    fn a_fence_inside_a_long_text_does_not_end_the_program() {
        let body = "text = \"\"\"\n```\ncode\n```\n\"\"\"\nfinal_answer(text)";
        assert_eq!(code(&format!("```python\n{body}\n```")), body);
    }

    #[test]
    fn a_bracket_inside_a_text_hides_no_prose() {
        let reply = "print(':(')\nAnd that is all that there is to say.";
        assert!(matches!(find_program(reply, false), Found::Text(_)));
    }

    #[test]
    fn the_thought_is_what_stands_before_the_program() {
        match find_program("Thought: I add.\n```python\n1 + 1\n```\nbye", false) {
            Found::Program { thought, closed, .. } => {
                assert_eq!(thought, "Thought: I add.");
                assert!(closed);
            }
            Found::Text(text) => panic!("{text}"),
        }
    }

    proptest::proptest! {
        #[test]
        fn no_reply_panics(reply in "(```|<code>|</code>|python|\n|[a-zü(=: ]|Observation:){0,40}", opened: bool) {
            let _ = find_program(&reply, opened);
        }
    }
}
