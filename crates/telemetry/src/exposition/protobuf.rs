//! `io.prometheus.client.MetricFamily`, length-delimited, with native histograms beside the classic buckets.
//!
//! The messages are few and flat, so they are written field by field here; field numbers are those of
//! `metrics.proto` of the Prometheus client model.

use super::Page;
use crate::buckets;
use crate::cells::DurationSum;
use crate::families::{Family, Kind};

#[derive(Default)]
pub(super) struct ProtobufPage {
    out: Vec<u8>,
    family: Option<&'static Family>,
    /// The open family's message so far.
    message: Message,
    /// Whether a series was written to it; a family without any is left out.
    has_series: bool,
}

impl ProtobufPage {
    fn close(&mut self) {
        let message = std::mem::take(&mut self.message);
        if self.family.take().is_some() && std::mem::take(&mut self.has_series) {
            varint(&mut self.out, message.0.len() as u64);
            self.out.extend_from_slice(&message.0);
        }
    }

    /// A `Metric` message: labels, and one value message under its field number.
    fn metric(&mut self, labels: &[&str], field: u32, value: &Message) {
        let Some(family) = self.family else { return };
        let mut metric = Message::default();
        for (name, value) in family.labels.iter().zip(labels) {
            let mut pair = Message::default();
            pair.text(1, name);
            pair.text(2, value);
            metric.message(1, &pair);
        }
        metric.message(field, value);
        self.message.message(4, &metric);
        self.has_series = true;
    }
}

impl Page for ProtobufPage {
    fn family(&mut self, family: &'static Family) {
        self.close();
        self.family = Some(family);
        self.message.text(1, family.name);
        self.message.text(2, family.help);
        self.message.unsigned(
            3,
            match family.kind {
                Kind::Counter => 0,
                Kind::Gauge => 1,
                Kind::Histogram => 4,
            },
        );
        if let Some(unit) = family.unit() {
            self.message.text(5, unit);
        }
    }

    fn number(&mut self, labels: &[&str], value: f64) {
        let mut number = Message::default();
        number.double(1, value);
        // Metric.counter = 3, Metric.gauge = 2.
        let field = match self.family.map(|family| family.kind) {
            Some(Kind::Counter) => 3,
            _ => 2,
        };
        self.metric(labels, field, &number);
    }

    fn durations(&mut self, labels: &[&str], sum: &DurationSum) {
        let mut histogram = Message::default();
        histogram.unsigned(1, sum.count);
        histogram.double(2, sum.nanos as f64 / 1e9);
        let mut below = 0;
        for ((_, nanos), count) in buckets::CLASSIC.iter().zip(sum.classic) {
            below += count;
            let mut bucket = Message::default();
            bucket.unsigned(1, below);
            bucket.double(2, *nanos as f64 / 1e9);
            histogram.message(3, &bucket);
        }
        histogram.signed(5, buckets::SCHEMA.into());
        histogram.double(6, buckets::ZERO_THRESHOLD);
        histogram.unsigned(7, sum.zero);
        let (spans, deltas) = spans_and_deltas(&sum.native);
        for (offset, length) in spans {
            let mut span = Message::default();
            span.signed(1, offset.into());
            span.unsigned(2, length.into());
            histogram.message(12, &span);
        }
        for delta in deltas {
            histogram.signed(13, delta);
        }
        self.metric(labels, 7, &histogram);
    }

    fn finish(mut self: Box<Self>) -> Vec<u8> {
        self.close();
        self.out
    }
}

/// Runs of buckets that are not empty, as (gap before the run, length), and each count less the one before.
fn spans_and_deltas(native: &[u64]) -> (Vec<(i32, u32)>, Vec<i64>) {
    let (mut spans, mut deltas): (Vec<(i32, u32)>, _) = (Vec::new(), Vec::new());
    // The first offset is an index, later ones count from the end of the run before.
    let (mut expected, mut last) = (0, 0);
    for (index, count) in (buckets::FIRST_NATIVE..)
        .zip(native)
        .filter(|(_, count)| **count > 0)
    {
        match spans.last_mut() {
            Some((_, length)) if index == expected => *length += 1,
            _ => spans.push((index - expected, 1)),
        }
        expected = index + 1;
        deltas.push(count.cast_signed() - last);
        last = count.cast_signed();
    }
    (spans, deltas)
}

/// A message being written, after the encoding rules of Protocol Buffers.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn unsigned(&mut self, field: u32, value: u64) {
        varint(&mut self.0, u64::from(field << 3));
        varint(&mut self.0, value);
    }

    /// A `sint32` or `sint64`: zigzag.
    fn signed(&mut self, field: u32, value: i64) {
        self.unsigned(field, (value << 1 ^ value >> 63) as u64);
    }

    fn double(&mut self, field: u32, value: f64) {
        varint(&mut self.0, u64::from(field << 3 | 1));
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    fn text(&mut self, field: u32, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    fn message(&mut self, field: u32, value: &Self) {
        self.bytes(field, &value.0);
    }

    fn bytes(&mut self, field: u32, value: &[u8]) {
        varint(&mut self.0, u64::from(field << 3 | 2));
        varint(&mut self.0, value.len() as u64);
        self.0.extend_from_slice(value);
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::spans_and_deltas;

    #[test]
    fn runs_of_buckets_become_spans() {
        let mut native = [0; 256];
        for (index, count) in [(-159, 2), (-158, 5), (-10, 1), (96, 7)] {
            native[(index + 159) as usize] = count;
        }
        let (spans, deltas) = spans_and_deltas(&native);
        assert_eq!(spans, [(-159, 2), (147, 1), (105, 1)]);
        assert_eq!(deltas, [2, 3, -4, 6]);
        assert_eq!(spans_and_deltas(&[0; 256]), (vec![], vec![]));
    }
}
