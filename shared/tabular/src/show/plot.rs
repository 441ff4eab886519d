//! Plots of a page: bars, histograms, a whole in its parts, a figure on its scale. Inline SVG; every text in it is escaped.

use std::fmt::Write;

use super::frame::{escaped, short};
use super::{brief, grouped, percent};

/// Bars of counts of the same width, 240 by 72 points, with what stands below the left and the right end.
pub fn histogram(counts: &[u64], left: &str, right: &str, out: &mut String) {
    let width = 240.0 / counts.len().max(1) as f64;
    let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let bars = counts.iter().enumerate().map(|(at, count)| Bar {
        left: at as f64 * width,
        width,
        height: *count as f64 / most,
        title: grouped(*count),
    });
    drawing(bars, left, right, out);
}

/// A histogram of bins of any width: the area of a bar is its count.
///
/// `counts` has one element more than `edges`, which ascend; the first bin begins at `low`, the last one ends at `high`. A bin
/// without width is a single value and drawn as wide as the others are on average.
pub fn density(edges: &[f64], counts: &[u64], low: f64, high: f64, out: &mut String) {
    let from = |at: usize| at.checked_sub(1).and_then(|at| edges.get(at)).copied().unwrap_or(low);
    let to = |at: usize| edges.get(at).copied().unwrap_or(high);
    let wide = |at: usize| Some(to(at) - from(at)).filter(|width| *width > 0.0 && width.is_finite());
    let widths: Vec<f64> = (0..counts.len()).filter_map(wide).collect();
    let usual = if widths.is_empty() { 1.0 } else { widths.iter().sum::<f64>() / widths.len() as f64 };
    // An empty bin below the smallest or above the largest value is nowhere.
    let shown: Vec<(f64, f64, u64, usize)> = (0..counts.len())
        .filter(|at| counts[*at] > 0 || wide(*at).is_some())
        .map(|at| (from(at), wide(at).unwrap_or(usual), counts[at], at))
        .collect();
    let begin = shown.first().map_or(0.0, |it| it.0);
    let end = shown.iter().map(|it| it.0 + it.1).fold(begin, f64::max);
    let scale = 240.0 / if end > begin { end - begin } else { 1.0 };
    let most = shown.iter().map(|it| it.2 as f64 / it.1).fold(f64::MIN_POSITIVE, f64::max);
    let bars = shown.iter().map(|(left, width, count, at)| {
        let range = match (*at, edges.get(*at)) {
            (0, Some(high)) => format!("below {}", brief(*high)),
            (_, None) => format!("from {}", brief(from(*at))),
            (_, Some(high)) => format!("{} to {}", brief(from(*at)), brief(*high)),
        };
        Bar {
            left: (left - begin) * scale,
            width: width * scale,
            height: *count as f64 / width / most,
            title: format!("{range}: {}", grouped(*count)),
        }
    });
    let shown = |end: f64| if end.is_finite() { brief(end) } else { String::new() };
    drawing(bars, &shown(low), &shown(high), out);
}

/// One bar, in points from the left; the height is a share of the highest one.
struct Bar {
    left: f64,
    width: f64,
    height: f64,
    title: String,
}

fn drawing(bars: impl Iterator<Item = Bar>, left: &str, right: &str, out: &mut String) {
    out.push_str("<svg viewBox=\"0 0 240 72\" role=\"img\" aria-label=\"histogram\">");
    for bar in bars {
        let height = bar.height * 56.0;
        let shown = if bar.height > 0.0 { height.max(0.8) } else { 0.0 };
        let gap = 0.4_f64.min(bar.width / 4.0);
        let _ = write!(
            out,
            "<rect x=\"{:.2}\" y=\"{:.2}\" width=\"{:.2}\" height=\"{shown:.2}\"><title>{}</title></rect>",
            bar.left + gap,
            58.0 - shown,
            (bar.width - 2.0 * gap).max(0.4),
            escaped(&bar.title)
        );
    }
    let _ = write!(
        out,
        "<text x=\"0\" y=\"70\">{}</text><text x=\"240\" y=\"70\" text-anchor=\"end\">{}</text></svg>",
        escaped(left),
        escaped(right)
    );
}

/// Values with their shares, 0..=1, one bar each.
pub fn shares<'a>(values: impl IntoIterator<Item = (&'a str, f64)>, out: &mut String) {
    out.push_str("<div class=\"top\">");
    for (value, share) in values {
        let _ = write!(
            out,
            "<span title=\"{0}\">{0}</span><span class=\"dim\">{1}</span><i style=\"width:{2:.1}%\"></i>",
            short(value),
            percent(share),
            share.clamp(0.0, 1.0) * 100.0
        );
    }
    out.push_str("</div>");
}

/// A whole in its parts, side by side, each with its name and count below.
pub fn parts(parts: &[(&str, u64)], out: &mut String) {
    let all = parts.iter().map(|(_, count)| *count).sum::<u64>().max(1) as f64;
    out.push_str("<svg viewBox=\"0 0 720 52\" role=\"img\" aria-label=\"parts\">");
    let mut left = 0.0;
    for (at, (name, count)) in parts.iter().enumerate() {
        let width = *count as f64 / all * 720.0;
        let strength = 1.0 - 0.3 * (at.min(2) as f64);
        let share = percent(*count as f64 / all);
        let title = format!("{name}: {} ({share})", grouped(*count));
        let _ = write!(
            out,
            "<rect x=\"{left:.2}\" y=\"0\" width=\"{:.2}\" height=\"26\" opacity=\"{strength:.1}\"><title>{}</title></rect>",
            (width - 1.5).max(0.5),
            escaped(&title)
        );
        // Beside a narrow part there is no room for its name: the name stands in the part's title.
        if width > 90.0 {
            let _ = write!(
                out,
                "<text x=\"{left:.2}\" y=\"38\">{}</text><text x=\"{left:.2}\" y=\"50\">{} ({share})</text>",
                escaped(&name.chars().take(20).collect::<String>()),
                grouped(*count)
            );
        }
        left += width;
    }
    out.push_str("</svg>");
}

