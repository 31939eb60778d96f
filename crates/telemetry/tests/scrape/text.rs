//! Reads a text page as strictly as the formats are written down, and panics on anything odd.

use narthex_telemetry::families::Family;
use std::collections::{BTreeMap, BTreeSet};

pub struct Page {
    series: BTreeMap<(String, String), f64>,
}

impl Page {
    pub fn parse(text: &str, open_metrics: bool) -> Self {
        assert!(text.ends_with('\n'));
        assert_eq!(text.ends_with("# EOF\n"), open_metrics);
        let mut page = Self {
            series: BTreeMap::new(),
        };
        let mut seen = BTreeSet::new();
        let (mut family, mut kind) = (String::new(), String::new());
        for line in text.lines().filter(|line| *line != "# EOF") {
            if let Some(comment) = line.strip_prefix("# ") {
                let (keyword, rest) = comment.split_once(' ').expect(line);
                let (name, value) = rest.split_once(' ').expect(line);
                match keyword {
                    "HELP" => {
                        assert!(seen.insert(name.to_owned()), "{name} comes twice");
                        name.clone_into(&mut family);
                    }
                    "TYPE" => {
                        assert_eq!(name, family);
                        value.clone_into(&mut kind);
                        assert!(["counter", "gauge", "histogram"].contains(&value), "{line}");
                    }
                    "UNIT" => assert!(open_metrics && name == family && name.ends_with(value), "{line}"),
                    _ => panic!("{line}"),
                }
                continue;
            }
            let (name, labels, value) = sample(line);
            let suffix = name
                .strip_prefix(family.as_str())
                .expect("a sample belongs to its family");
            let allowed: &[&str] = match kind.as_str() {
                "counter" if open_metrics => &["_total"],
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &[""],
            };
            assert!(allowed.contains(&suffix), "{line}");
            assert!(value >= 0.0 || kind == "gauge", "{line}");
            assert!(
                page.series.insert((name, labels), value).is_none(),
                "twice: {line}"
            );
        }
        page
    }

    pub fn value(&self, name: &str, labels: &str) -> Option<f64> {
        self.series.get(&(name.to_owned(), labels.to_owned())).copied()
    }

    pub fn has_series_of(&self, family: &Family) -> bool {
        self.series.keys().any(|(name, _)| name.starts_with(family.name))
    }
}

/// `name{a="b",c="d"} 1.5` as name, `a=b,c=d`, value.
fn sample(line: &str) -> (String, String, f64) {
    let end = line.find(['{', ' ']).expect(line);
    let name = &line[..end];
    assert!(
        name.chars()
            .all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_'),
        "{line}"
    );
    let (mut labels, mut rest) = (String::new(), &line[end..]);
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"").expect(line);
            assert!(
                label.chars().all(|char| char.is_ascii_lowercase() || char == '_'),
                "{line}"
            );
            labels.push_str(label);
            labels.push('=');
            rest = quoted(after, &mut labels);
            if let Some(after) = rest.strip_prefix(',') {
                labels.push(',');
                rest = after;
            } else {
                rest = rest.strip_prefix('}').expect(line);
                break;
            }
        }
    }
    let value = rest.strip_prefix(' ').expect(line);
    (name.to_owned(), labels, value.parse().expect(line))
}

/// Reads up to the closing quote and returns what follows it.
fn quoted<'t>(text: &'t str, out: &mut String) -> &'t str {
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return &text[at + 1..],
            '\\' => match chars.next() {
                Some((_, 'n')) => out.push('\n'),
                Some((_, char @ ('\\' | '"'))) => out.push(char),
                _ => panic!("bad escape in {text}"),
            },
            char => out.push(char),
        }
    }
    panic!("no closing quote in {text}");
}
