//! The procedure's tables as literals, compared with the default policy; what a policy file may not be.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use lifecycle::{
    Policy, Role, Strict,
    acceptance::{Metric, Task},
    gate::Gate,
    policy::{BUILTIN, PolicyError, acceptance::Rule},
    version::Bump,
};

const DAY: Duration = Duration::from_hours(24);

fn policy() -> &'static Policy {
    Policy::builtin()
}

#[test]
fn head_and_roles_of_section_12() {
    let head = &policy().document;
    assert_eq!((head.id.as_str(), head.version.as_str()), ("WLP-MLDEV-001", "1.0"));
    assert_eq!((head.effective_date.as_str(), head.owner.as_str()), ("2026-01-21", "ML Lead"));
    assert_eq!(head.classification, "Internal");
    let rows: Vec<_> = policy()
        .roles
        .listed
        .iter()
        .map(|row| (row.role, row.title.as_str(), row.responsibilities.join(", ")))
        .collect();
    let want = [
        (Role::MlLead, "ML Lead", "Process ownership, technical decisions"),
        (Role::MlEngineer, "ML Engineer", "Model development, training, evaluation"),
        (Role::DataEngineer, "Data Engineer", "Data pipelines, data quality"),
        (Role::MlOpsEngineer, "ML Ops Engineer", "Deployment, monitoring, operations"),
        (Role::QaEngineer, "QA Engineer", "Testing, validation"),
        (Role::EthicsReviewer, "Ethics Reviewer", "Ethics assessment, bias review"),
    ];
    assert_eq!(rows, want.map(|(role, title, does)| (role, title, does.to_owned())));
}

#[test]
fn ten_roles_act_without_standing_in_section_12() {
    let gap: Vec<String> =
        lifecycle::role::unlisted_roles(policy()).into_iter().map(|found| found.subject).collect();
    let want = [
        "data-owner",
        "legal",
        "procurement",
        "ethics-board",
        "security",
        "developer",
        "business-owner",
        "on-call",
        "qa-lead",
        "chief-ai-officer",
    ];
    assert_eq!(gap, want.map(|role| format!("role {role}")));
}

#[test]
fn section_4() {
    let planning = &policy().planning;
    assert_eq!(
        planning.inputs.iter().map(|row| row.title.as_str()).collect::<Vec<_>>(),
        [
            "Business problem statement",
            "Success criteria and metrics",
            "Target users and use cases",
            "Performance requirements (latency, throughput)",
            "Privacy and compliance requirements",
            "Resource constraints (compute, budget)",
        ]
    );
    let types: Vec<_> = planning
        .requirement_types
        .iter()
        .map(|row| (row.kind.as_str(), row.examples.as_str(), row.document.as_str()))
        .collect();
    assert_eq!(
        types,
        [
            ("functional", "Task type, input/output format", "Spec document"),
            ("non-functional", "Latency <2s, 99.9% availability", "SLA document"),
            ("data", "Data types, volume, quality", "Data requirements"),
            ("ethical", "Fairness constraints, bias limits", "Ethics review"),
            ("compliance", "GDPR, industry regulations", "Compliance checklist"),
        ]
    );
    let weights: Vec<_> = planning
        .selection_criteria
        .iter()
        .map(|row| (row.criterion.as_str(), row.weight, row.method.as_str()))
        .collect();
    assert_eq!(
        weights,
        [
            ("task-performance", 30, "Benchmark testing"),
            ("latency", 20, "Performance testing"),
            ("resource-requirements", 15, "Profiling"),
            ("privacy-locality", 15, "Architecture review"),
            ("cost", 10, "TCO analysis"),
            ("maintainability", 10, "Code review"),
        ]
    );
    assert_eq!((planning.weight_total.value, planning.sensitivity_points.value), (100, 5));
    assert_eq!(
        planning.outputs.iter().map(|row| row.title.as_str()).collect::<Vec<_>>(),
        [
            "Project charter approved",
            "Resource allocation confirmed",
            "Timeline and milestones defined",
            "Risk assessment completed",
            "Ethics pre-assessment completed",
        ]
    );
}

