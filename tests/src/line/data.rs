//! Data: a source with its approval, a dataset version as the data-pipeline reports it, audit, sign-off, release (§5).

use contracts::common::v1::{ColumnProfile, Measurement, NumericHistogram, column_profile::Distribution};
use contracts::registry::v1::{dataset_version as state, *};

use super::Line;
use crate::made::{FEATURES, digest_of};
use crate::refusal::Answered;

/// A dataset version without a flaw, as the data-pipeline hands it in; a scenario changes what it is about.
pub fn dataset_version(source: &str) -> DatasetVersion {
    let steps =
        ["extraction", "validation", "cleaning", "transformation", "augmentation", "splitting", "versioning"];
    // augmentation, the fifth, does not apply: splitting takes what transformation gave
    let between = |at: usize| digest_of(&format!("step {}", at - usize::from(at > 4)));
    let step = |(at, &step): (usize, &&str)| StepRecord {
        step: step.into(),
        input_digest: between(at),
        output_digest: between(at + 1),
        code_digest: digest_of("code"),
        parameters: "{}".into(),
        seed: 7,
        rows_in: 1000,
        rows_out: 1000,
        not_applicable_reason: if step == "augmentation" { "enough rows".into() } else { String::new() },
        ..StepRecord::default()
    };
    let measured = |dimension: &str, bad, all| QualityMeasurement {
        dimension: dimension.into(),
        bad,
        all,
        method: "counted".into(),
        ..QualityMeasurement::default()
    };
    let signal =
        Measurement { metric: "signal".into(), value: 0.8, sample_size: 1000, ..Measurement::default() };
    let alone = "one source only";
    DatasetVersion {
        data_sources: vec![source.to_owned()],
        steps: steps.iter().enumerate().map(step).collect(),
        columns: columns(),
        splits: [("train", 600), ("validation", 200), ("test", 200)]
            .map(|(split, rows)| DatasetSplit {
                split: split.into(),
                rows,
                digest: digest_of(split),
                size_bytes: rows * 40,
            })
            .into(),
        quality: vec![
            measured("completeness", 0, 5000),
            measured("uniqueness", 0, 1000),
            measured("validity", 0, 1000),
            measured("timeliness", 0, 0),
            QualityMeasurement { not_applicable_reason: alone.into(), ..measured("consistency", 0, 0) },
            QualityMeasurement { value: Some(signal), ..measured("relevance", 0, 0) },
            measured("fairness", 0, 0),
        ],
        profiles: (0..FEATURES).map(profile).collect(),
        group_shares: ["north", "south"]
            .map(|group| GroupShare {
                column: "region".into(),
                group: group.into(),
                rows: 500,
                share: 0.5,
                positive_share: 0.5,
                reference_share: 0.5,
            })
            .into(),
        manifest_digest: digest_of("manifest"),
        transform_digest: digest_of("transforms"),
        schema_digest: digest_of("schema"),
        data_card_digest: digest_of("card"),
        label_column: "label".into(),
        rows_in: 1000,
        rows: 1000,
        built_by: "data-engineer".into(),
        leaked_rows: Some(0),
        ..DatasetVersion::default()
    }
}

