//! §8.1 pipeline and gates, §8.2 checklists.

use super::*;

#[test]
fn section_8_1_stages_and_activities() {
    let stages = policy().deployment.stages.iter();
    let rows: Vec<_> = stages.map(|row| (row.stage.as_str(), join(&row.activities))).collect();
    let want = [
        ("BUILD", "package, containerize, version, scan"),
        ("TEST", "unit-tests, integration, benchmark, security"),
        ("STAGE", "deploy-to-staging, smoke-tests, load-tests, manual-qa"),
        ("PROD", "canary, gradual-rollout, full-deployment, monitor"),
    ];
    assert_eq!(rows, want.map(|(stage, activities)| (stage, activities.to_owned())));
}

#[test]
fn section_8_1_quality_gates() {
    let gates = &policy().gates;
    let rows: Vec<_> =
        gates.gates.iter().map(|row| (row.gate.as_str(), row.title.as_str(), join(&row.after))).collect();
    let want = [
        ("g1", "Tests pass", ""),
        ("g2", "Benchmarks met", ""),
        ("g3", "QA approved", "g1, g2"),
        ("g4", "Canary stable", "g1, g2, g3"),
    ];
    assert_eq!(rows, want.map(|(gate, title, after)| (gate, title, after.to_owned())));
    assert_eq!(join(&gates.g1_categories.value), "unit, integration");
    assert_eq!(join(&gates.g3_approvers.value), "qa-engineer");
    assert_eq!(seconds(gates.g4_window.value), HOUR);
    assert_eq!((gates.g4_min_requests.value, gates.g4_traffic_percent.value), (100, 5));
    assert_eq!(join(&gates.g4_observers.value), "monitor"); // no person's word
    assert_eq!(join(&gates.patch_carries.value), "g3"); // reading 8
}

#[test]
fn section_8_2_pre_deployment() {
    let rows = policy().deployment.pre.iter().map(|item| item.as_str()).collect::<Vec<_>>();
    assert_eq!(
        rows,
        [
            "tests-passing",                 // All tests passing
            "benchmarks-meeting-thresholds", // Benchmarks meeting thresholds
            "ethics-review-approved",        // Ethics review approved
            "security-scan-completed",       // Security scan completed
            "documentation-updated",         // Documentation updated
            "rollback-plan-verified",        // Rollback plan verified
            "on-call-notified",              // On-call team notified
        ]
    );
    assert_eq!(seconds(policy().deployment.rehearsal_limit), 5 * MINUTE);
}

#[test]
fn section_8_2_deployment() {
    let rows = policy().deployment.deploy.iter().map(|item| item.as_str()).collect::<Vec<_>>();
    assert_eq!(
        rows,
        [
            "deploy-to-staging", // Deploy to staging
            "run-smoke-tests",   // Run smoke tests
            "verify-metrics",    // Verify metrics
            "deploy-canary",     // Deploy canary (5% traffic)
            "monitor-canary",    // Monitor for 1 hour
            "gradual-rollout",   // Gradual rollout (25% → 50% → 100%)
            "full-deployment",   // Full deployment
        ]
    );
    assert_eq!(seconds(policy().deployment.canary_watch), HOUR);
}

#[test]
fn section_8_2_post_deployment() {
    let rows = policy().deployment.post.iter().map(|item| item.as_str()).collect::<Vec<_>>();
    assert_eq!(
        rows,
        [
            "verify-all-metrics",  // Verify all metrics
            "update-status-page",  // Update status page
            "notify-stakeholders", // Notify stakeholders
            "close-ticket",        // Close deployment ticket
        ]
    );
}

/// §12: who attests what no record shows.
#[test]
fn attesters_of_the_items() {
    let attesters = policy().deployment.attesters.iter();
    let rows: Vec<_> = attesters.map(|row| (row.item.as_str(), join(&row.roles))).collect();
    let want = [
        ("containerize", "ml-ops-engineer, developer"),
        ("security", "security"),
        ("smoke-tests", "ml-ops-engineer, qa-engineer"),
        ("load-tests", "ml-ops-engineer, qa-engineer"),
        ("manual-qa", "qa-engineer"),
        ("verify-metrics", "ml-ops-engineer, qa-engineer"),
        ("on-call-notified", "on-call"),
        ("verify-all-metrics", "ml-ops-engineer, qa-engineer"),
        ("update-status-page", "ml-ops-engineer, developer"),
        ("notify-stakeholders", "ml-ops-engineer"),
        ("close-ticket", "ml-ops-engineer"),
    ];
    assert_eq!(rows, want.map(|(item, roles)| (item, roles.to_owned())));
}