#[test]
fn section_5() {
    let rows: Vec<_> = policy()
        .sources
        .types
        .iter()
        .map(|row| (row.kind.as_str(), row.considerations.join(", "), row.approvals.clone()))
        .collect();
    let want: [(&str, &str, Vec<Role>); 4] = [
        ("internal", "access-rights, quality", vec![Role::DataOwner]),
        ("public", "license, bias", vec![Role::Legal]),
        ("synthetic", "representativeness", vec![Role::MlLead]),
        ("third-party", "contract, privacy", vec![Role::Legal, Role::Procurement]),
    ];
    assert_eq!(rows, want.map(|(kind, consider, roles)| (kind, consider.to_owned(), roles)));
    let quality = &policy().quality;
    assert_eq!((quality.accuracy.comparator, quality.accuracy.value.get()), (Strict::Above, 0.99));
    assert_eq!(quality.accuracy.min_sample, 300);
    assert_eq!((quality.missing.comparator, quality.missing.value), (Strict::Below, 0.05));
    assert_eq!(quality.age.below.get(), 30 * DAY);
    assert_eq!((quality.duplicates.comparator, quality.duplicates.value), (Strict::Below, 0.01));
    let questions: Vec<_> = quality.dimensions.iter().map(|row| row.question.as_str()).collect();
    assert_eq!(
        questions,
        [
            "Correct vals?",
            "Missing vals?",
            "Same across sources?",
            "Up to date?",
            "Duplicates?",
            "Follows schema?",
            "Appropriate for task?",
            "Balanced demographics?",
        ]
    );
    let steps: Vec<_> =
        quality.steps.iter().map(|row| (row.step.as_str(), row.activity.as_str(), row.optional)).collect();
    assert_eq!(
        steps,
        [
            ("extraction", "Pull data from sources", false),
            ("validation", "Check schema, types, ranges", false),
            ("cleaning", "Handle missing values, outliers", false),
            ("transformation", "Normalize, encode, tokenize", false),
            ("augmentation", "Generate additional examples (if applicable)", true),
            ("splitting", "Train/validation/test splits", false),
            ("versioning", "Tag dataset version", false),
        ]
    );
}

#[test]
fn section_6() {
    let selection = &policy().selection;
    let steps: Vec<_> =
        selection.steps.iter().map(|row| (row.activity.as_str(), row.output.as_str())).collect();
    assert_eq!(
        steps,
        [
            ("Define baseline", "Baseline performance metrics"),
            ("Literature review", "Candidate model list"),
            ("Quick evaluation", "Shortlisted models"),
            ("Detailed evaluation", "Performance comparison"),
            ("Selection", "Selected model with justification"),
        ]
    );
    assert_eq!((selection.shortlist_min.value, selection.shortlist_max.value), (3, 5));
    let training = &policy().training;
    let blocks: Vec<_> =
        training.blocks.iter().map(|row| (row.block.as_str(), row.documentation.as_str())).collect();
    assert_eq!(
        blocks,
        [
            ("hyperparameters", "All values, search strategy"),
            ("training-data", "Version, splits, sampling"),
            ("compute-resources", "GPU type, count, duration"),
            ("random-seeds", "All seeds for reproducibility"),
            ("checkpointing", "Frequency, storage location"),
        ]
    );
    assert_eq!(
        training.monitoring.iter().map(|row| row.title.as_str()).collect::<Vec<_>>(),
        [
            "Loss curves tracked",
            "Validation metrics logged",
            "Resource utilization monitored",
            "Checkpoints saved regularly",
            "Experiment tracking (MLflow/W&B)",
        ]
    );
    let techniques: Vec<_> = training
        .techniques
        .iter()
        .filter(|row| row.technique.as_str() != "from-scratch")
        .map(|row| (row.technique.as_str(), row.use_case.as_str(), row.considerations.as_str()))
        .collect();
    assert_eq!(
        techniques,
        [
            ("full-fine-tuning", "Task-specific adaptation", "High compute, data requirements"),
            ("lora", "Parameter-efficient tuning", "Lower compute, maintains base capabilities"),
            ("prompt-tuning", "Minimal adaptation", "Preserves model, limited customization"),
            ("rag", "Knowledge augmentation", "No training, retrieval quality critical"),
        ]
    );
    let bumps: Vec<_> = policy().versioning.bumps.iter().map(|row| (row.bump, row.when.as_str())).collect();
    assert_eq!(
        bumps,
        [
            (Bump::Major, "Architecture change, breaking change"),
            (Bump::Minor, "New training, significant improvement"),
            (Bump::Patch, "Bug fix, minor adjustment"),
        ]
    );
    assert_eq!(policy().versioning.format.value, "{model_name}-v{major}.{minor}.{patch}");
}

