//! What a stream has said, kept so that a page can take it up again. The end of the log that no page has seen yet still
//! grows, so the log is also the batch: many tokens become one message.

use crate::models::StreamEvent;
use std::collections::VecDeque;

/// Tauri sends JSON of less than 8192 bytes straight into the page and fetches the rest at ten times the cost.
pub(crate) const MESSAGE_BYTES: usize = 8000;
/// Of that, the text as JSON; the rest is for the names of the fields and the numbers.
const TEXT_BYTES: usize = MESSAGE_BYTES - 128;
/// What an entry costs beside its text.
const ENTRY_BYTES: usize = 96;

struct Entry {
    event: StreamEvent,
    /// Bytes of the text as JSON, 0 for entries that have none.
    json: usize,
}

pub(crate) struct Log {
    entries: VecDeque<Entry>,
    bytes: usize,
    cap: usize,
    /// Number of the newest entry that was dropped: the first kept one is `lost + 1`.
    lost: u64,
    /// Entries up to here were sent to some page and must not change.
    sent: u64,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Text,
    Reasoning,
}

impl Log {
    pub(crate) fn new(cap: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            bytes: 0,
            cap,
            lost: 0,
            sent: 0,
        }
    }

    /// Number of the last entry.
    pub(crate) fn last(&self) -> u64 {
        self.lost + self.entries.len() as u64
    }

    /// Adds any event but text; `make` gets its number.
    pub(crate) fn push(&mut self, make: impl FnOnce(u64) -> StreamEvent) {
        let event = make(self.last() + 1);
        self.append(event, 0);
    }

    /// Adds text: to the last entry if no page has that yet, else as a new one. Returns whether a message is full.
    pub(crate) fn push_text(&mut self, kind: Kind, text: &str, tokens: u64) -> bool {
        let mut full = false;
        let mut rest = text;
        let mut tokens = tokens;
        loop {
            let room = TEXT_BYTES - self.open_tail(kind).unwrap_or(0);
            let (piece, json) = fitting(rest, room);
            if piece.is_empty() && !rest.is_empty() {
                full = true;
                self.append(event(kind, self.last() + 1, String::new(), 0), 0);
                continue;
            }
            if self.open_tail(kind).is_some() {
                self.extend(piece, tokens, json);
            } else {
                self.append(
                    event(kind, self.last() + 1, piece.to_string(), tokens),
                    json,
                );
            }
            tokens = 0;
            rest = &rest[piece.len()..];
            if rest.is_empty() {
                return full;
            }
        }
    }

    /// The JSON bytes of the last entry if text of this kind may be added to it.
    fn open_tail(&self, kind: Kind) -> Option<usize> {
        if self.last() == self.sent {
            return None;
        }
        let entry = self.entries.back()?;
        (kind_of(&entry.event) == Some(kind)).then_some(entry.json)
    }

    fn extend(&mut self, piece: &str, more: u64, json: usize) {
        let Some(entry) = self.entries.back_mut() else {
            return;
        };
        if let StreamEvent::Text { text, tokens, .. }
        | StreamEvent::Reasoning { text, tokens, .. } = &mut entry.event
        {
            text.push_str(piece);
            *tokens += more;
            entry.json += json;
            self.bytes += piece.len();
        }
        self.trim();
    }

    fn append(&mut self, event: StreamEvent, json: usize) {
        self.bytes += cost(&event);
        self.entries.push_back(Entry { event, json });
        self.trim();
    }

    fn trim(&mut self) {
        while self.bytes > self.cap && self.entries.len() > 1 {
            if let Some(entry) = self.entries.pop_front() {
                self.bytes -= cost(&entry.event);
                self.lost += 1;
            }
        }
    }

    /// The message that follows what a page has up to `cursor`, and the cursor after it. Texts that follow each other
    /// become one message with the number of the last.
    pub(crate) fn next_after(&mut self, cursor: u64) -> Option<(StreamEvent, u64)> {
        if cursor < self.lost {
            return Some((StreamEvent::Truncated { seq: self.lost }, self.lost));
        }
        let first = usize::try_from(cursor - self.lost).ok()?;
        let mut message = self.entries.get(first)?.event.clone();
        let mut json = self.entries[first].json;
        let mut end = cursor + 1;
        for entry in self.entries.iter().skip(first + 1) {
            if json + entry.json > TEXT_BYTES || !merge(&mut message, &entry.event) {
                break;
            }
            json += entry.json;
            end += 1;
        }
        self.sent = self.sent.max(end);
        Some((message, end))
    }

    /// Where a page that says it has everything up to `after` goes on. It cannot have what nobody was sent.
    pub(crate) fn cursor(&self, after: u64) -> u64 {
        after.min(self.sent)
    }
}

fn kind_of(event: &StreamEvent) -> Option<Kind> {
    match event {
        StreamEvent::Text { .. } => Some(Kind::Text),
        StreamEvent::Reasoning { .. } => Some(Kind::Reasoning),
        _ => None,
    }
}

fn event(kind: Kind, seq: u64, text: String, tokens: u64) -> StreamEvent {
    match kind {
        Kind::Text => StreamEvent::Text { seq, text, tokens },
        Kind::Reasoning => StreamEvent::Reasoning { seq, text, tokens },
    }
}

