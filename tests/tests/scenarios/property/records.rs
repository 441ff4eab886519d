//! What production and every phase rest on, read from the records themselves: no opinion of the registry is asked.

use contracts::registry::v1::*;
use tests::line::Line;
use tests::refusal::Answered;

/// Everything on record of the line's only version.
pub struct Records {
    project: Project,
    version: ModelVersion,
    evaluated: bool,
    gates: Vec<GateDecision>,
    reviews: Vec<Review>,
    rollout: Option<Rollout>,
    retired: bool,
}

impl Records {
    /// Reads them.
    pub async fn of(line: &Line) -> Self {
        let (by, parent, page_size) = (line.by("auditor"), line.version("1.0.0"), 1000);
        let project = GetProjectRequest { name: line.project() };
        let evaluations = ListEvaluationsRequest { parent: parent.clone(), page_size, ..Default::default() };
        let gates = ListGateDecisionsRequest { parent: parent.clone(), page_size, ..Default::default() };
        let reviews = ListReviewsRequest { parent: parent.clone(), page_size, ..Default::default() };
        let rollout = GetRolloutRequest { name: line.rollout("first") };
        let retirements = ListRetirementsRequest { page_size, ..Default::default() };
        let retirements = by.retirements().list_retirements(retirements).await.told().retirements;
        Self {
            project: by.projects().get_project(project).await.told(),
            version: line.get("1.0.0").await,
            evaluated: !by.evaluations().list_evaluations(evaluations).await.told().evaluations.is_empty(),
            gates: by.gates().list_gate_decisions(gates).await.told().gate_decisions,
            reviews: by.reviews().list_reviews(reviews).await.told().reviews,
            rollout: by.rollouts().get_rollout(rollout).await.ok().map(tonic::Response::into_inner),
            retired: retirements.iter().any(|one| one.name == format!("{parent}/retirement")),
        }
    }

    /// Share of the traffic, percent.
    pub fn traffic(&self) -> u32 {
        self.rollout.as_ref().map_or(0, |rollout| rollout.traffic_percent)
    }

    /// Where the line stands.
    pub fn phase(&self) -> Phase {
        self.project.phase()
    }

    fn passed(&self, gate: Gate) -> bool {
        self.gates.iter().any(|one| one.gate() == gate && one.passed)
    }

    fn approved(&self, kind: ReviewKind) -> bool {
        self.reviews.iter().any(|one| one.kind() == kind && one.state() == review::State::Approved)
    }

    fn rehearsed(&self) -> bool {
        let rehearsal = self.rollout.as_ref().and_then(|rollout| rollout.rehearsal.as_ref());
        rehearsal.is_some_and(|rehearsal| rehearsal.restored_time.is_some())
    }

    /// What is missing behind the traffic: every way to production passes G1 to G4, the board, and a rehearsed rollback.
    pub fn missing_behind_traffic(&self) -> Vec<&'static str> {
        let mut missing = self.missing_of_approval();
        if !self.rehearsed() {
            missing.push("rehearsal");
        }
        if self.traffic() > 5 && !self.passed(Gate::G4CanaryStable) {
            missing.push("G4");
        }
        missing
    }

    fn missing_of_approval(&self) -> Vec<&'static str> {
        let needed = [
            (self.evaluated, "evaluation"),
            (self.passed(Gate::G1TestsPass), "G1"),
            (self.passed(Gate::G2BenchmarksMet), "G2"),
            (self.passed(Gate::G3QaApproved), "G3"),
            (self.approved(ReviewKind::Ethics), "ethics"),
            (self.approved(ReviewKind::Qa), "QA"),
        ];
        needed.into_iter().filter(|(there, _)| !there).map(|(_, name)| name).collect()
    }

    /// What is missing behind the phase.
    pub fn missing_behind_phase(&self) -> Vec<&'static str> {
        let phase = self.phase();
        let closed = self.rollout.as_ref().is_some_and(|one| one.state() == rollout::State::Closed);
        // a line that went back needs a version made after that
        let made = self.version.create_time.map(|time| (time.seconds, time.nanos));
        let fresh = self.project.reopen_times.values().all(|back| Some((back.seconds, back.nanos)) <= made);
        let mut missing = Vec::new();
        let mut need = |from: Phase, there: bool, what| {
            if phase >= from && !there {
                missing.push(what);
            }
        };
        need(Phase::Data, self.project.plan_state() == PlanState::Approved, "approved plan");
        need(Phase::Eval, self.project.selection_steps.len() == 5, "five selection steps");
        need(Phase::Eval, !self.version.training_run.is_empty() && fresh, "version of this round");
        need(Phase::Monitor, self.passed(Gate::G4CanaryStable), "G4");
        need(Phase::Monitor, self.rehearsed() && closed, "closed rollout");
        need(Phase::Retire, self.retired, "retirement");
        if phase == Phase::Iterate && self.project.iteration.is_none() {
            missing.push("decision to iterate");
        }
        if phase >= Phase::Deploy {
            missing.extend(self.missing_of_approval());
        }
        missing
    }
}
