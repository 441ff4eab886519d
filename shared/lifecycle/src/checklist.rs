//! §8.2 the three lists of a deployment: 7 items before, 7 during, 4 after. Every item is judged from records.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::deployment::Done;
use crate::kinds::kinds;
use crate::policy::Span;
use crate::policy::deployment::DeploymentPolicy;
use crate::refuse;
use crate::rejection::{Finding, Rejection};

const CLAUSE: &str = "§8.2";

kinds! {
    /// Pre-deployment items.
    PreItem {
        /// All tests passing.
        TestsPassing = "tests-passing",
        /// Benchmarks meeting thresholds.
        BenchmarksMeetingThresholds = "benchmarks-meeting-thresholds",
        /// Ethics review approved.
        EthicsReviewApproved = "ethics-review-approved",
        /// Security scan completed.
        SecurityScanCompleted = "security-scan-completed",
        /// Documentation updated.
        DocumentationUpdated = "documentation-updated",
        /// Rollback plan verified.
        RollbackPlanVerified = "rollback-plan-verified",
        /// On-call team notified.
        OnCallNotified = "on-call-notified",
    }
}

kinds! {
    /// Deployment items, in this order.
    DeployItem {
        /// Deploy to staging.
        DeployToStaging = "deploy-to-staging",
        /// Run smoke tests.
        RunSmokeTests = "run-smoke-tests",
        /// Verify metrics.
        VerifyMetrics = "verify-metrics",
        /// Deploy canary (5 % traffic).
        DeployCanary = "deploy-canary",
        /// Monitor for 1 hour.
        MonitorCanary = "monitor-canary",
        /// Gradual rollout (25 → 50 → 100 %).
        GradualRollout = "gradual-rollout",
        /// Full deployment.
        FullDeployment = "full-deployment",
    }
}

kinds! {
    /// Post-deployment items, in this order.
    PostItem {
        /// Verify all metrics.
        VerifyAllMetrics = "verify-all-metrics",
        /// Update status page.
        UpdateStatusPage = "update-status-page",
        /// Notify stakeholders.
        NotifyStakeholders = "notify-stakeholders",
        /// Close deployment ticket.
        CloseTicket = "close-ticket",
    }
}

/// A rollback that was really done in staging. A plan that nobody has run is not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsal {
    /// By whom, when, with what proof.
    pub done: Done,
    /// How long it took until the stable version had all traffic.
    pub took: Duration,
    /// Whether the stable version answered afterwards.
    pub restored: bool,
}

/// That on-call was told, and answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement {
    /// When the notice went out.
    pub notified: SystemTime,
    /// Who answered and when; absent while nobody has.
    pub acknowledged: Option<Done>,
}

/// What the records say about the seven pre-deployment items.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PreFacts {
    /// Decision of G1.
    pub tests: Option<Done>,
    /// Decision of G2.
    pub benchmarks: Option<Done>,
    /// Board approval of §7.4.
    pub ethics: Option<Done>,
    /// Security scan without open findings.
    pub scan: Option<Done>,
    /// Findings of the scan that are still open.
    pub open_scan_findings: usize,
    /// The newest generated document of the version.
    pub documents: Option<Done>,
    /// When the newest record changed that the documents are made from.
    pub newest_record: Option<SystemTime>,
    /// Rollback rehearsed in staging.
    pub rollback_plan: Option<Rehearsal>,
    /// Notice to on-call.
    pub on_call: Option<Acknowledgement>,
}

/// Proof that the pre-deployment list was complete; a rollout cannot start without one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreDeployment {
    checked: SystemTime,
}

impl PreDeployment {
    /// When the list was found complete.
    pub fn checked(&self) -> SystemTime {
        self.checked
    }
}

/// Judges the pre-deployment list (§8.2).
/// # Errors
/// `PRE_DEPLOYMENT_INCOMPLETE` with one finding per item that does not hold.
pub fn check_pre(
    facts: &PreFacts,
    now: SystemTime,
    policy: &DeploymentPolicy,
) -> Result<PreDeployment, Rejection> {
    let findings: Vec<Finding> = policy
        .pre
        .iter()
        .filter_map(|item| {
            let (required, observed) = pre_fault(*item, facts, now, policy)?;
            Some(Finding::new(CLAUSE, item.as_str(), required, observed))
        })
        .collect();
    refuse::all("PRE_DEPLOYMENT_INCOMPLETE", "pre-deployment", findings)?;
    Ok(PreDeployment { checked: now })
}

