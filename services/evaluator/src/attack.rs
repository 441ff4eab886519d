//! Searches for an input near a row on which the model is right, so that it is no longer: by its answers alone.
//!
//! Every search proposes one input at a time; [`run`] asks the model for the proposals of all rows at once. A search is
//! seeded by its row, so the result does not depend on how rows share batches.

mod ball;
mod edits;
mod square;
mod text;

pub use ball::{Ball, Grid, grids};
pub use square::Square;
pub use text::CharacterEdits;

use crate::evaluation::Data;
use crate::predict::{Answer, Model};
use crate::{Error, evaluation::Truth, rows::Sample};
use std::time::Instant;

/// What the model's answer means for a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reaction {
    /// Score of the right class above the best other one; 0 where the model gives no scores.
    pub margin: f64,
    /// Whether the answer is wrong now.
    pub broken: bool,
}

/// One row's search.
pub trait Search: Send {
    /// The next input to try; `None` when nothing is left to try.
    fn propose(&mut self) -> Option<Sample>;
    /// Takes in what the model made of the last proposal.
    fn note(&mut self, reaction: Reaction);
    /// Whether the last proposal is one that the attack may make; otherwise it only informs the search.
    fn counts(&self) -> bool {
        true
    }
}

/// What came of a row's search.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The row.
    pub row: usize,
    /// Inputs that were tried.
    pub queries: u64,
    /// The input that broke the answer, if one did.
    pub broken_by: Option<Sample>,
}

/// Runs the searches, each for at most `queries` inputs. `None` where `end` came before they were through: rows that were
/// not attacked to the end say nothing.
///
/// # Errors
/// [`Error::Cancelled`] or a host that fails.
pub async fn run(
    data: &Data<'_>,
    model: &Model,
    mut searches: Vec<(usize, Box<dyn Search>)>,
    queries: u64,
    end: Instant,
) -> Result<Option<Vec<Found>>, Error> {
    let mut found: Vec<Found> =
        searches.iter().map(|(row, _)| Found { row: *row, queries: 0, broken_by: None }).collect();
    let mut active: Vec<usize> = (0..searches.len()).collect();
    for _ in 0..queries {
        let proposed: Vec<(usize, Sample)> =
            active.iter().filter_map(|at| Some((*at, searches[*at].1.propose()?))).collect();
        if proposed.is_empty() {
            break;
        }
        if end <= Instant::now() {
            return Ok(None);
        }
        let (at, samples): (Vec<usize>, Vec<Sample>) = proposed.into_iter().unzip();
        let answers = model.answer(&samples).await?;
        active.clear();
        for ((at, sample), answer) in at.into_iter().zip(samples).zip(answers) {
            found[at].queries += 1;
            let reaction = react(data, found[at].row, &answer);
            if reaction.broken && searches[at].1.counts() {
                found[at].broken_by = Some(sample);
            } else {
                searches[at].1.note(reaction);
                active.push(at);
            }
        }
    }
    Ok(Some(found))
}

/// What an answer means for the row. A model that fails on the input is broken by it.
pub fn react(data: &Data, row: usize, answer: &Answer) -> Reaction {
    let broken = !data.is_right(row, answer);
    let margin = match (&data.truth, answer) {
        (Truth::Classes(truth), answer) => answer.scores().map_or(0.0, |scores| margin(scores, truth[row])),
        (Truth::Values(truth), Answer::Value(value)) => data.plan.tolerance - (value - truth[row]).abs(),
        (Truth::Values(_), _) => 0.0,
    };
    Reaction { margin, broken }
}

fn margin(scores: &[f64], truth: usize) -> f64 {
    let own = scores.get(truth).copied().unwrap_or(0.0);
    let others = scores.iter().enumerate().filter(|(class, _)| *class != truth).map(|(_, score)| *score);
    own - others.fold(f64::NEG_INFINITY, f64::max).max(own - 1e300)
}
