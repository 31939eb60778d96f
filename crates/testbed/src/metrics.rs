//! A scrape, read.

use std::collections::BTreeMap;

/// Series of a scrape with their values.
#[derive(Debug, Clone, PartialEq)]
pub struct Scrape {
    series: BTreeMap<String, f64>,
}

impl Scrape {
    pub(crate) fn parse(page: &str) -> Self {
        let lines = page.lines().filter(|line| !line.starts_with('#'));
        let series = lines.map(|line| {
            let (name, value) = line.rsplit_once(' ').expect("a series has a value");
            (name.to_owned(), value.parse().expect("a value is a number"))
        });
        Self {
            series: series.collect(),
        }
    }

    /// Sum over the series of a family that have all of these labels, each written as `name="value"`.
    pub fn sum(&self, family: &str, labels: &[&str]) -> f64 {
        let of_family = |name: &str| {
            name == family
                || name
                    .strip_prefix(family)
                    .is_some_and(|rest| rest.starts_with('{'))
        };
        self.series
            .iter()
            .filter(|(name, _)| of_family(name) && labels.iter().all(|label| name.contains(label)))
            .fold(0.0, |sum, (_, value)| sum + value)
    }

    /// Names of all series, labels included.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.series.keys().map(String::as_str)
    }
}