#[test]
fn section_7() {
    let evaluation = &policy().evaluation;
    let slots: Vec<usize> = evaluation.dimensions.iter().map(|row| row.slots.len()).collect();
    assert_eq!(slots, [3, 3, 3, 3, 3]);
    let tools: Vec<_> = evaluation
        .test_categories
        .iter()
        .map(|row| (row.category.as_str(), row.purpose.as_str(), row.tools.join(", ")))
        .collect();
    let want = [
        ("unit", "Individual components", "pytest"),
        ("integration", "Component interactions", "pytest, locust"),
        ("benchmark", "Standard benchmarks", "lm-evaluation-harness"),
        ("adversarial", "Security and robustness", "garak, textattack"),
        ("fairness", "Bias detection", "fairlearn, aequitas"),
        ("ab", "Production comparison", "feature flags"),
    ];
    assert_eq!(tools, want.map(|(category, purpose, tools)| (category, purpose, tools.to_owned())));
    let thresholds: Vec<_> =
        policy().acceptance.thresholds.iter().map(|row| (row.metric, row.rule, row.unit.as_str())).collect();
    let above = |value| Rule::Bound { comparator: Strict::Above, value };
    let below = |value| Rule::Bound { comparator: Strict::Below, value };
    assert_eq!(
        thresholds,
        [
            (Metric::TaskAccuracy, above(0.90), "share"),
            (Metric::LatencyP95, below(2000.0), "ms"),
            (Metric::HallucinationRate, below(0.05), "share"),
            (Metric::DemographicParity, above(0.9), "share"),
            (Metric::HarmfulContentRate, Rule::Never, "share"),
            (Metric::AdversarialSuccessRate, below(0.05), "share"),
        ]
    );
    let harmful = &policy().acceptance.thresholds[4];
    assert_eq!(harmful.min_samples, 300);
    for row in &policy().acceptance.tasks {
        assert!(row.required.contains(&Metric::AdversarialSuccessRate), "{} has inputs", row.task);
        assert_eq!(row.not_applicable.is_empty(), row.task == Task::TextGeneration);
    }
    let attack = &policy().acceptance.attack;
    assert_eq!(
        (attack.norm.as_str(), attack.size, attack.text_share, attack.queries),
        ("linf", 0.02, 0.05, 500)
    );
    let items: Vec<_> = policy().ethics.items.iter().map(|row| row.title.as_str()).collect();
    assert_eq!(
        items,
        [
            "Bias assessment completed",
            "Privacy impact assessment completed",
            "Use case risk assessment completed",
            "Stakeholder impact analysis completed",
            "Mitigation measures documented",
        ]
    );
    assert_eq!(policy().ethics.board.value, Role::EthicsBoard);
}

#[test]
fn gates_of_section_8_1() {
    let gates = &policy().gates;
    let rows: Vec<_> = gates.gates.iter().map(|row| (row.gate, row.title.as_str())).collect();
    assert_eq!(
        rows,
        [
            (Gate::G1, "Tests pass"),
            (Gate::G2, "Benchmarks met"),
            (Gate::G3, "QA approved"),
            (Gate::G4, "Canary stable"),
        ]
    );
    assert_eq!(gates.g4_window.value.get(), Duration::from_hours(1));
    assert_eq!((gates.g4_traffic_percent.value, gates.g4_min_requests.value), (5, 100));
    assert_eq!(gates.g3_approvers.value, [Role::QaEngineer]);
    assert_eq!(gates.patch_carries.value, [Gate::G3]);
}

#[test]
fn a_policy_with_bad_fields_is_refused_and_every_one_is_named() {
    let text = BUILTIN
        .replace("criterion: cost, weight: 10", "criterion: cost, weight: 11")
        .replace(
            "shortlist_min: { clause: \"§6.1\", value: 3 }",
            "shortlist_min: { clause: \"§6.1\", value: 9 }",
        )
        .replace(
            "metric: task-accuracy, title: Task Accuracy, rule: { comparator: \">\", value: 0.90 }",
            "metric: task-accuracy, title: Task Accuracy, rule: { comparator: \">\", value: 90 }",
        );
    let Err(PolicyError::Invalid(bad)) = Policy::parse(&text) else { panic!("accepted") };
    let paths: Vec<_> = bad.iter().map(|field| field.path.as_str()).collect();
    assert_eq!(
        paths,
        ["planning.selection_criteria", "selection.shortlist_min", "acceptance.thresholds[0].rule.value"]
    );
    let unknown = format!("{BUILTIN}\nbackdoor: true\n");
    assert!(matches!(Policy::parse(&unknown), Err(PolicyError::Unreadable(why)) if why.contains("backdoor")));
    assert!(matches!(Policy::parse("[1, 2"), Err(PolicyError::Unreadable(_))));
    let nan = BUILTIN.replace(
        "missing: { clause: \"§5.2\", comparator: \"<\", value: 0.05 }",
        "missing: { clause: \"§5.2\", comparator: \"<\", value: .nan }",
    );
    assert!(matches!(Policy::parse(&nan), Err(PolicyError::Invalid(_))));
}

#[test]
fn the_digest_names_the_content_not_the_spelling() {
    let commented = format!("# another comment\n{}", BUILTIN.replace("value: 0.90 }", "value: 0.9 }"));
    assert_eq!(Policy::parse(&commented).unwrap().digest(), policy().digest());
    let other = BUILTIN.replace("min_sample: 300", "min_sample: 301");
    assert_ne!(Policy::parse(&other).unwrap().digest(), policy().digest());
    assert!(lifecycle::rejection::is_digest(policy().digest()));
}