/// What an item requires and what was found instead; `None` if it holds.
fn pre_fault(
    item: PreItem,
    facts: &PreFacts,
    now: SystemTime,
    policy: &DeploymentPolicy,
) -> Option<(String, String)> {
    match item {
        PreItem::TestsPassing => missing(facts.tests.as_ref(), "gate G1 passed", now),
        PreItem::BenchmarksMeetingThresholds => missing(facts.benchmarks.as_ref(), "gate G2 passed", now),
        PreItem::EthicsReviewApproved => missing(facts.ethics.as_ref(), "ethics board approval", now),
        PreItem::SecurityScanCompleted => {
            missing(facts.scan.as_ref(), "completed scan", now).or_else(|| match facts.open_scan_findings {
                0 => None,
                open => Some(("no open scan finding".to_owned(), format!("{open} open"))),
            })
        }
        PreItem::DocumentationUpdated => {
            let required = "documents not older than their records";
            missing(facts.documents.as_ref(), required, now).or_else(|| {
                let (documents, newest) = (facts.documents.as_ref()?, facts.newest_record?);
                (documents.when < newest).then(|| (required.to_owned(), "a record changed since".to_owned()))
            })
        }
        PreItem::RollbackPlanVerified => rehearsal_fault(facts.rollback_plan.as_ref(), now, policy),
        PreItem::OnCallNotified => on_call_fault(facts.on_call.as_ref(), now),
    }
}

fn rehearsal_fault(
    rehearsal: Option<&Rehearsal>,
    now: SystemTime,
    policy: &DeploymentPolicy,
) -> Option<(String, String)> {
    let required = format!("rollback rehearsed in staging within {}", policy.rehearsal_limit);
    let Some(rehearsal) = rehearsal else { return Some((required, "missing".to_owned())) };
    if let Some(fault) = rehearsal.done.fault(now) {
        return Some((required, fault.to_owned()));
    }
    if !rehearsal.restored {
        return Some((required, "stable version did not answer afterwards".to_owned()));
    }
    if rehearsal.took.is_zero() {
        return Some((required, "not timed".to_owned())); // a rollback takes time; zero was not measured
    }
    (rehearsal.took > policy.rehearsal_limit.get())
        .then(|| (required, format!("took {}", Span(rehearsal.took))))
}

fn on_call_fault(notice: Option<&Acknowledgement>, now: SystemTime) -> Option<(String, String)> {
    let required = "acknowledged by on-call".to_owned();
    let Some(notice) = notice else { return Some((required, "not notified".to_owned())) };
    let Some(answer) = &notice.acknowledged else { return Some((required, "no answer".to_owned())) };
    if let Some(fault) = answer.fault(now) {
        return Some((required, fault.to_owned()));
    }
    (answer.when < notice.notified).then(|| (required, "answer older than the notice".to_owned()))
}

fn missing(done: Option<&Done>, required: &str, now: SystemTime) -> Option<(String, String)> {
    let observed = match done {
        None => "missing",
        Some(done) => done.fault(now)?,
    };
    Some((required.to_owned(), observed.to_owned()))
}

/// The deployment and post-deployment lists of one deployment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checklist {
    deploy: BTreeMap<DeployItem, Done>,
    post: BTreeMap<PostItem, Done>,
}

impl Checklist {
    /// Rebuilds the lists from what was stored.
    pub fn restore(deploy: BTreeMap<DeployItem, Done>, post: BTreeMap<PostItem, Done>) -> Self {
        Self { deploy, post }
    }

    /// The deployment items that were done.
    pub fn deploy(&self) -> &BTreeMap<DeployItem, Done> {
        &self.deploy
    }

    /// The post-deployment items that were done.
    pub fn post(&self) -> &BTreeMap<PostItem, Done> {
        &self.post
    }