/// A figure on a scale from 0 to `most`: its interval as a band, itself as a line, a target as a mark across.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gauge {
    /// The figure.
    pub value: f64,
    /// Its confidence interval.
    pub interval: Option<(f64, f64)>,
    /// What it is compared with.
    pub mark: Option<f64>,
    /// The right end of the scale, above 0.
    pub most: f64,
}

impl Gauge {
    /// With a scale on which everything fits, and which is not wider than it helps.
    pub fn fitted(value: f64, interval: Option<(f64, f64)>, mark: Option<f64>) -> Self {
        let high = interval.map_or(value, |(_, high)| high.max(value));
        let most = high.max(mark.unwrap_or(0.0)) * 1.25;
        Self { value, interval, mark, most: if most > 0.0 && most.is_finite() { most.min(1.0) } else { 1.0 } }
    }

    /// Draws it, 160 by 16 points; `title` is what it says in words.
    pub fn draw(&self, title: &str, out: &mut String) {
        let at = |value: f64| (value / self.most).clamp(0.0, 1.0) * 156.0 + 2.0;
        let _ = write!(
            out,
            "<svg class=\"gauge\" viewBox=\"0 0 160 16\" role=\"img\" aria-label=\"{0}\"><title>{0}</title>\
             <rect class=\"track\" x=\"2\" y=\"7\" width=\"156\" height=\"2\"></rect>",
            escaped(title)
        );
        if let Some((low, high)) = self.interval.filter(|(low, high)| low <= high) {
            let _ = write!(
                out,
                "<rect class=\"band\" x=\"{:.2}\" y=\"4\" width=\"{:.2}\" height=\"8\"></rect>",
                at(low),
                (at(high) - at(low)).max(0.8)
            );
        }
        if self.value.is_finite() {
            let left = at(self.value) - 1.0;
            let _ = write!(out, "<rect x=\"{left:.2}\" y=\"2\" width=\"2\" height=\"12\"></rect>");
        }
        if let Some(mark) = self.mark.filter(|mark| mark.is_finite()) {
            let left = at(mark) - 0.6;
            let _ = write!(
                out,
                "<rect class=\"mark\" x=\"{left:.2}\" y=\"0\" width=\"1.2\" height=\"16\"></rect>"
            );
        }
        out.push_str("</svg>");
    }
}

/// The style of [`Gauge`].
pub const GAUGE_STYLE: &str = "svg.gauge{width:10rem}svg.gauge .track{fill:var(--line)}svg.gauge .band{fill:var(--soft)}\
svg.gauge .mark{fill:var(--bad)}";

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(svg: &str, name: &str) -> Vec<f64> {
        let pattern = format!(" {name}=\"");
        svg.split("<rect")
            .skip(1)
            .map(|rect| {
                let value = rect.split(&pattern).nth(1).unwrap().split('"').next().unwrap();
                value.parse().unwrap()
            })
            .collect()
    }

    #[test]
    fn the_area_of_a_bar_is_its_count() {
        let mut svg = String::new();
        // 0..1 holds 10, 1..3 holds 20: the second is twice as wide and of the same height.
        density(&[1.0], &[10, 20], 0.0, 3.0, &mut svg);
        assert_eq!(numbers(&svg, "height"), [56.0, 56.0]);
        assert_eq!(numbers(&svg, "x"), [0.4, 80.4]);
        assert!(
            svg.contains("<title>below 1: 10</title>") && svg.contains("<title>from 1: 20</title>"),
            "{svg}"
        );
    }

    #[test]
    fn a_single_value_is_drawn_and_what_is_nowhere_is_not() {
        let mut svg = String::new();
        density(&[5.0], &[0, 7], 5.0, 5.0, &mut svg);
        assert_eq!(numbers(&svg, "height"), [56.0]);
        svg.clear();
        density(&[0.0], &[0, 0], f64::NAN, f64::NAN, &mut svg);
        assert!(!svg.contains("<rect") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn a_gauge_fits_what_it_shows() {
        let gauge = Gauge::fitted(0.01, Some((0.005, 0.02)), Some(0.05));
        assert!((gauge.most - 0.0625).abs() < 1e-12);
        let mut svg = String::new();
        gauge.draw("a < b", &mut svg);
        assert_eq!(svg.matches("<rect").count(), 4);
        assert!(svg.contains("a &lt; b") && !svg.contains("a < b"));
        assert_eq!(Gauge::fitted(f64::NAN, None, None).most, 1.0);
    }

    #[test]
    fn names_are_no_markup() {
        let mut out = String::new();
        shares([("<i>", 0.5)], &mut out);
        parts(&[("<train>", 9), ("t", 1)], &mut out);
        assert!(!out.contains("<i>") && !out.contains("<train>"), "{out}");
        assert!(out.contains("width:50.0%") && out.contains("90.0 %"));
    }
}
