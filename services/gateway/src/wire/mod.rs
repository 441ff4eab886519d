//! Between the Open Inference Protocol and the engine's tensors.

mod answer;
mod classification;
mod contents;
mod parameters;
mod request;
mod stated;

pub use answer::answer;
pub use classification::{Classes, classified, faults as class_faults};
pub use parameters::Parameters;
pub use request::{Parsed, message_bytes, odd_text, parse};
pub use stated::{config, metadata, number};

/// A name from a caller as it may be echoed: short and without control characters.
pub(crate) fn shown(name: &str) -> String {
    let mut out: String = name.chars().take(64).map(|c| if c.is_control() { '?' } else { c }).collect();
    if name.chars().nth(64).is_some() {
        out.push_str("...");
    }
    out
}
