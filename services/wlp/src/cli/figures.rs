//! Figures in tables for people: what was not measured is a dash, and no zero.

/// A share as percent; a dash where there is none.
pub fn percentage(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.2} %", share * 100.0))
}

/// A number with four digits; a dash where there is none.
pub fn number(value: Option<f64>) -> String {
    value.map_or_else(
        || "-".to_owned(),
        |value| if value == 0.0 { "0".to_owned() } else { format!("{value:.3e}") },
    )
}
