//! Server-sent events, read from bytes as they arrive.
//!
//! After the "Server-sent events" section of the HTML standard, with two differences: invalid UTF-8 is
//! handed on as it came (JSON says more clearly what is wrong with it), and what stands at the end of a
//! stream without its blank line is still an event, because some servers close so after `[DONE]`.

/// The longest line and the most data of one event.
pub(crate) const MAX_EVENT_BYTES: usize = 16 << 20;

/// An event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event<'a> {
    /// The `event` field; empty if it is missing.
    pub(crate) name: &'a [u8],
    /// The `data` lines, joined by line breaks.
    pub(crate) data: &'a [u8],
}

/// Something was longer than [`MAX_EVENT_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

/// The state between two pieces of a stream.
#[derive(Debug, Default)]
pub(crate) struct SseParser {
    line: Vec<u8>,
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    after_cr: bool,
    started: bool,
}

impl SseParser {
    /// Reads a piece of the stream and gives every event that it completes to `on_event`, which stops the
    /// reading by returning an error.
    pub(crate) fn feed<E: From<TooLong>>(
        &mut self,
        mut bytes: &[u8],
        on_event: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, rest) = bytes.split_at(end);
            let crlf = rest.starts_with(b"\r\n");
            self.after_cr = rest == b"\r";
            bytes = rest.get(if crlf { 2 } else { 1 }..).unwrap_or_default();
            if self.line.is_empty() {
                self.read_line(line, on_event)?;
            } else {
                extend(&mut self.line, line)?;
                let mut whole = std::mem::take(&mut self.line);
                let result = self.read_line(&whole, on_event);
                whole.clear();
                self.line = whole;
                result?;
            }
        }
        extend(&mut self.line, bytes)?;
        Ok(())
    }

    /// The stream is over: what is still open becomes an event.
    pub(crate) fn finish<E: From<TooLong>>(
        &mut self,
        on_event: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.read_line(&line, on_event)?;
        }
        self.read_line(b"", on_event)
    }

    fn read_line<E: From<TooLong>>(
        &mut self,
        mut line: &[u8],
        on_event: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if !self.started {
            self.started = true;
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        if line.is_empty() {
            let event = Event { name: &self.name, data: &self.data };
            let result = if self.has_data { on_event(event) } else { Ok(()) };
            self.name.clear();
            self.data.clear();
            self.has_data = false;
            return result;
        }
        let (field, value) = match line.iter().position(|&byte| byte == b':') {
            Some(colon) => {
                let (field, rest) = line.split_at(colon);
                let value = rest.strip_prefix(b":").unwrap_or(rest);
                (field, value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &b""[..]),
        };
        match field {
            b"data" => {
                if self.has_data {
                    extend(&mut self.data, b"\n")?;
                }
                self.has_data = true;
                extend(&mut self.data, value)?;
            }
            b"event" => {
                self.name.clear();
                extend(&mut self.name, value)?;
            }
            // Comments, `id` and `retry`: a reply cannot be resumed, so they mean nothing here.
            _ => {}
        }
        Ok(())
    }
}

fn extend(buffer: &mut Vec<u8>, bytes: &[u8]) -> Result<(), TooLong> {
    if buffer.len() + bytes.len() > MAX_EVENT_BYTES {
        return Err(TooLong);
    }
    buffer.extend_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<(String, String)> {
        let mut parser = SseParser::default();
        let mut events = Vec::new();
        let mut on_event = |event: Event<'_>| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            events.push((text(event.name), text(event.data)));
            Ok::<(), TooLong>(())
        };
        for piece in pieces {
            parser.feed(piece, &mut on_event).unwrap();
        }
        parser.finish(&mut on_event).unwrap();
        events
    }

    fn data(stream: &str) -> Vec<String> {
        parse([stream.as_bytes()]).into_iter().map(|(_, data)| data).collect()
    }

    #[test]
    fn all_line_ends_are_read() {
        for end in ["\n", "\r\n", "\r"] {
            let stream = format!("data: one{end}{end}data:two{end}{end}");
            assert_eq!(data(&stream), ["one", "two"], "{end:?}");
        }
    }

    #[test]
    fn comments_and_other_fields_are_skipped_and_data_lines_are_joined() {
        let stream = ": keep-alive\n\nid: 7\nretry: 3\ndata: a\ndata: b\nother\n\n: bye\n\n";
        assert_eq!(data(stream), ["a\nb"]);
    }

    #[test]
    fn names_belong_to_one_event() {
        let events = parse([&b"event: error\ndata: x\n\ndata: y\n\n"[..]]);
        assert_eq!(events, [("error".into(), "x".into()), (String::new(), "y".into())]);
    }

    #[test]
    fn a_byte_order_mark_is_skipped() {
        assert_eq!(data("\u{feff}data: x\n\n"), ["x"]);
    }

    #[test]
    fn an_event_without_its_blank_line_counts_at_the_end() {
        assert_eq!(data("data: x\n\ndata: [DONE]"), ["x", "[DONE]"]);
    }

    #[test]
    fn an_endless_line_is_refused() {
        let mut parser = SseParser::default();
        let piece = vec![b'x'; 1 << 20];
        let mut none = |_: Event<'_>| Ok::<(), TooLong>(());
        let fed = (0..17).try_for_each(|_| parser.feed(&piece, &mut none));
        assert_eq!(fed, Err(TooLong));
    }

    proptest! {
        #[test]
        fn where_the_stream_is_cut_into_pieces_makes_no_difference(
            lines in proptest::collection::vec("(data: |data:|event: |: |)[a-zä😀{}\": ]{0,12}", 0..20),
            ends in proptest::collection::vec(prop_oneof![Just("\n"), Just("\r\n"), Just("\r")], 20),
            cuts in proptest::collection::vec(0usize..400, 0..12),
        ) {
            let stream: String = lines.iter().zip(&ends).flat_map(|(line, end)| [line.as_str(), end]).collect();
            let bytes = stream.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
            prop_assert_eq!(parse(pieces), parse([bytes]));
        }
    }
}
