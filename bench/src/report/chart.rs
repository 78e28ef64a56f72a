//! The result of a benchmark as a picture: bars side by side, for those who would rather look than read.
//!
//! Invariant: a bar's length is the median that the table shows, on one linear scale from zero per block; the line across its
//! end goes from the least to the greatest value measured.

use std::fmt::Write as _;

use super::{Measured, Report, number};

const WIDTH: f64 = 820.0;
const LABELS: f64 = 190.0;
const VALUES: f64 = 90.0;
const BAR: f64 = 18.0;
const GAP: f64 = 6.0;
const HEADING: f64 = 44.0;
const TITLE: f64 = 56.0;

impl Report {
    /// The chart as an SVG document: one block per case and metric, one bar per client, those of `ours` in another colour.
    pub fn chart(&self, ours: &[&str]) -> String {
        let blocks = self.blocks();
        let bars: usize = blocks.iter().map(|(_, _, rows)| rows.len()).sum();
        let height = TITLE + blocks.len() as f64 * HEADING + bars as f64 * (BAR + GAP) + GAP;
        let mut svg = String::new();
        // Writing to a String does not fail.
        let _ = writeln!(
            svg,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="white"/>
<text x="12" y="24" font-size="16" font-weight="bold">{}</text>
<text x="12" y="42" fill="dimgray">{}</text>"#,
            escaped(&self.name),
            escaped(&self.machine),
        );
        let mut top = TITLE;
        for (case, metric, rows) in &blocks {
            let _ = writeln!(
                svg,
                r#"<text x="12" y="{}" font-weight="bold">{}: {}</text>"#,
                top + HEADING - 14.0,
                escaped(case),
                escaped(metric)
            );
            top += HEADING;
            let most = rows.iter().map(|row| row.max).fold(0.0, f64::max);
            for row in rows {
                bar(&mut svg, row, top, most, ours.contains(&row.who.as_str()));
                top += BAR + GAP;
            }
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn blocks(&self) -> Vec<(&str, &str, Vec<&Measured>)> {
        let mut blocks: Vec<(&str, &str, Vec<&Measured>)> = Vec::new();
        for row in &self.results {
            let known = blocks
                .iter_mut()
                .find(|(case, metric, _)| *case == row.case && *metric == row.metric);
            match known {
                Some((_, _, rows)) => rows.push(row),
                None => blocks.push((&row.case, &row.metric, vec![row])),
            }
        }
        blocks
    }
}

fn bar(svg: &mut String, row: &Measured, top: f64, most: f64, ours: bool) {
    let room = WIDTH - LABELS - VALUES;
    let length = |value: f64| {
        if most > 0.0 {
            room * value.max(0.0) / most
        } else {
            0.0
        }
    };
    let middle = top + BAR / 2.0;
    let colour = if ours { "#00695c" } else { "#b0bec5" };
    let _ = writeln!(
        svg,
        r##"<text x="{}" y="{}" text-anchor="end">{}</text>
<rect x="{LABELS}" y="{top}" width="{:.1}" height="{BAR}" fill="{colour}"/>
<line x1="{:.1}" x2="{:.1}" y1="{middle}" y2="{middle}" stroke="#263238"/>
<text x="{:.1}" y="{}">{}</text>"##,
        LABELS - 8.0,
        middle + 4.0,
        escaped(&row.who),
        length(row.median),
        LABELS + length(row.min),
        LABELS + length(row.max),
        LABELS + length(row.max) + 6.0,
        middle + 4.0,
        number(row.median),
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share_of_the_greatest_value() {
        let mut report = Report::new("a < b");
        report.add("case", "ours", "time [ms]", 50.0);
        report.add("case", "peer", "time [ms]", 100.0);
        let svg = report.chart(&["ours"]);
        let room = WIDTH - LABELS - VALUES;
        assert!(svg.contains("a &lt; b"));
        assert!(svg.contains(&format!(r#"width="{:.1}""#, room / 2.0)));
        assert!(svg.contains(&format!(r#"width="{room:.1}""#)));
    }

    #[test]
    fn a_case_in_which_all_is_zero_has_bars_of_no_length() {
        let mut report = Report::new("test");
        report.add("case", "ours", "failed reads", 0.0);
        assert!(report.chart(&["ours"]).contains(r#"width="0.0""#));
    }
}