fn cost(event: &StreamEvent) -> usize {
    ENTRY_BYTES
        + match event {
            StreamEvent::Text { text, .. } | StreamEvent::Reasoning { text, .. } => text.len(),
            StreamEvent::Error { message, hint, .. } => message.len() + hint.len(),
            _ => 0,
        }
}

/// Adds `next` to `message` if both are text of the same kind.
fn merge(message: &mut StreamEvent, next: &StreamEvent) -> bool {
    use StreamEvent::{Reasoning, Text};
    let (number, text, tokens, more, more_text, more_tokens) = match (message, next) {
        (
            Text { seq, text, tokens },
            Text {
                seq: n,
                text: t,
                tokens: k,
            },
        )
        | (
            Reasoning { seq, text, tokens },
            Reasoning {
                seq: n,
                text: t,
                tokens: k,
            },
        ) => (seq, text, tokens, n, t, k),
        _ => return false,
    };
    *number = *more;
    text.push_str(more_text);
    *tokens += more_tokens;
    true
}

/// The longest beginning of `text` whose JSON has at most `room` bytes, and those bytes.
fn fitting(text: &str, room: usize) -> (&str, usize) {
    let mut json = 0;
    for (at, c) in text.char_indices() {
        let size = match c {
            '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
            '\0'..='\u{1f}' => 6,
            _ => c.len_utf8(),
        };
        if json + size > room {
            return (&text[..at], json);
        }
        json += size;
    }
    (text, json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(event: &StreamEvent) -> (u64, &str, u64) {
        match event {
            StreamEvent::Text { seq, text, tokens } => (*seq, text, *tokens),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn unsent_text_grows_and_sent_text_does_not() {
        let mut log = Log::new(1 << 20);
        log.push_text(Kind::Text, "a", 1);
        log.push_text(Kind::Text, "b", 1);
        assert_eq!(log.last(), 1);
        let (event, cursor) = log.next_after(0).unwrap();
        assert_eq!(text_of(&event), (1, "ab", 2));
        log.push_text(Kind::Text, "c", 1);
        assert_eq!(log.last(), 2);
        let (event, cursor) = log.next_after(cursor).unwrap();
        assert_eq!(text_of(&event), (2, "c", 1));
        assert!(log.next_after(cursor).is_none());
        // A page that has nothing gets both as one.
        assert_eq!(text_of(&log.next_after(0).unwrap().0), (2, "abc", 3));
        // One that has the first, the second alone.
        assert_eq!(text_of(&log.next_after(1).unwrap().0), (2, "c", 1));
    }

    #[test]
    fn kinds_do_not_mix() {
        let mut log = Log::new(1 << 20);
        log.push(|seq| StreamEvent::Progress {
            seq,
            done: 1,
            total: 1,
        });
        log.push_text(Kind::Reasoning, "r", 1);
        log.push_text(Kind::Text, "t", 1);
        log.push(|seq| StreamEvent::Truncated { seq });
        let mut cursor = 0;
        let mut names = Vec::new();
        while let Some((event, next)) = log.next_after(cursor) {
            names.push(serde_json::to_value(&event).unwrap()["event"].clone());
            cursor = next;
        }
        assert_eq!(names, ["progress", "reasoning", "text", "truncated"]);
        assert_eq!(cursor, 4);
    }

    #[test]
    fn messages_stay_small_whatever_the_text() {
        for piece in ["\u{1}", "\"", "a", "\u{1f600}", "\u{1}\u{1f600}\\x"] {
            let mut log = Log::new(1 << 20);
            let all = piece.repeat(9000);
            log.push_text(Kind::Text, &all, 7);
            log.push_text(Kind::Text, &all, 7);
            let (mut cursor, mut got, mut count) = (0, String::new(), 0);
            while let Some((event, next)) = log.next_after(cursor) {
                let json = serde_json::to_string(&event).unwrap();
                assert!(json.len() < MESSAGE_BYTES, "{}", json.len());
                let (seq, text, tokens) = text_of(&event);
                assert_eq!(seq, next);
                got.push_str(text);
                count += tokens;
                cursor = next;
            }
            assert_eq!(got, all.repeat(2));
            assert_eq!(count, 14);
        }
    }

    #[test]
    fn old_entries_go_and_that_is_said() {
        let mut log = Log::new(20_000);
        let mut cursor = 0;
        for i in 0..20_000 {
            log.push_text(Kind::Text, &format!("{i} "), 1);
            if i % 3 == 0 {
                cursor = log.next_after(cursor).unwrap().1;
            }
        }
        assert!(log.bytes <= 20_000 && log.entries.len() < 300);
        let (event, next) = log.next_after(0).unwrap();
        assert_eq!(event, StreamEvent::Truncated { seq: next });
        assert_eq!(next, log.lost);
        let (event, _) = log.next_after(next).unwrap();
        assert!(text_of(&event).0 > next);
        let bytes: usize = log.entries.iter().map(|entry| cost(&entry.event)).sum();
        assert_eq!(bytes, log.bytes);
    }

    #[test]
    fn nobody_has_what_was_not_sent() {
        let mut log = Log::new(1 << 20);
        log.push_text(Kind::Text, "a", 1);
        assert_eq!(log.cursor(99), 0);
        let _ = log.next_after(0);
        assert_eq!((log.cursor(99), log.cursor(0)), (1, 0));
    }
}
