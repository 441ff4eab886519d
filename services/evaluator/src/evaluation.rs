//! One whole evaluation, without a mesh: a loaded model, a split and a plan in, the measurements of §7.1 out.

mod data;
mod report;

pub use data::{Data, Groups, Truth, known_labels, label, labels};
pub use report::{Report, SlotReport};

use crate::{
    Error, Limits, measure, plan::Plan, predict::Classes, predict::Model, predict::Outputs, rows,
    table::Table,
};
use contracts::common::v1::ColumnProfile;
use engine::Session;
use lifecycle::policy::Policy;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// What an evaluation is made of.
pub struct Subject<'a> {
    /// The loaded model.
    pub session: Arc<dyn Session>,
    /// The split that is measured.
    pub table: &'a Table,
    /// The rows that the model was trained on, where they can be read: for information leakage.
    pub train: Option<&'a Table>,
    /// Profiles of the training split: the range of each input.
    pub profiles: &'a [ColumnProfile],
    /// What is measured.
    pub plan: &'a Plan,
    /// The policy in force.
    pub policy: &'a Policy,
    /// What it may take.
    pub limits: &'a Limits,
    /// Ends it.
    pub stop: CancellationToken,
}

/// Is told where an evaluation stands.
#[async_trait::async_trait]
pub trait Watch: Send + Sync {
    /// A step begins; `share` of the whole is done, 0..=1.
    ///
    /// # Errors
    /// [`Error::Cancelled`] ends the evaluation.
    async fn step(&self, step: &str, share: f64) -> Result<(), Error>;
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

#[async_trait::async_trait]
impl Watch for Unwatched {
    async fn step(&self, _: &str, _: f64) -> Result<(), Error> {
        Ok(())
    }
}

/// Measures the five dimensions of §7.1. The same subject gives the same numbers, latency and throughput apart.
///
/// # Errors
/// [`Error::DoesNotFit`] where model, split and plan do not fit each other, [`Error::Cancelled`], or a host that fails.
/// A model that fails on rows is no error: those rows are wrong and counted.
pub async fn evaluate(subject: Subject<'_>, watch: &dyn Watch) -> Result<Report, Error> {
    let Subject { session, table, train, profiles, plan, policy, limits, stop } = subject;
    watch.step("mapping rows", 0.05).await?;
    let signature = session.signature().clone();
    let layout = rows::resolve(&signature, plan, table)?;
    let labels = labels(table, plan)?;
    let classes = if plan.classifies() {
        let known = known_labels(train, profiles, plan);
        let own = labels.iter().flatten().map(String::as_str);
        Classes::new(&plan.classes, own, known.iter().map(String::as_str))?
    } else {
        Classes::default()
    };
    let outputs = Outputs::resolve(&signature, plan, classes.of_model())?;
    let mut model = Model::new(session, layout, outputs, classes, plan.batch_size, limits, stop);
    let mut data = Data::prepare(&model, plan, table, &labels, profiles, limits)?;
    watch.step("predicting", 0.1).await?;
    model.warm_up().await?;
    model.take_work();
    let raw = model.raw(&data.samples).await?;
    model.learn(&raw)?;
    data.answers = model.read(raw);
    let mut report = Report::new(&data, &model);
    measure::performance::tasks(&data, &model, &mut report);
    measure::latency::throughput(&data, &model, &mut report);
    watch.step("latency", 0.2).await?;
    measure::latency::latency(&data, &model, limits, &mut report).await?;
    watch.step("fairness", 0.35).await?;
    measure::fairness::parity(&data, &model, &mut report);
    measure::fairness::calibration(&data, &model, &mut report);
    watch.step("adversarial", 0.4).await?;
    measure::adversarial::adversarial(&data, &model, limits, &mut report).await?;
    watch.step("edge cases", 0.7).await?;
    measure::robustness::edge_cases(&data, &model, &mut report).await?;
    measure::robustness::out_of_distribution(&data, &model, &mut report).await?;
    watch.step("safety", 0.8).await?;
    measure::safety::content(&data, policy, &mut report);
    measure::safety::leakage(&data, &model, train, limits, &mut report).await?;
    watch.step("explainability", 0.85).await?;
    measure::explainability::attribution(&data, &model, &mut report).await?;
    measure::explainability::decisions(&data, &model, &mut report).await?;
    measure::explainability::uncertainty(&data, &model, &mut report);
    Ok(report)
}
