//! The choice of a model: the weighted decision (§4.2) and the five steps that lead to it (§6.1).

use async_trait::async_trait;
use contracts::registry::v1::*;
use lifecycle::selection::record_step;
use lifecycle::selection_criteria::{
    Candidate as Scored, Criterion as Weighted, DecisionInput, Direction, Normalisation, Ranking, Score, rank,
};

use super::plan::draft;
use crate::convert::{project, word};
use crate::store::Resource;
use crate::work::{Verb, Work};
use crate::{Error, parse::Fields};

#[async_trait]
impl Verb for DecideSelectionRequest {
    type Answer = Project;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Project::FORM);
        fields.text("justification", &self.justification);
        let known = self.normalisation.is_empty() || self.normalisation.parse::<Normalisation>().is_ok();
        fields.require(known, "normalisation", "is none of min-max, ratio, none");
        fields.each("candidates", &self.candidates, |fields, at, candidate| {
            fields.text(&format!("{at}.candidate_id"), &candidate.candidate_id);
            fields.text_map(&format!("{at}.evidence"), candidate.evidence.iter());
            for (criterion, score) in &candidate.scores {
                let field = format!("{at}.scores[{}]", criterion.chars().take(40).collect::<String>());
                fields.require(criterion.parse::<Weighted>().is_ok(), &field, "is none of the six criteria");
                fields.number(&field, *score);
            }
        });
    }

    async fn decide(self, work: &mut Work) -> Result<Project, Error> {
        let seen = work.open::<Project>(&self.name, &self.etag).await?;
        if seen.selection.is_some() {
            draft(&seen)?; // the decision was approved with the plan
        }
        let policy = work.policy();
        let input = input(&self)?;
        let ranking = rank(&input, &policy.planning)?;
        let mut next = (*seen).clone();
        next.selection = Some(SelectionDecision {
            candidates: self.candidates,
            normalisation: input.normalisation.to_string(),
            justification: self.justification,
            ranking: ranking.order.iter().map(|ranked| ranked.name.clone()).collect(),
            winner: ranking.winner().to_owned(),
            sensitive: !ranking.stable,
            sensitivity: sensitivity(&ranking),
            decided_by: work.principal(),
            decide_time: work.wire_now(),
            policy_digest: policy.digest().to_owned(),
        });
        work.save(&seen, next, "decide-selection").await
    }
}

/// The decision as it was put; the contract's scores are higher is better.
fn input(request: &DecideSelectionRequest) -> Result<DecisionInput, Error> {
    let normalisation = match request.normalisation.as_str() {
        "" => Normalisation::MinMax,
        text => word("normalisation", text)?,
    };
    let candidates: Result<_, Error> = request.candidates.iter().map(scored).collect();
    Ok(DecisionInput {
        candidates: candidates?,
        directions: Weighted::ALL.iter().map(|criterion| (*criterion, Direction::Higher)).collect(),
        normalisation,
        justification: request.justification.clone(),
    })
}

fn scored(candidate: &Candidate) -> Result<Scored, Error> {
    let one = |(name, value): (&String, &f64)| {
        let evidence = candidate.evidence.get(name).cloned().unwrap_or_default();
        Ok(Score { criterion: word("candidates.scores", name)?, value: *value, evidence })
    };
    let scores: Result<_, Error> = candidate.scores.iter().map(one).collect();
    Ok(Scored { name: candidate.candidate_id.clone(), scores: scores? })
}

/// One line for each moved weight that makes another candidate win.
fn sensitivity(ranking: &Ranking) -> Vec<String> {
    let winner = ranking.winner();
    let changed = ranking.shifts.iter().filter(|shift| shift.winner != winner);
    changed
        .map(|shift| format!("{} {:+} points: {} wins", shift.criterion, shift.points, shift.winner))
        .collect()
}

#[async_trait]
impl Verb for RecordSelectionStepRequest {
    type Answer = Project;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Project::FORM);
        fields.message("step", self.step.as_ref(), |fields, step| {
            let known = step.step.parse::<lifecycle::selection::SelectionStep>().is_ok();
            fields.require(known, "step.step", "is none of the five steps of model selection");
            fields.optional_text("step.summary", &step.summary);
            fields.texts("step.candidates", &step.candidates);
            fields.optional_name("step.dataset_version", &step.dataset_version, DatasetVersion::FORM);
            fields.each("step.metrics", &step.metrics, |fields, at, one| {
                fields.text(&format!("{at}.metric"), &one.metric);
                fields.number(&format!("{at}.value"), one.value);
            });
        });
    }

    async fn decide(self, work: &mut Work) -> Result<Project, Error> {
        let seen = work.open::<Project>(&self.name, &self.etag).await?;
        let given = self.step.unwrap_or_default();
        let step = SelectionStep { principal: work.principal(), time: work.wire_now(), ..given };
        if !step.dataset_version.is_empty() {
            work.read::<DatasetVersion>(&step.dataset_version).await?;
        }
        let decided = seen.selection.as_ref().map(|decision| decision.winner.as_str());
        let next_step = project::selection_step(&step)?;
        record_step(&project::selection_steps(&seen)?, &next_step, decided, &work.policy().selection)?;
        let mut next = (*seen).clone();
        next.selection_steps.push(step);
        work.save(&seen, next, "record-selection-step").await
    }
}
