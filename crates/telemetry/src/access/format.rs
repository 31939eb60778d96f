//! How a record becomes a line: JSON, or a template that was compiled once.

use super::fields::{FIELDS, Field, Value};
use super::{AccessRecord, escape};
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

/// A compiled format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// Text with values in it.
    Template(Template),
}

/// Text with values in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// Index into `FIELDS`.
    Field(usize),
}

impl Format {
    /// Reads `json`, `combined` or a template. The error is a sentence for the user.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "combined" => Template::parse(COMBINED).map(Self::Template),
            _ if !text.contains('$') => Err(format!(
                "`{text}` is not an access log format; use json, combined, or a template with fields such as $status in it"
            )),
            _ => Template::parse(text).map(Self::Template),
        }
    }

    /// Adds a record as one line, its end included.
    pub fn write(&self, out: &mut Vec<u8>, record: &AccessRecord<'_>) {
        match self {
            Self::Json => json(out, record),
            Self::Template(template) => template.write(out, record),
        }
        out.push(b'\n');
    }
}

impl Template {
    fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            literal.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                literal.push('$');
                rest = after;
                continue;
            }
            let name;
            (name, rest) = field_name(rest)?;
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Field(field_index(name)?));
        }
        literal.push_str(rest);
        if literal.contains(['\n', '\r'])
            || pieces
                .iter()
                .any(|piece| matches!(piece, Piece::Literal(text) if text.contains(['\n', '\r'])))
        {
            return Err("an access log template must fit on one line".into());
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Self { pieces })
    }

    fn write(&self, out: &mut Vec<u8>, record: &AccessRecord<'_>) {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => out.extend_from_slice(text.as_bytes()),
                Piece::Field(index) => match (FIELDS[*index].value)(record) {
                    Value::Missing => out.push(b'-'),
                    value => write_value(out, &value, escape::text),
                },
            }
        }
    }
}

/// The name after a `$`, with or without braces, and what follows it.
fn field_name(text: &str) -> Result<(&str, &str), String> {
    if let Some(braced) = text.strip_prefix('{') {
        return braced
            .split_once('}')
            .ok_or_else(|| "`${` without `}` in the access log template".into());
    }
    let end = text
        .find(|char: char| !char.is_ascii_alphanumeric() && char != '_')
        .unwrap_or(text.len());
    if end == 0 {
        return Err(
            "`$` without a field's name in the access log template; `$$` stands for a dollar sign".into(),
        );
    }
    Ok(text.split_at(end))
}

fn field_index(name: &str) -> Result<usize, String> {
    let names = |field: &'static Field| std::iter::once(field.name).chain(field.aliases.iter().copied());
    FIELDS
        .iter()
        .position(|field| names(field).any(|known| known == name))
        .ok_or_else(|| {
            let nearest = FIELDS
                .iter()
                .flat_map(names)
                .min_by_key(|known| distance(name, known));
            format!(
                "the access log has no field `{name}`; did you mean `{}`?",
                nearest.unwrap_or_default()
            )
        })
}

/// Insertions, deletions and replacements between two names (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, to) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

fn json(out: &mut Vec<u8>, record: &AccessRecord<'_>) {
    let mut separator = b'{';
    for field in FIELDS.iter().filter(|field| field.in_json) {
        let value = (field.value)(record);
        if matches!(value, Value::Missing) {
            continue;
        }
        out.push(separator);
        separator = b',';
        out.extend_from_slice(field.json_key.as_bytes());
        if matches!(
            value,
            Value::Number(_) | Value::Seconds(_) | Value::Port(_) | Value::UnixTime(_)
        ) {
            write_value(out, &value, escape::json);
        } else {
            out.push(b'"');
            write_value(out, &value, escape::json);
            out.push(b'"');
        }
    }
    out.push(b'}');
}

fn write_value(out: &mut Vec<u8>, value: &Value<'_>, escape: fn(&mut Vec<u8>, &[u8])) {
    match value {
        Value::Missing => {}
        Value::Text(text) => escape(out, text),
        Value::Joined(parts) => parts.iter().for_each(|part| escape(out, part)),
        Value::Request(record) => {
            escape(out, record.method);
            out.push(b' ');
            escape(out, record.path);
            if let Some(query) = record.query {
                out.push(b'?');
                escape(out, query);
            }
            out.push(b' ');
            escape(out, record.protocol.as_bytes());
        }
        Value::Number(number) => integer(out, *number),
        Value::Port(port) => integer(out, (*port).into()),
        Value::Seconds(duration) => {
            integer(out, duration.as_secs());
            out.push(b'.');
            digits(out, duration.subsec_micros(), 6);
        }
        Value::Ip(address) => ip(out, *address),
        Value::Address(SocketAddr::V4(address)) => {
            ip(out, (*address.ip()).into());
            out.push(b':');
            integer(out, address.port().into());
        }
        // Writing to memory does not fail.
        Value::Address(address) => drop(write!(out, "{address}")),
        Value::Time(time) => rfc3339(out, *time),
        Value::LocalTime(time) => common_log_time(out, *time),
        Value::UnixTime(time) => {
            let since = since_1970(*time);
            integer(out, since.as_secs());
            out.push(b'.');
            digits(out, since.subsec_millis(), 3);
        }
    }
}

