//! JSON that is not finished yet, or not quite JSON: what models write.
//!
//! ```
//! use serde_json::json;
//!
//! // While it streams:
//! assert_eq!(ingle::partial::parse(r#"{"name": "Ada", "born": 18"#), Some(json!({"name": "Ada", "born": 18})));
//! // With prose and a fence around it:
//! assert_eq!(ingle::partial::parse("Sure!\n```json\n[1, 2,]\n```\nDone."), Some(json!([1, 2])));
//! ```

use serde_json::{Map, Number, Value};

/// Values nested deeper than this are not read.
const DEPTH: usize = 128;

/// A value, and whether it was all there.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Parsed {
    /// The value.
    pub value: Value,
    /// `false` if the text ended inside it and the rest had to be guessed: open strings, lists and objects are closed,
    /// a key without a value is left out.
    pub complete: bool,
}

/// The first JSON object or list in a text, or the text itself if it is some other JSON value. Lists, objects and strings
/// that are not finished are closed. Trailing commas, raw line breaks in strings, comments and Python's `True`, `False`
/// and `None` are let pass.
pub fn parse(text: &str) -> Option<Value> {
    candidates(text).next().map(|parsed| parsed.value)
}

/// Every JSON value that the text may mean, the likeliest first.
pub fn candidates(text: &str) -> impl Iterator<Item = Parsed> {
    let whole = text.trim();
    let strict = serde_json::from_str(whole).ok().map(|value| Parsed { value, complete: true });
    let fenced = fences(text).filter_map(|inner| read(inner).map(|(parsed, _)| parsed));
    let mut from = 0;
    let inline = std::iter::from_fn(move || {
        loop {
            let at = from + text[from..].find(['{', '['])?;
            let mut reader = Reader::new(&text[at..]);
            if let Some(value) = reader.value(0) {
                from = at + reader.at;
                return Some(Parsed { value, complete: !reader.cut });
            }
            // What lies inside of something too deep is not what was meant, and trying it would take long.
            from = if reader.deep { text.len() } else { at + 1 };
        }
    });
    let scalar = (!whole.contains(['{', '['])).then(|| read(whole)).flatten();
    let scalar = scalar.filter(|(_, length)| *length == whole.len()).map(|(parsed, _)| parsed);
    strict.into_iter().chain(fenced).chain(inline).chain(scalar)
}

/// What is inside of ``` fences; the last one may be open.
fn fences(text: &str) -> impl Iterator<Item = &str> {
    text.split("```").skip(1).step_by(2).map(|block| {
        // After the fence comes the language's name, up to the line's end.
        let inner = block.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        inner.trim()
    })
}

