//! Texts for the model: cutting what is too long.

/// Cuts the middle out of a text that has more than `limit` characters, and marks the place.
///
/// Head and tail keep half of `limit` each, so that the beginning and the end of an output stay visible.
pub fn cut_middle(text: &str, limit: usize) -> std::borrow::Cow<'_, str> {
    // A text of at most `limit` bytes has at most `limit` characters: most texts need no counting.
    if text.len() <= limit {
        return text.into();
    }
    let count = text.chars().count();
    if count <= limit {
        return text.into();
    }
    let head = limit / 2;
    let tail = limit - head;
    let head_end = byte_of_char(text, head);
    let tail_start = byte_of_char(text, count - tail);
    let (head, tail) = (text.get(..head_end).unwrap_or_default(), text.get(tail_start..).unwrap_or_default());
    format!("{head}\n[… {} characters left out: print less to see them …]\n{tail}", count - limit).into()
}

fn byte_of_char(text: &str, position: usize) -> usize {
    text.char_indices().nth(position).map_or(text.len(), |(byte, _)| byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_keep_their_ends() {
        let text = format!("begin{}end", "ü".repeat(1_000));
        let cut = cut_middle(&text, 20);
        assert!(cut.starts_with("begin") && cut.ends_with("end"), "{cut}");
        assert!(cut.contains("988 characters left out"), "{cut}");
    }

    #[test]
    fn short_texts_stay_as_they_are() {
        assert_eq!(cut_middle("üüü", 3), "üüü");
        assert_eq!(cut_middle("", 0), "");
    }
}
