//! Background work of the evaluator.

mod run_evaluations;

use crate::evaluator::Evaluator;
use runtime::Tasks;

/// Starts every loop.
pub fn start(tasks: &Tasks, evaluator: &Evaluator) {
    let worker = evaluator.clone();
    tasks.spawn("run-evaluations", move |stop| run_evaluations::run(worker.clone(), stop));
}
