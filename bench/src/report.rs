//! The result of a benchmark: a table and a chart for people and a file for programs, from the same numbers.
//!
//! Invariant: every number in the table is in the file; a ratio is the median of ours divided by the median of the peer's,
//! both from the same run.

mod chart;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

/// What was measured, in the order in which it was first added.
#[derive(Debug, Serialize)]
pub struct Report {
    name: String,
    machine: String,
    results: Vec<Measured>,
    ratios: Vec<Ratio>,
    /// What is no number, such as the sentence that a failed connect said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    remarks: Vec<Remark>,
    #[serde(skip)]
    only: Option<String>,
}

/// All values of one metric of one peer in one case.
#[derive(Debug, Serialize)]
struct Measured {
    case: String,
    who: String,
    metric: String,
    median: f64,
    min: f64,
    max: f64,
    n: usize,
    #[serde(skip)]
    values: Vec<f64>,
}

#[derive(Debug, Serialize)]
struct Ratio {
    case: String,
    metric: String,
    ours: String,
    peer: String,
    ratio: f64,
}

#[derive(Debug, Serialize)]
struct Remark {
    case: String,
    who: String,
    text: String,
}

impl Report {
    /// An empty report of the benchmark `name` on this machine.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            machine: machine(),
            results: Vec::new(),
            ratios: Vec::new(),
            remarks: Vec::new(),
            only: None,
        }
    }

    /// A report of the cases whose names contain this text; of all without one.
    #[must_use]
    pub fn only(mut self, text: Option<String>) -> Self {
        self.only = text;
        self
    }

    /// Whether no cases are left out by their names.
    pub fn is_whole(&self) -> bool {
        self.only.is_none()
    }

    /// Whether a case is to be measured.
    pub fn wants(&self, case: &str) -> bool {
        self.only.as_ref().is_none_or(|text| case.contains(text))
    }

    /// Adds one value. The metric's name carries its unit: `"connect [ms]"`.
    pub fn add(&mut self, case: &str, who: &str, metric: &str, value: f64) {
        let found = self
            .results
            .iter()
            .position(|row| row.case == case && row.who == who && row.metric == metric);
        let index = found.unwrap_or_else(|| {
            self.results.push(Measured {
                case: case.to_owned(),
                who: who.to_owned(),
                metric: metric.to_owned(),
                median: value,
                min: value,
                max: value,
                n: 0,
                values: Vec::new(),
            });
            self.results.len() - 1
        });
        let row = &mut self.results[index];
        row.values.push(value);
        row.values.sort_by(f64::total_cmp);
        row.n = row.values.len();
        row.min = row.values[0];
        row.max = row.values[row.n - 1];
        let middle = row.n / 2;
        row.median = if row.n % 2 == 1 {
            row.values[middle]
        } else {
            (row.values[middle - 1] + row.values[middle]) / 2.0
        };
    }

    /// Notes a text; the first one of a peer and case stays.
    pub fn remark(&mut self, case: &str, who: &str, text: &str) {
        if !self.has_remark(case, who) {
            self.remarks.push(Remark {
                case: case.to_owned(),
                who: who.to_owned(),
                text: text.to_owned(),
            });
        }
    }

    /// True when something was noted of a peer and case.
    pub fn has_remark(&self, case: &str, who: &str) -> bool {
        self.remarks
            .iter()
            .any(|remark| remark.case == case && remark.who == who)
    }

    /// Adds the ratio of every metric that `ours` has in common with another peer, in every case.
    pub fn compare(&mut self, ours: &[&str]) {
        let median = |case: &str, who: &str, metric: &str| {
            self.results
                .iter()
                .find(|row| row.case == case && row.who == who && row.metric == metric)
                .map(|row| row.median)
        };
        let mut ratios = Vec::new();
        for peer in self
            .results
            .iter()
            .filter(|row| !ours.contains(&row.who.as_str()))
        {
            for who in ours {
                let Some(value) = median(&peer.case, who, &peer.metric) else {
                    continue;
                };
                if peer.median > 0.0 {
                    ratios.push(Ratio {
                        case: peer.case.clone(),
                        metric: peer.metric.clone(),
                        ours: (*who).to_owned(),
                        peer: peer.who.clone(),
                        ratio: value / peer.median,
                    });
                }
            }
        }
        self.ratios = ratios;
    }

    /// The table for people: one block per case and metric, one line per peer, ratios behind it.
    pub fn table(&self) -> String {
        let mut text = format!("{}, on {}\n", self.name, self.machine);
        let mut blocks: Vec<(&str, &str)> = Vec::new();
        for row in &self.results {
            if !blocks.contains(&(row.case.as_str(), row.metric.as_str())) {
                blocks.push((&row.case, &row.metric));
            }
        }
        let width = self
            .results
            .iter()
            .map(|row| row.who.chars().count())
            .max()
            .unwrap_or(0);
        for (case, metric) in blocks {
            // Writing to a String does not fail.
            let _ = writeln!(text, "\n{case}: {metric}");
            for row in self
                .results
                .iter()
                .filter(|row| row.case == case && row.metric == metric)
            {
                let _ = write!(
                    text,
                    "  {:width$}  {:>10}  ({} … {}, n = {})",
                    row.who,
                    number(row.median),
                    number(row.min),
                    number(row.max),
                    row.n
                );
                for ratio in self.ratios.iter().filter(|ratio| {
                    ratio.case == case && ratio.metric == metric && ratio.peer == row.who
                }) {
                    let _ = write!(text, "   {} / this: {:.2}", ratio.ours, ratio.ratio);
                }
                text.push('\n');
            }
        }
        if !self.remarks.is_empty() {
            text.push_str("\nWhat was said\n");
        }
        let mut last = "";
        for remark in &self.remarks {
            if remark.case != last {
                last = &remark.case;
                let _ = writeln!(text, "  {last}");
            }
            let _ = writeln!(text, "    {:width$}  {}", remark.who, remark.text);
        }
        text
    }

    /// Writes the file for programs.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let json = serde_json::to_string_pretty(self)?;
        fs::write(path, json + "\n").with_context(|| format!("could not write {}", path.display()))
    }
}

/// Three significant digits, without an exponent.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 || size == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!("{model}, {cores} cores, load {load} at the start")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_of_medians() {
        let mut report = Report::new("test");
        for value in [4.0, 2.0, 100.0] {
            report.add("case", "ours", "time [ms]", value);
        }
        for value in [1.0, 3.0] {
            report.add("case", "peer", "time [ms]", value);
        }
        report.compare(&["ours"]);
        assert_eq!(report.ratios.len(), 1);
        assert!((report.ratios[0].ratio - 2.0).abs() < 1e-9);
        assert!(report.table().contains("ours / this: 2.00"));
    }
}
