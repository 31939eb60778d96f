//! How a scrape is written down: the formats that Prometheus and its kin read.

mod protobuf;
mod text;

use crate::cells::DurationSum;
use crate::families::Family;

/// How a scrape is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text, version 0.0.4.
    Text,
    /// OpenMetrics text, version 1.0.0.
    OpenMetrics,
    /// Prometheus protobuf, length-delimited; the only one that carries native histograms.
    Protobuf,
}

impl Format {
    /// The format that a scraper's `Accept` field likes best; text if it says nothing that we know.
    pub fn negotiate(accept: Option<&str>) -> Self {
        let mut best = (0.0, Self::Text);
        for choice in accept.unwrap_or_default().split(',') {
            let mut parts = choice.split(';').map(str::trim);
            let format = match parts.next() {
                Some("application/openmetrics-text") => Self::OpenMetrics,
                Some("application/vnd.google.protobuf")
                    if choice.contains("io.prometheus.client.MetricFamily") =>
                {
                    Self::Protobuf
                }
                Some("text/plain" | "*/*") => Self::Text,
                _ => continue,
            };
            let quality = parts
                .find_map(|part| part.strip_prefix("q=")?.trim().parse::<f32>().ok())
                .unwrap_or(1.0);
            if quality > best.0 {
                best = (quality, format);
            }
        }
        best.1
    }

    /// Value of `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// An empty page in this format.
    pub(crate) fn page(self) -> Box<dyn Page> {
        match self {
            Self::Text => Box::new(text::TextPage::new(text::Dialect::Prometheus)),
            Self::OpenMetrics => Box::new(text::TextPage::new(text::Dialect::OpenMetrics)),
            Self::Protobuf => Box::new(protobuf::ProtobufPage::default()),
        }
    }
}

/// A scrape being written: families one after the other, each with its series.
pub(crate) trait Page {
    /// Opens a family. Series that follow belong to it.
    fn family(&mut self, family: &'static Family);
    /// A series of a counter or gauge; label values in the family's order.
    fn number(&mut self, labels: &[&str], value: f64);
    /// A series of a histogram.
    fn durations(&mut self, labels: &[&str], sum: &DurationSum);
    /// The page as bytes.
    fn finish(self: Box<Self>) -> Vec<u8>;
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn the_scraper_gets_the_format_it_likes_best() {
        let prometheus = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
            application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1";
        for (accept, format) in [
            (None, Format::Text),
            (Some("*/*"), Format::Text),
            (Some("text/html, application/json"), Format::Text),
            (
                Some("application/openmetrics-text; version=1.0.0, text/plain;q=0.5"),
                Format::OpenMetrics,
            ),
            (
                Some("application/openmetrics-text;q=0.1,text/plain"),
                Format::Text,
            ),
            (Some(prometheus), Format::Protobuf),
            (Some("application/vnd.google.protobuf"), Format::Text),
        ] {
            assert_eq!(Format::negotiate(accept), format, "{accept:?}");
        }
    }
}
