//! JSON text to trees. Strings and numbers are left to `serde_json`; here is what it does not tell: places.

use super::tree::{Entry, Map, Mark, Node, SyntaxError, Value};
use std::borrow::Cow;

/// Values within values. Objects need a dozen.
const DEPTH: usize = 100;

pub(super) fn parse(text: &str) -> Result<Vec<Node<'_>>, SyntaxError> {
    let mut reader = Reader {
        text,
        at: 0,
        mark: Mark { line: 1, column: 1 },
        marked: 0,
    };
    let mut documents = Vec::new();
    loop {
        reader.space();
        if reader.at == text.len() {
            return Ok(documents);
        }
        documents.push(reader.value(0)?);
    }
}

/// Reads forward only.
struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// Place of the byte `marked`; moved forward when a place is asked for.
    mark: Mark,
    marked: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, depth: usize) -> Result<Node<'a>, SyntaxError> {
        let mark = self.mark();
        if depth > DEPTH {
            return Err(SyntaxError::new(
                mark,
                format!("nested more than {DEPTH} levels deep"),
            ));
        }
        let value = match self.peek() {
            Some(b'{') => Value::Map(self.map(depth)?),
            Some(b'[') => Value::List(self.list(depth)?),
            Some(b'"') => Value::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(byte) if byte.is_ascii_alphabetic() => self.word()?,
            Some(_) => return Err(self.unexpected("a value")),
            None => return Err(SyntaxError::new(mark, "the text ends where a value should be")),
        };
        Ok(Node { mark, value })
    }

    fn map(&mut self, depth: usize) -> Result<Map<'a>, SyntaxError> {
        let mut entries = Vec::new();
        self.at += 1;
        self.space();
        if self.accept(b'}') {
            return Ok(Map::new(entries));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a key in quotes"));
            }
            let mark = self.mark();
            let key = self.string()?;
            self.space();
            if !self.accept(b':') {
                return Err(self.unexpected("`:`"));
            }
            self.space();
            let value = self.value(depth + 1)?;
            entries.push(Entry { key, mark, value });
            self.space();
            if self.accept(b'}') {
                return Ok(Map::new(entries));
            }
            if !self.accept(b',') {
                return Err(self.unexpected("`,` or `}`"));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node<'a>>, SyntaxError> {
        let mut items = Vec::new();
        self.at += 1;
        self.space();
        if self.accept(b']') {
            return Ok(items);
        }
        loop {
            self.space();
            items.push(self.value(depth + 1)?);
            self.space();
            if self.accept(b']') {
                return Ok(items);
            }
            if !self.accept(b',') {
                return Err(self.unexpected("`,` or `]`"));
            }
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, SyntaxError> {
        let mark = self.mark();
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        let mut plain = true;
        loop {
            match bytes.get(end) {
                Some(b'"') => break,
                Some(b'\\') => {
                    plain = false;
                    end += 2;
                }
                Some(0..0x20) => return Err(SyntaxError::new(mark, "a control character within a string")),
                Some(_) => end += 1,
                None => return Err(SyntaxError::new(mark, "the string has no end")),
            }
        }
        self.at = end + 1;
        if plain {
            return Ok(Cow::Borrowed(&self.text[start + 1..end]));
        }
        serde_json::from_str(&self.text[start..=end])
            .map(Cow::Owned)
            .map_err(|error| SyntaxError::new(mark, reason(&error)))
    }

    fn number(&mut self) -> Result<Value<'a>, SyntaxError> {
        let mark = self.mark();
        let token = self.token();
        if let Ok(int) = serde_json::from_str(token) {
            return Ok(Value::Int(int));
        }
        match serde_json::from_str(token) {
            Ok(float) => Ok(Value::Float(float)),
            Err(_) => Err(SyntaxError::new(mark, format!("`{token}` is not a number"))),
        }
    }

    fn word(&mut self) -> Result<Value<'a>, SyntaxError> {
        let mark = self.mark();
        match self.token() {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            "null" => Ok(Value::Null),
            token => Err(SyntaxError::new(mark, format!("`{token}` is not a value"))),
        }
    }

    fn token(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')))
            .unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn unexpected(&mut self, wanted: &str) -> SyntaxError {
        let mark = self.mark();
        match self.text[self.at..].chars().next() {
            Some(found) => SyntaxError::new(mark, format!("expected {wanted}, found `{found}`")),
            None => SyntaxError::new(mark, format!("expected {wanted}, found the end")),
        }
    }

    fn mark(&mut self) -> Mark {
        for c in self.text[self.marked..self.at].chars() {
            if c == '\n' {
                self.mark.line = self.mark.line.saturating_add(1);
                self.mark.column = 1;
            } else {
                self.mark.column = self.mark.column.saturating_add(1);
            }
        }
        self.marked = self.at;
        self.mark
    }
}

/// The reason without `serde_json`'s own place, which counts from the string's start.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.find(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Format, Mark, Value, parse};

    #[test]
    fn json_is_read_with_places() {
        let text = "{\n\t\"a\": [1, -2.5, true, null, \"\\u00fc\\ud83d\\ude00\"],\n  \"b\": {}\n}\n";
        let node = parse(text, Format::Json).unwrap().remove(0);
        let entry = node.entry("a").unwrap();
        assert_eq!(entry.mark, Mark { line: 2, column: 2 });
        let Value::List(items) = &entry.value.value else {
            panic!()
        };
        assert!(matches!(items[0].value, Value::Int(1)));
        assert!(matches!(items[1].value, Value::Float(_)));
        assert!(matches!(items[2].value, Value::Bool(true)));
        assert!(matches!(items[3].value, Value::Null));
        assert_eq!(items[4].text(), Some("ü😀"));
        assert_eq!(items[4].mark, Mark { line: 2, column: 29 });
    }

    #[test]
    fn each_mistake_has_its_place() {
        for (text, line, column) in [
            ("{\"a\": }", 1, 7),
            ("{\n  a: 1}", 2, 3),
            ("[1, 2", 1, 6),
            ("{\"a\": \"x", 1, 7),
            ("{\"a\": 01}", 1, 7),
            ("{\"a\": nul}", 1, 7),
            ("{\"a\": 1,}", 1, 9),
            ("[\"\\x\"]", 1, 2),
            ("]", 1, 1),
        ] {
            let error = parse(text, Format::Json).unwrap_err();
            assert_eq!(
                (error.mark.line, error.mark.column),
                (line, column),
                "{text}: {}",
                error.reason
            );
        }
        assert!(parse(&"[".repeat(10_000), Format::Json).is_err());
    }

    #[test]
    fn several_values_may_follow_each_other() {
        assert_eq!(parse("{} {}\n{}", Format::Json).unwrap().len(), 3);
        assert!(parse(" \n", Format::Json).unwrap().is_empty());
    }
}