/// The value at the beginning of the text and its length in bytes.
fn read(text: &str) -> Option<(Parsed, usize)> {
    let mut reader = Reader::new(text);
    let value = reader.value(0)?;
    Some((Parsed { value, complete: !reader.cut }, reader.at))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// The text ended before the value did.
    cut: bool,
    /// Nested deeper than is read.
    deep: bool,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Reader<'a> {
        Reader { text, at: 0, cut: false, deep: false }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Past white space and comments.
    fn skip(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            self.at += rest.len() - rest.trim_start().len();
            let rest = &self.text[self.at..];
            let length = if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                rest.find("*/").map_or(rest.len(), |n| n + 2)
            } else {
                return;
            };
            self.at += length;
        }
    }

    /// `None`: no JSON, or nothing of it is there yet.
    fn value(&mut self, depth: usize) -> Option<Value> {
        self.skip();
        match self.peek() {
            Some(b'{' | b'[') if depth == DEPTH => {
                self.deep = true;
                None
            }
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'a'..=b'z' | b'A'..=b'Z') => self.word(),
            Some(_) => None,
            None => {
                self.cut = true;
                None
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        let mut fields = Map::new();
        self.at += 1;
        loop {
            self.skip();
            match self.peek() {
                Some(b'}') => {
                    self.at += 1;
                    break;
                }
                Some(b',') if !fields.is_empty() => self.at += 1,
                Some(b'"') => {
                    let key = self.string()?;
                    self.skip();
                    if self.peek().is_some_and(|c| c != b':') {
                        return None;
                    }
                    self.at = (self.at + 1).min(self.text.len());
                    match if self.cut { None } else { self.value(depth + 1) } {
                        Some(value) => fields.insert(key, value),
                        None if self.cut || self.at == self.text.len() => None,
                        None => return None,
                    };
                }
                Some(_) => return None,
                None => self.cut = true,
            }
            if self.cut {
                break;
            }
        }
        Some(Value::Object(fields))
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        let mut items = Vec::new();
        self.at += 1;
        loop {
            self.skip();
            match self.peek() {
                Some(b']') => {
                    self.at += 1;
                    break;
                }
                Some(b',') if !items.is_empty() => self.at += 1,
                None => self.cut = true,
                Some(_) => match self.value(depth + 1) {
                    Some(value) => items.push(value),
                    None if self.cut => {}
                    None => return None,
                },
            }
            if self.cut {
                break;
            }
        }
        Some(Value::Array(items))
    }

    fn string(&mut self) -> Option<String> {
        let mut out = String::new();
        let mut rest = self.text[self.at + 1..].char_indices();
        let start = self.at + 1;
        while let Some((i, c)) = rest.next() {
            match c {
                '"' => {
                    self.at = start + i + 1;
                    return Some(out);
                }
                '\\' => match rest.next() {
                    Some((_, 'u')) => {
                        let (c, length) = match unicode(&self.text[start + i..]) {
                            Unicode::Char(c, length) => (c, length),
                            Unicode::Wrong => return None,
                            Unicode::Cut => break,
                        };
                        out.push(c);
                        // All of them ASCII; two are taken already.
                        for _ in 2..length {
                            rest.next();
                        }
                    }
                    Some((_, c)) => out.push(match c {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        'b' => '\u{8}',
                        'f' => '\u{c}',
                        // Anything else means itself: models escape too much rather than too little.
                        other => other,
                    }),
                    None => break,
                },
                c => out.push(c),
            }
        }
        self.at = self.text.len();
        self.cut = true;
        Some(out)
    }

    fn number(&mut self) -> Option<Value> {
        let rest = &self.text[self.at..];
        let is_part = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let at_end = length == rest.len();
        self.at += length;
        self.cut |= at_end && self.at != length;
        // At the text's end a number may lack its last part: "1.", "2e".
        let shortest = if at_end { 1 } else { length };
        let number = (shortest..=length).rev().find_map(|n| serde_json::from_str::<Number>(&rest[..n]).ok());
        if number.is_none() && at_end {
            self.cut = true;
        }
        number.map(Value::Number)
    }

    fn word(&mut self) -> Option<Value> {
        let rest = &self.text[self.at..];
        let length = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (word, at_end) = (&rest[..length], length == rest.len());
        let words = [
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("null", Value::Null),
            ("True", Value::Bool(true)),
            ("False", Value::Bool(false)),
            ("None", Value::Null),
            ("NaN", Value::Null),
        ];
        let found = words.into_iter().find(|(name, _)| *name == word || (at_end && name.starts_with(word)))?;
        self.at += length;
        self.cut |= found.0 != word;
        Some(found.1)
    }
}

enum Unicode {
    Char(char, usize),
    Wrong,
    Cut,
}

