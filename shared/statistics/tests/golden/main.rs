//! Compares this crate with the reference values of other libraries, where those files are at hand.
//!
//! The files lie outside the project and are an extra: without them this says so in one line and passes.
#![allow(clippy::unwrap_used, clippy::many_single_char_names, clippy::expect_used, missing_docs)]

mod check;
mod drift;
mod labels;
mod scores;
mod statistics;
mod text;

use check::Check;

#[test]
fn reference_values() {
    let Some(mut check) = Check::open() else {
        println!("golden: reference values are not here, comparison left out");
        return;
    };
    labels::run(&mut check);
    scores::run(&mut check);
    statistics::run(&mut check);
    text::run(&mut check);
    drift::run(&mut check);
    check.finish();
}
