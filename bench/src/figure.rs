//! What a scenario hands back: figures with the values of every round. Tables, JSON and the picture are derived from them.

/// What is measured, once per scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// As a table's heading says it, for example `CPU time per request`.
    pub name: &'static str,
    /// For example `µs`.
    pub unit: &'static str,
    /// Which way is good.
    pub better: Better,
}

/// Which way a metric is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Costs.
    Lower,
    /// Rates.
    Higher,
}

impl Metric {
    /// A cost: less is better.
    pub const fn cost(name: &'static str, unit: &'static str) -> Self {
        Self {
            name,
            unit,
            better: Better::Lower,
        }
    }

    /// A rate: more is better.
    pub const fn rate(name: &'static str, unit: &'static str) -> Self {
        Self {
            name,
            unit,
            better: Better::Higher,
        }
    }
}

/// One metric of one proxy.
#[derive(Clone, Debug)]
pub struct Figure {
    /// Name of the proxy, as in [`crate::peer::NAMES`].
    pub proxy: &'static str,
    /// What was measured.
    pub metric: Metric,
    /// One value per round, in the order of rounds, so that values of the same round can be compared.
    pub values: Vec<f64>,
    /// Where the values come from, for example `task/*/schedstat`.
    pub method: &'static str,
}

impl Figure {
    /// The middle value.
    pub fn median(&self) -> f64 {
        median(&self.values)
    }

    /// Half the distance between the largest and the smallest value, as a part of the median.
    pub fn spread(&self) -> f64 {
        let (least, most) = bounds(&self.values);
        (most - least) / 2.0 / self.median()
    }

    /// Median of the ratios of values from the same round.
    pub fn ratio_to(&self, other: &Self) -> f64 {
        if self.values.len() != other.values.len() {
            return self.median() / other.median();
        }
        let ratios: Vec<f64> = self
            .values
            .iter()
            .zip(&other.values)
            .map(|(a, b)| a / b)
            .collect();
        median(&ratios)
    }
}

/// All that one scenario found.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// One per proxy and metric; a table shows metrics in the order of their first figure.
    pub figures: Vec<Figure>,
    /// Sentences below the table: what was left out and why, what a reader must know.
    pub notes: Vec<String>,
}

impl Section {
    /// Adds a figure.
    pub fn push(&mut self, proxy: &'static str, metric: Metric, method: &'static str, values: Vec<f64>) {
        self.figures.push(Figure {
            proxy,
            metric,
            values,
            method,
        });
    }

    /// Adds a sentence.
    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// The figure of a proxy.
    pub fn find(&self, proxy: &str, metric: Metric) -> Option<&Figure> {
        self.figures
            .iter()
            .find(|figure| figure.proxy == proxy && figure.metric == metric)
    }

    /// Every metric once, in the order of its first figure.
    pub fn metrics(&self) -> Vec<Metric> {
        let mut metrics = Vec::new();
        for figure in &self.figures {
            if !metrics.contains(&figure.metric) {
                metrics.push(figure.metric);
            }
        }
        metrics
    }
}

/// The middle value; of an even number the mean of the two in the middle; of none, not a number.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

fn bounds(values: &[f64]) -> (f64, f64) {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (least, most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: Metric = Metric::cost("CPU time", "µs");

    fn figure(values: &[f64]) -> Figure {
        Figure {
            proxy: "narthex",
            metric: COST,
            values: values.to_vec(),
            method: "a test",
        }
    }

    #[test]
    fn the_median_of_an_even_number_of_rounds_is_the_mean_of_the_middle_two() {
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]).to_bits(), 2.5_f64.to_bits());
    }

    #[test]
    fn a_ratio_compares_values_of_the_same_round() {
        // The second round was slow for both: the ratio does not see it.
        let (ours, theirs) = (figure(&[1.0, 5.0, 1.0]), figure(&[2.0, 10.0, 2.0]));
        assert!((ours.ratio_to(&theirs) - 0.5).abs() < 1e-9);
    }

    #[test]
    fn spread_is_half_the_range_over_the_median() {
        assert!((figure(&[9.0, 10.0, 11.0]).spread() - 0.1).abs() < 1e-9);
    }
}
