//! §10 maintenance and retirement, §11 documents, §12 roles, the approval block.

use lifecycle::{retirement::Criterion, role::unlisted_roles};

use super::*;

#[test]
fn head_of_the_procedure_and_approval_block() {
    let head = &policy().document;
    assert_eq!((head.id.as_str(), head.version.as_str()), ("WLP-MLDEV-001", "1.0"));
    assert_eq!((head.effective_date.as_str(), head.owner.as_str()), ("2026-01-21", "ML Lead"));
    assert_eq!(head.classification, "Internal");
    let signatures = policy().people.signatures.iter();
    let rows: Vec<_> = signatures.map(|row| (row.signature.as_str(), row.role.as_str())).collect();
    assert_eq!(rows, [("owner", "ml-lead"), ("reviewer", "qa-lead"), ("approver", "chief-ai-officer")]);
}

#[test]
fn section_10_1_maintenance_activities() {
    let activities = policy().duties.activities.iter();
    let rows: Vec<_> =
        activities.map(|row| (row.activity.as_str(), row.frequency.as_str(), row.role.as_str())).collect();
    assert_eq!(
        rows,
        [
            ("performance-review", "weekly", "ml-ops-engineer"),
            ("drift-assessment", "monthly", "ml-engineer"),
            ("security-scan", "monthly", "security"),
            ("documentation-update", "per-change", "developer"),
            ("retraining-evaluation", "quarterly", "ml-lead"),
        ]
    );
    assert_eq!(seconds(policy().duties.per_change_within.value), 7 * DAY);
}

#[test]
fn section_10_2_retirement_criteria() {
    assert_eq!(
        join(Criterion::ALL),
        "performance-degradation, superseded, security-vulnerability, compliance-issue, business-decision"
    );
    let retirement = &policy().retirement;
    assert_eq!((retirement.degraded_days.value, retirement.improvement.value), (30, 0.1));
    let declared = retirement.declared_by.iter();
    let rows: Vec<_> = declared.map(|row| (row.criterion.as_str(), join(&row.roles))).collect();
    let want = [
        ("security-vulnerability", "security"),
        ("compliance-issue", "legal"),
        ("business-decision", "business-owner"),
    ];
    assert_eq!(rows, want.map(|(criterion, roles)| (criterion, roles.to_owned())));
}

#[test]
fn section_10_3_retirement_process() {
    let retirement = &policy().retirement;
    let steps: Vec<&str> = retirement.steps.iter().map(|step| step.as_str()).collect();
    assert_eq!(
        steps,
        [
            "announce",             // 1. Announce deprecation (30+ days notice)
            "migrate-users",        // 2. Migrate users to alternative
            "traffic-to-zero",      // 3. Reduce traffic to zero
            "archive",              // 4. Archive model and artifacts
            "update-documentation", // 5. Update documentation
            "delete-deployment",    // 6. Delete production deployment
            "retain-records",       // 7. Retain records per policy
        ]
    );
    assert_eq!(seconds(retirement.notice.value), 30 * DAY);
    let classes = retirement.retention.iter();
    let rows: Vec<_> = classes.map(|row| (row.class.as_str(), seconds(row.keep) / DAY)).collect();
    assert_eq!(rows, [("standard", 2557), ("regulated", 3653)]); // seven years, ten years
}

#[test]
fn section_11_documents() {
    let documents = policy().documents.iter();
    let rows: Vec<_> = documents
        .map(|row| (row.document.as_str(), row.per.as_str(), row.owner.as_str(), row.template.as_str()))
        .collect();
    assert_eq!(
        rows,
        [
            ("model-card", "model", "ml-engineer", "TPL-MODEL"),
            ("data-card", "dataset", "data-engineer", "TPL-DATA"),
            ("training-report", "training", "ml-engineer", "TPL-TRAIN"),
            ("evaluation-report", "evaluation", "qa-engineer", "TPL-EVAL"),
            ("deployment-record", "deployment", "ml-ops-engineer", "TPL-DEPLOY"),
            ("incident-report", "incident", "on-call", "TPL-INC"),
        ]
    );
    let parts = "summary, timeline, impact, trigger, root-cause, actions, prevention";
    assert_eq!(join(&policy().incidents.parts.value), parts);
    let report = policy().documents.iter().find(|row| row.template == "TPL-INC").expect("an incident report");
    assert_eq!(report.parts.join(", "), parts);
}

#[test]
fn section_12_roles() {
    let listed = policy().roles.listed.iter();
    let rows: Vec<_> =
        listed.map(|row| (row.role.as_str(), row.title.as_str(), row.responsibilities.join(", "))).collect();
    let want = [
        ("ml-lead", "ML Lead", "Process ownership, technical decisions"),
        ("ml-engineer", "ML Engineer", "Model development, training, evaluation"),
        ("data-engineer", "Data Engineer", "Data pipelines, data quality"),
        ("ml-ops-engineer", "ML Ops Engineer", "Deployment, monitoring, operations"),
        ("qa-engineer", "QA Engineer", "Testing, validation"),
        ("ethics-reviewer", "Ethics Reviewer", "Ethics assessment, bias review"),
    ];
    assert_eq!(rows, want.map(|(role, title, does)| (role, title, does.to_owned())));
}

/// Reading 9: who acts in the procedure without standing in §12, and where.
#[test]
fn ten_roles_act_without_standing_in_section_12() {
    let gap: Vec<_> =
        unlisted_roles(policy()).into_iter().map(|found| (found.clause, found.subject)).collect();
    let want = [
        ("§5.1", "data-owner"),
        ("§5.1", "legal"),
        ("§5.1", "procurement"),
        ("§7.4", "ethics-board"),
        ("§10.1", "security"),
        ("§10.1", "developer"),
        ("§10.2", "business-owner"),
        ("§11", "on-call"),
        ("approval block", "qa-lead"),
        ("approval block", "chief-ai-officer"),
    ];
    assert_eq!(gap, want.map(|(clause, role)| (clause.to_owned(), format!("role {role}"))));
}