fn columns() -> Vec<DatasetColumn> {
    let column =
        |name: String, kind: &str| DatasetColumn { name, r#type: kind.into(), ..DatasetColumn::default() };
    let mut columns: Vec<_> = (0..FEATURES).map(|at| column(format!("x{at}"), "float64")).collect();
    columns.push(DatasetColumn { sensitive: true, ..column("region".into(), "utf8") });
    columns.push(DatasetColumn { label: true, ..column("label".into(), "int64") });
    columns
}

fn profile(at: usize) -> ColumnProfile {
    let numeric = NumericHistogram {
        edges: vec![-0.6, 0.0, 0.6],
        counts: vec![171, 129, 129, 171], // of made rows: 0.3 to 1 away from nothing
        min: -1.0,
        max: 1.0,
        mean: 0.0,
        variance: 0.46,
    };
    ColumnProfile {
        column: format!("x{at}"),
        rows: 600,
        missing: 0,
        distribution: Some(Distribution::Numeric(numeric)),
    }
}

impl Line {
    /// Registers a data source of that kind, with what §5.1 asks to consider.
    pub async fn register_source(&self, kind: SourceKind) -> DataSource {
        let considered =
            ["access-rights", "quality", "license", "bias", "representativeness", "contract", "privacy"];
        let source = DataSource {
            display_name: self.id.clone(),
            kind: kind.into(),
            description: "rows".into(),
            origin: "made by a seed".into(),
            license: "CC0-1.0".into(),
            contract: "frame contract".into(),
            contract_expire_time: Some(prost_types::Timestamp { seconds: 4_000_000_000, nanos: 0 }),
            considerations: considered.map(|one| (one.to_owned(), "looked at".to_owned())).into(),
            ..DataSource::default()
        };
        let request = CreateDataSourceRequest {
            data_source_id: self.id.clone(),
            data_source: Some(source),
            request_id: String::new(),
        };
        self.by("data-engineer").sources().create_data_source(request).await.told()
    }

    /// One approval of the source.
    pub async fn approve_source(&self, role: &str) -> DataSource {
        let request = ApproveDataSourceRequest {
            name: self.source(),
            role: role.into(),
            note: "looked at".into(),
            ..ApproveDataSourceRequest::default()
        };
        self.by(role).sources().approve_data_source(request).await.told()
    }

    /// A source that may be used, confirmed as current, and the dataset.
    pub async fn usable_source(&self) {
        self.register_source(SourceKind::Internal).await;
        self.approve_source("data-owner").await;
        let now = self.by("auditor").audit().get_tree_head(GetTreeHeadRequest { size: 0 }).await.told().time;
        let request = ConfirmDataSourceCurrentRequest {
            name: self.source(),
            current_time: now,
            ..ConfirmDataSourceCurrentRequest::default()
        };
        self.by("data-owner").sources().confirm_data_source_current(request).await.told();
        self.create_dataset().await;
    }

    /// The dataset.
    pub async fn create_dataset(&self) {
        let dataset = Dataset {
            display_name: self.id.clone(),
            project: self.project(),
            description: "rows of four numbers".into(),
            update_frequency: "once".into(),
            privacy_note: "no personal data".into(),
            collection_note: "made by a seed".into(),
            ..Dataset::default()
        };
        let request = CreateDatasetRequest {
            dataset_id: self.id.clone(),
            dataset: Some(dataset),
            request_id: String::new(),
        };
        self.by("data-engineer").datasets().create_dataset(request).await.told();
    }

    /// Hands a dataset version in as the data-pipeline does.
    pub async fn hand_in(&self, version: &str, dataset_version: DatasetVersion) -> DatasetVersion {
        let request = CreateDatasetVersionRequest {
            parent: self.dataset(),
            version: version.into(),
            dataset_version: Some(dataset_version),
            request_id: String::new(),
        };
        self.by("data-pipeline").datasets().create_dataset_version(request).await.told()
    }

    /// Audits `rows` of a version of which `wrong` were found wrong.
    pub async fn audit_rows(&self, name: &str, rows: u64, wrong: u64) {
        let audit = DatasetAudit {
            sample_digest: digest_of("sample"),
            rows,
            cells: rows * 6,
            wrong_rows: wrong,
            method: "each cell against the seed".into(),
            ..DatasetAudit::default()
        };
        let request = RecordDatasetAuditRequest {
            name: name.into(),
            audit: Some(audit),
            ..RecordDatasetAuditRequest::default()
        };
        self.by("qa-engineer").datasets().record_dataset_audit(request).await.told();
    }

    /// Signs relevance, and what does not apply.
    pub async fn sign_relevance(&self, name: &str) {
        let request = SignDatasetRelevanceRequest {
            name: name.into(),
            note: "fits the task; one source only".into(),
            ..SignDatasetRelevanceRequest::default()
        };
        self.by("ml-lead").datasets().sign_dataset_relevance(request).await.told();
    }

    /// Has the eight dimensions judged.
    pub async fn release(&self, name: &str) -> DatasetVersion {
        let request =
            ReleaseDatasetVersionRequest { name: name.into(), ..ReleaseDatasetVersionRequest::default() };
        self.by("data-engineer").datasets().release_dataset_version(request).await.told()
    }

    /// The whole of §5: the dataset version 1.0.0 is READY, the line stands in phase MODEL.
    pub async fn data_ready(&self) -> DatasetVersion {
        self.usable_source().await;
        self.hand_in("1.0.0", dataset_version(&self.source())).await;
        self.audit_rows(&self.data(), 400, 0).await;
        self.sign_relevance(&self.data()).await;
        let released = self.release(&self.data()).await;
        assert_eq!(released.state(), state::State::Ready, "{:?}", released.findings);
        self.advance(Phase::Model).await;
        released
    }
}
