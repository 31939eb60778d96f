//! Metrics of one stream route: streams, duration, bytes.

use crate::cells::{Count, DurationSum, Durations, PerWorker};
use crate::registry::Keyed;
use crate::route::RouteLabels;
use crate::{RouteMetrics, Shard};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

/// Metrics of one rule for streams. Each worker writes a block of its own, made when it is first needed.
#[derive(Debug)]
pub struct StreamMetrics {
    /// The four labels, joined.
    key: Box<str>,
    blocks: PerWorker<Block>,
}

#[derive(Debug, Default)]
struct Block {
    fine: Count,
    /// Streams that went wrong, by the code of the fault.
    faults: [(OnceLock<&'static str>, Count); 16],
    bytes_in: Count,
    bytes_out: Count,
    duration: Durations,
}

/// What one stream came to.
#[derive(Debug, Clone, Copy)]
pub struct StreamFigures {
    /// Stable code of what went wrong; empty if nothing did.
    pub fault: &'static str,
    /// From its beginning to its end.
    pub duration: Duration,
    /// Bytes from the client.
    pub bytes_in: u64,
    /// Bytes to the client.
    pub bytes_out: u64,
}

impl StreamMetrics {
    pub(crate) fn key(labels: &RouteLabels<'_>) -> String {
        RouteMetrics::key(labels)
    }

    pub(crate) fn new(key: Box<str>, workers: usize) -> Self {
        Self {
            key,
            blocks: PerWorker::new(workers),
        }
    }

    /// Counts one stream.
    pub fn record(&self, shard: &Shard, figures: &StreamFigures) {
        let block = self.blocks.of(shard.worker());
        if figures.fault.is_empty() {
            block.fine.add(1);
        } else {
            let mut faults = block.faults.iter();
            // There are fewer codes than places.
            if let Some((_, count)) =
                faults.find(|(known, _)| *known.get_or_init(|| figures.fault) == figures.fault)
            {
                count.add(1);
            }
        }
        block.bytes_in.add(figures.bytes_in);
        block.bytes_out.add(figures.bytes_out);
        block.duration.add(figures.duration);
    }

    /// Kind, namespace, name, rule.
    pub(crate) fn labels(&self) -> [&str; 4] {
        let mut parts = self.key.split('\0');
        std::array::from_fn(|_| parts.next().unwrap_or_default())
    }

    pub(crate) fn is_used(&self) -> bool {
        self.blocks.used().next().is_some()
    }

    /// Streams by fault; empty for those that went well.
    pub(crate) fn streams(&self) -> BTreeMap<&'static str, u64> {
        let mut streams = BTreeMap::new();
        for block in self.blocks.used() {
            *streams.entry("").or_default() += block.fine.get();
            for (code, count) in &block.faults {
                if let Some(code) = code.get() {
                    *streams.entry(*code).or_default() += count.get();
                }
            }
        }
        streams
    }

    /// Received and sent.
    pub(crate) fn bytes(&self) -> (u64, u64) {
        self.blocks.used().fold((0, 0), |(received, sent), block| {
            (received + block.bytes_in.get(), sent + block.bytes_out.get())
        })
    }

    pub(crate) fn duration(&self) -> DurationSum {
        DurationSum::of(self.blocks.used().map(|block| &block.duration))
    }
}

impl Keyed for StreamMetrics {
    fn key(&self) -> &str {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Telemetry;

    #[test]
    fn streams_are_counted_by_what_went_wrong() {
        let telemetry = Telemetry::new(2);
        let labels = RouteLabels {
            kind: "TCPRoute",
            namespace: "n",
            name: "r",
            rule: "rules[0]",
        };
        let metrics = telemetry.stream(&labels);
        for (worker, fault) in [(0, ""), (0, "connect"), (1, ""), (1, "connect")] {
            let figures = StreamFigures {
                fault,
                duration: Duration::from_secs(1),
                bytes_in: 10,
                bytes_out: 100,
            };
            metrics.record(&telemetry.shard(worker), &figures);
        }
        assert_eq!(metrics.streams(), BTreeMap::from([("", 2), ("connect", 2)]));
        assert_eq!(metrics.bytes(), (40, 400));
        assert_eq!(metrics.labels(), ["TCPRoute", "n", "r", "rules[0]"]);
    }
}