/// A \u escape, or two that make one character, and its length.
fn unicode(text: &str) -> Unicode {
    let unit = |at: usize| {
        let digits = text.get(at + 2..at + 6)?;
        let all_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
        all_hex.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
    };
    let Some(first) = unit(0) else {
        let so_far = text.get(2..).unwrap_or("");
        let cut = so_far.len() < 4 && so_far.bytes().all(|b| b.is_ascii_hexdigit());
        return if cut { Unicode::Cut } else { Unicode::Wrong };
    };
    if !(0xD800..0xDC00).contains(&first) {
        return Unicode::Char(char::from_u32(first).unwrap_or('\u{FFFD}'), 6);
    }
    let rest = &text[6..];
    if rest.starts_with("\\u") {
        return match unit(6) {
            Some(second @ 0xDC00..0xE000) => {
                let code = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
                Unicode::Char(char::from_u32(code).unwrap_or('\u{FFFD}'), 12)
            }
            Some(_) => Unicode::Char('\u{FFFD}', 6),
            None if rest.len() < 6 => Unicode::Cut,
            None => Unicode::Wrong,
        };
    }
    if rest.is_empty() || rest == "\\" { Unicode::Cut } else { Unicode::Char('\u{FFFD}', 6) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn first(text: &str) -> (Value, bool) {
        let parsed = candidates(text).next().unwrap_or_else(|| panic!("nothing in {text:?}"));
        (parsed.value, parsed.complete)
    }

    #[test]
    fn every_prefix_of_a_document_reads_as_a_beginning_of_it() {
        let text =
            r#"{"a": [1, -2.5e3, "x\"y\u00e9\ud83d\ude00\n"], "b": {"c": true, "d": null}, "e": "ü", "f": [[], {}]}"#;
        let whole: Value = serde_json::from_str(text).unwrap();
        for end in (1..=text.len()).filter(|&n| text.is_char_boundary(n)) {
            let (value, complete) = first(&text[..end]);
            assert_eq!(complete, end == text.len(), "{}", &text[..end]);
            begins(&value, &whole, &text[..end]);
        }
        assert_eq!(first(text).0, whole);
    }

    /// Keys and items are those of the whole, texts are beginnings of it; the last number may be shorter.
    fn begins(part: &Value, whole: &Value, at: &str) {
        match (part, whole) {
            (Value::Object(p), Value::Object(w)) => p.iter().for_each(|(k, v)| begins(v, &w[k], at)),
            (Value::Array(p), Value::Array(w)) => {
                assert!(p.len() <= w.len(), "{at}");
                p.iter().zip(w).for_each(|(p, w)| begins(p, w, at));
            }
            (Value::String(p), Value::String(w)) => assert!(w.starts_with(p), "{at}"),
            (Value::Number(_), Value::Number(_)) => {}
            _ => assert_eq!(part, whole, "{at}"),
        }
    }

    #[test]
    fn prose_fences_and_slips_are_let_pass() {
        for (text, value) in [
            ("Here you are:\n```json\n{\"a\": 1}\n```\nAnything else?", json!({"a": 1})),
            ("```\n[1,2,]\n```", json!([1, 2])),
            ("The answer is {\"a\": True, \"b\": None,} as you see", json!({"a": true, "b": null})),
            ("{\"a\": \"two\nlines\"}", json!({"a": "two\nlines"})),
            ("{\"a\": 1 // one\n, /* two */ \"b\": 2}", json!({"a": 1, "b": 2})),
            ("42", json!(42)),
            ("\"text\"", json!("text")),
            ("{not json} but {\"a\": 1}", json!({"a": 1})),
        ] {
            assert_eq!(first(text), (value, true), "{text}");
        }
    }

    #[test]
    fn what_is_cut_is_closed_and_said_to_be_cut() {
        for (text, value) in [
            ("```json\n{\"a\": {\"b\": \"c", json!({"a": {"b": "c"}})),
            ("{\"a\": 1, \"b", json!({"a": 1})),
            ("{\"a\": 1, \"b\":", json!({"a": 1})),
            ("{\"a\": tr", json!({"a": true})),
            ("{\"a\": 1.", json!({"a": 1})),
            ("{\"a\": -", json!({})),
            ("{\"a\": \"x\\", json!({"a": "x"})),
            ("{\"a\": \"x\\u00", json!({"a": "x"})),
            ("[1, 2", json!([1, 2])),
            ("{", json!({})),
        ] {
            assert_eq!(first(text), (value, false), "{text}");
        }
    }

    #[test]
    fn nonsense_is_nothing() {
        for text in ["", "no JSON here", "{a: 1}", "[1 2", "}{", "\\", "{\"a\" 1}", "{\"a\": \"\\uZZZZ\"}"] {
            assert!(candidates(text).all(|p| p.value == json!({}) || p.value == json!([1, 2])), "{text}");
        }
        assert_eq!(parse("no JSON here"), None);
        assert_eq!(parse(&"[".repeat(100_000)), None);
    }
}