    /// Ticks a deployment item.
    /// # Errors
    /// `ITEM_OUT_OF_ORDER` while an item before it is open, `EVIDENCE_MISSING`, `ALREADY_RECORDED`, or
    /// `WATCH_TOO_SHORT` if the canary was not monitored for the policy's hour.
    pub fn deploy_done(
        mut self,
        item: DeployItem,
        done: Done,
        now: SystemTime,
        policy: &DeploymentPolicy,
    ) -> Result<Self, Rejection> {
        in_order(item, &self.deploy, &policy.deploy, DeployItem::as_str)?;
        proven(item.as_str(), &done, now)?;
        if item == DeployItem::MonitorCanary {
            let start = self.deploy.get(&DeployItem::DeployCanary).map(|canary| canary.when);
            let watched = start.and_then(|start| done.when.duration_since(start).ok()).unwrap_or_default();
            if watched < policy.canary_watch.get() {
                let required = format!("at least {}", policy.canary_watch);
                let finding = Finding::new(CLAUSE, item.as_str(), required, Span(watched).to_string());
                return Err(Rejection::one("WATCH_TOO_SHORT", "deployment", finding));
            }
        }
        self.deploy.insert(item, done);
        Ok(self)
    }

    /// Ticks a post-deployment item; the last one closes the ticket.
    /// # Errors
    /// `DEPLOYMENT_INCOMPLETE` while a deployment item is open, `ITEM_OUT_OF_ORDER`, `EVIDENCE_MISSING` or
    /// `ALREADY_RECORDED`.
    pub fn post_done(
        mut self,
        item: PostItem,
        done: Done,
        now: SystemTime,
        policy: &DeploymentPolicy,
    ) -> Result<Self, Rejection> {
        let open = open(&self.deploy, &policy.deploy, DeployItem::as_str);
        refuse::all("DEPLOYMENT_INCOMPLETE", "deployment", open)?;
        in_order(item, &self.post, &policy.post, PostItem::as_str)?;
        proven(item.as_str(), &done, now)?;
        self.post.insert(item, done);
        Ok(self)
    }

    /// Whether the deployment record may be closed (§8.2 post-deployment).
    /// # Errors
    /// `DEPLOYMENT_INCOMPLETE` with every open item of both lists.
    pub fn close(&self, policy: &DeploymentPolicy) -> Result<(), Rejection> {
        let mut findings = open(&self.deploy, &policy.deploy, DeployItem::as_str);
        findings.extend(open(&self.post, &policy.post, PostItem::as_str));
        refuse::all("DEPLOYMENT_INCOMPLETE", "deployment", findings)
    }
}

fn proven(subject: &str, done: &Done, now: SystemTime) -> Result<(), Rejection> {
    match done.fault(now) {
        None => Ok(()),
        Some(fault) => {
            let finding = Finding::new(CLAUSE, subject, "evidence, author and time", fault);
            Err(Rejection::one("EVIDENCE_MISSING", "deployment", finding))
        }
    }
}

fn open<I: Ord + Copy>(done: &BTreeMap<I, Done>, list: &[I], name: fn(I) -> &'static str) -> Vec<Finding> {
    let open = list.iter().filter(|item| !done.contains_key(item));
    open.map(|item| Finding::new(CLAUSE, name(*item), "done", "open")).collect()
}

fn in_order<I: Ord + Copy>(
    item: I,
    done: &BTreeMap<I, Done>,
    list: &[I],
    name: fn(I) -> &'static str,
) -> Result<(), Rejection> {
    if done.contains_key(&item) {
        let finding = Finding::new(CLAUSE, name(item), "not recorded yet", "done before");
        return Err(Rejection::one("ALREADY_RECORDED", "deployment", finding));
    }
    let Some(place) = list.iter().position(|listed| *listed == item) else {
        let finding = Finding::new(CLAUSE, name(item), "an item of the policy", "unknown");
        return Err(Rejection::one("ITEM_OUT_OF_ORDER", "deployment", finding));
    };
    refuse::all("ITEM_OUT_OF_ORDER", "deployment", open(done, &list[..place], name))
}
