//! Prometheus text 0.0.4 and OpenMetrics text 1.0.0: one grammar, small differences.

use super::Page;
use crate::buckets;
use crate::cells::DurationSum;
use crate::families::{Family, Kind};
use std::io::Write as _;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Prometheus,
    OpenMetrics,
}

pub(super) struct TextPage {
    dialect: Dialect,
    out: Vec<u8>,
    family: Option<&'static Family>,
}

impl TextPage {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            out: Vec::with_capacity(16 * 1024),
            family: None,
        }
    }

    /// `name_suffix{label="value",le="0.1"} value`
    fn line(&mut self, suffix: &str, labels: &[&str], le: Option<&str>, value: f64) {
        let Some(family) = self.family else { return };
        self.out.extend_from_slice(family.name.as_bytes());
        self.out.extend_from_slice(suffix.as_bytes());
        let names = family.labels.iter().copied().chain(le.map(|_| "le"));
        let values = labels.iter().copied().chain(le);
        let mut separator = b'{';
        for (name, value) in names.zip(values) {
            self.out.push(separator);
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"=\"");
            escape(&mut self.out, value);
            self.out.push(b'"');
            separator = b',';
        }
        if separator == b',' {
            self.out.push(b'}');
        }
        self.out.push(b' ');
        number(&mut self.out, value);
        self.out.push(b'\n');
    }

    fn write(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to memory does not fail.
        let _ = self.out.write_fmt(arguments);
    }
}

impl Page for TextPage {
    fn family(&mut self, family: &'static Family) {
        self.family = Some(family);
        let name = match self.dialect {
            Dialect::Prometheus => family.name,
            Dialect::OpenMetrics => family.name.strip_suffix("_total").unwrap_or(family.name),
        };
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        self.write(format_args!(
            "# HELP {name} {}\n# TYPE {name} {kind}\n",
            family.help
        ));
        if self.dialect == Dialect::OpenMetrics
            && let Some(unit) = family.unit()
        {
            self.write(format_args!("# UNIT {name} {unit}\n"));
        }
    }

    fn number(&mut self, labels: &[&str], value: f64) {
        self.line("", labels, None, value);
    }

    fn durations(&mut self, labels: &[&str], sum: &DurationSum) {
        let mut below = 0;
        let bounds = buckets::CLASSIC.iter().map(|(text, _)| *text).chain(["+Inf"]);
        for (bound, count) in bounds.zip(sum.classic) {
            below += count;
            self.line("_bucket", labels, Some(bound), below as f64);
        }
        self.line("_sum", labels, None, sum.nanos as f64 / 1e9);
        self.line("_count", labels, None, sum.count as f64);
    }

    fn finish(mut self: Box<Self>) -> Vec<u8> {
        if self.dialect == Dialect::OpenMetrics {
            self.out.extend_from_slice(b"# EOF\n");
        }
        self.out
    }
}

/// Backslash, quote and line feed are escaped, all else stands as it is.
fn escape(out: &mut Vec<u8>, value: &str) {
    for byte in value.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'"' => out.extend_from_slice(b"\\\""),
            b'\n' => out.extend_from_slice(b"\\n"),
            _ => out.push(byte),
        }
    }
}

fn number(out: &mut Vec<u8>, value: f64) {
    if value >= 0.0 && value.fract() == 0.0 && value < 9e15 {
        out.extend_from_slice(itoa::Buffer::new().format(value as u64).as_bytes());
    } else {
        let _ = write!(out, "{value}");
    }
}