/// The standard library's way to write an IPv4 address costs four times as much.
fn ip(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            let [first, rest @ ..] = address.octets();
            integer(out, first.into());
            for octet in rest {
                out.push(b'.');
                integer(out, octet.into());
            }
        }
        // Writing to memory does not fail.
        IpAddr::V6(address) => drop(write!(out, "{address}")),
    }
}

/// `2026-11-21T10:00:00.123Z`
fn rfc3339(out: &mut Vec<u8>, time: SystemTime) {
    let (date, millis) = civil(time);
    digits(out, date.year().unsigned_abs().into(), 4);
    for (before, value) in [
        (b'-', date.month()),
        (b'-', date.day()),
        (b'T', date.hour()),
        (b':', date.minute()),
        (b':', date.second()),
    ] {
        out.push(before);
        digits(out, value.unsigned_abs().into(), 2);
    }
    out.push(b'.');
    digits(out, millis, 3);
    out.push(b'Z');
}

/// `21/Nov/2026:10:00:00 +0000`
fn common_log_time(out: &mut Vec<u8>, time: SystemTime) {
    let (date, _) = civil(time);
    digits(out, date.day().unsigned_abs().into(), 2);
    out.push(b'/');
    out.extend_from_slice(MONTHS[(date.month() - 1).clamp(0, 11) as usize].as_bytes());
    out.push(b'/');
    digits(out, date.year().unsigned_abs().into(), 4);
    for value in [date.hour(), date.minute(), date.second()] {
        out.push(b':');
        digits(out, value.unsigned_abs().into(), 2);
    }
    out.extend_from_slice(b" +0000");
}

/// Date and time of day in UTC, and milliseconds. A clock beyond the year 9999 is read as 1970.
fn civil(time: SystemTime) -> (jiff::civil::DateTime, u32) {
    let since = since_1970(time);
    let moment =
        jiff::Timestamp::from_second(since.as_secs().try_into().unwrap_or_default()).unwrap_or_default();
    (jiff::tz::Offset::UTC.to_datetime(moment), since.subsec_millis())
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn integer(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Exactly `width` digits, with zeros in front.
fn digits(out: &mut Vec<u8>, number: u32, width: u32) {
    for power in (0..width).rev() {
        out.push(b'0' + (number / 10_u32.pow(power) % 10) as u8);
    }
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// As Apache and nginx write it by default.
const COMBINED: &str =
    "$client - - [$time_local] \"$request\" $status $body_bytes_out \"$referer\" \"$user_agent\"";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::tests::record;

    fn line(format: &str, record: &AccessRecord<'_>) -> String {
        let mut out = Vec::new();
        Format::parse(format).unwrap().write(&mut out, record);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn combined_looks_as_everybody_expects() {
        assert_eq!(
            line("combined", &record()),
            "192.0.2.1 - - [21/Nov/2026:10:00:00 +0000] \"GET /a?b=c HTTP/1.1\" 200 5 \"-\" \"curl/8\"\n"
        );
    }

    #[test]
    fn json_leaves_out_what_has_no_value_and_keeps_numbers_as_numbers() {
        let line = line("json", &record());
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(line.starts_with(
            "{\"time\":\"2026-11-21T10:00:00.125Z\",\"request_id\":\"r1\",\"client\":\"192.0.2.1\""
        ));
        assert_eq!(value["status"], 200);
        assert_eq!(value["duration"], 0.0015);
        assert_eq!(value["query"], "b=c");
        assert_eq!(value.get("referer"), None);
        assert_eq!(value.get("fault"), None);
        assert_eq!(line.matches('\n').count(), 1);
    }

    #[test]
    fn a_template_takes_our_names_and_those_of_nginx() {
        assert_eq!(
            line(
                "$remote_addr ${status}s $$ $request_uri $upstream_addr $fault $msec",
                &record()
            ),
            "192.0.2.1 200s $ /a?b=c 10.0.0.1:8080 - 1795255200.125\n"
        );
    }

    #[test]
    fn a_mistake_in_a_template_is_a_sentence() {
        for (text, error) in [
            (
                "$statu",
                "the access log has no field `statu`; did you mean `status`?",
            ),
            (
                "a $ b",
                "`$` without a field's name in the access log template; `$$` stands for a dollar sign",
            ),
            ("${status", "`${` without `}` in the access log template"),
            ("$status\n$host", "an access log template must fit on one line"),
            (
                "jsn",
                "`jsn` is not an access log format; use json, combined, or a template with fields such as $status in it",
            ),
        ] {
            assert_eq!(Format::parse(text), Err(error.to_owned()));
        }
    }

    #[test]
    fn no_client_can_forge_a_line_or_leave_its_quotes() {
        let hostile = b"x\" 200\r\n{\"status\":200}\xff\x1b[0m";
        let record = AccessRecord {
            path: hostile,
            query: Some(hostile),
            host: hostile,
            method: hostile,
            user_agent: hostile,
            referer: hostile,
            request_id: "a\nb\"",
            ..record()
        };
        let text = line("combined", &record);
        assert_eq!(
            (text.matches('\n').count(), text.matches('"').count()),
            (1, 6),
            "{text}"
        );
        let text = line("json", &record);
        assert_eq!(text.matches('\n').count(), 1);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["request_id"], "a\nb\"");
        assert_eq!(
            value["user_agent"],
            "x\" 200\r\n{\"status\":200}\u{fffd}\u{1b}[0m"
        );
    }
}
