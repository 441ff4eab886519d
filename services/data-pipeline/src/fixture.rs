//! Records of a dataset version, as a build leaves them, for the tests of what is written from them.

use std::collections::BTreeMap;

use contracts::common::v1::column_profile::Distribution;
use contracts::common::v1::{CategoricalCounts, ColumnProfile, Measurement, NumericHistogram};
use contracts::registry::v1::*;
use features::leakage::{Finding, Verdict};
use statistics::Interval;

/// The records.
pub struct Fixture {
    pub dataset: Dataset,
    pub sources: Vec<DataSource>,
    pub version: DatasetVersion,
    pub missing: BTreeMap<String, u64>,
    pub violations: BTreeMap<String, u64>,
    pub audit: Vec<Finding>,
}

/// A text that would be markup, were it not made harmless.
pub const HOSTILE: &str = "</style><script>alert(1)</script> | `x` \"q\"";

fn digest(letter: char) -> String {
    format!("sha256:{}", letter.to_string().repeat(64))
}

fn time(text: &str) -> Option<prost_types::Timestamp> {
    Some(text.parse().expect("a time"))
}

/// Every fact is there.
pub fn complete() -> Fixture {
    let dataset = Dataset {
        name: "datasets/census".into(),
        display_name: "Census income".into(),
        project: "projects/income".into(),
        description: "Tells from a census whether a person earns more than 50,000 a year.\nFor teaching."
            .into(),
        update_frequency: "every ten years, with the census".into(),
        privacy_note: "names and addresses were removed; consent by the census act".into(),
        collection_note: "interviews at home, 1994, extracted by the bureau".into(),
        ..Dataset::default()
    };
    let considerations =
        [("bias", "men are over-represented"), ("access-rights", "open"), (HOSTILE, HOSTILE)];
    let source = DataSource {
        name: "dataSources/census".into(),
        display_name: "Census bureau, 1994".into(),
        kind: SourceKind::Public.into(),
        origin: "https://archive.ics.uci.edu/dataset/2/adult".into(),
        license: "CC-BY-4.0".into(),
        owner: "data-engineer".into(),
        considerations: considerations.map(|(key, text)| (key.to_owned(), text.to_owned())).into(),
        approvals: vec![SourceApproval {
            role: "legal".into(),
            principal: "laura".into(),
            time: time("2026-02-03T10:00:00Z"),
            note: "attribution is given".into(),
        }],
        confirmed_current_time: time("2026-03-04T09:00:00Z"),
        confirmed_current_by: "olga".into(),
        ..DataSource::default()
    };
    Fixture {
        dataset,
        sources: vec![source],
        version: version(),
        missing: [("workclass", 1_836), ("occupation", 1_843), ("age", 0), (HOSTILE, 12)]
            .map(|(name, count)| (name.to_owned(), count))
            .into(),
        violations: [("age: above 90".to_owned(), 43), (format!("{HOSTILE}: not allowed"), 2)].into(),
        audit: audit(),
    }
}

fn version() -> DatasetVersion {
    let column = |name: &str, kind: &str| DatasetColumn {
        name: name.into(),
        r#type: kind.into(),
        ..DatasetColumn::default()
    };
    let split = |name: &str, rows, letter| DatasetSplit {
        split: name.into(),
        rows,
        digest: digest(letter),
        size_bytes: rows * 31,
    };
    let group = |name: &str, rows, share, positive_share| GroupShare {
        column: "sex".into(),
        group: name.into(),
        rows,
        share,
        positive_share,
        reference_share: 0.5,
    };
    DatasetVersion {
        name: "datasets/census/versions/1.2.0".into(),
        tag: "ds-v1.2.0".into(),
        data_sources: vec!["dataSources/census".into()],
        steps: steps(),
        columns: vec![
            DatasetColumn { key: true, ..column("id", "int64") },
            column("age", "int64"),
            DatasetColumn { nullable: true, missing_text: "?".into(), ..column("workclass", "utf8") },
            column("hours per week", "float64"),
            DatasetColumn { sensitive: true, ..column("sex", "utf8") },
            DatasetColumn { derived: true, ..column(HOSTILE, "bool") },
            column("asked", "timestamp"),
            DatasetColumn { label: true, ..column("income", "utf8") },
        ],
        splits: vec![split("train", 22_792, 'a'), split("validation", 3_256, 'b'), split("test", 6_513, 'c')],
        quality: quality(),
        profiles: profiles(),
        group_shares: vec![group("Female", 10_771, 0.3308, 0.1095), group("Male", 21_790, 0.6692, 0.3057)],
        manifest_digest: digest('d'),
        transform_digest: digest('e'),
        schema_digest: digest('f'),
        label_column: "income".into(),
        rows_in: 32_585,
        rows: 32_561,
        built_by: "dana".into(),
        contributors: vec!["dana".into(), "data-engineer".into()],
        create_time: time("2026-04-05T06:07:08Z"),
        leaked_rows: Some(0),
        relevance_note: "predicting income from a census".into(),
        ..DatasetVersion::default()
    }
}

fn steps() -> Vec<StepRecord> {
    let names =
        ["extraction", "validation", "cleaning", "transformation", "augmentation", "splitting", "versioning"];
    let one = |(at, name): (usize, &&str)| StepRecord {
        step: (*name).into(),
        output_digest: digest(char::from(b'0' + at as u8)),
        parameters: format!("{{\"step\":{at},\"note\":\"``` {}\"}}", HOSTILE.replace('"', "'")),
        rows_in: if at < 3 { 32_585 } else { 32_561 },
        rows_out: if at < 2 { 32_585 } else { 32_561 },
        rejects: if at == 2 { 24 } else { 0 },
        not_applicable_reason: if at == 4 { "there are rows enough".into() } else { String::new() },
        ..StepRecord::default()
    };
    names.iter().enumerate().map(one).collect()
}

fn quality() -> Vec<QualityMeasurement> {
    let one = |dimension: &str, value: f64, half: f64, sample: u64| QualityMeasurement {
        dimension: dimension.into(),
        value: Some(Measurement {
            value,
            sample_size: sample,
            lower: (half > 0.0).then_some((value - half).max(0.0)),
            upper: (half > 0.0).then_some(value + half),
            ..Measurement::default()
        }),
        method: "counted".into(),
        bad: 3_691,
        all: sample,
        ..QualityMeasurement::default()
    };
    vec![
        one("completeness", 0.0142, 0.0005, 260_488),
        QualityMeasurement {
            dimension: "consistency".into(),
            not_applicable_reason: "a single source".into(),
            ..QualityMeasurement::default()
        },
        QualityMeasurement {
            newest_event_time: time("2026-03-01T00:00:00Z"),
            ..one("timeliness", 35.2, 0.0, 32_561)
        },
        one("uniqueness", 0.0007, 0.0003, 32_561),
        one("validity", 0.0139, 0.0013, 32_561),
        one("relevance", 0.42, 0.0, 32_561),
        one("fairness", 0.1692, 0.0, 32_561),
    ]
}

fn profiles() -> Vec<ColumnProfile> {
    let numeric = |name: &str, edges: &[f64], counts: &[u64], min, max| ColumnProfile {
        column: name.into(),
        rows: counts.iter().sum(),
        missing: 0,
        distribution: Some(Distribution::Numeric(NumericHistogram {
            edges: edges.to_vec(),
            counts: counts.to_vec(),
            min,
            max,
            mean: (min + max) / 2.0,
            variance: 186.0,
        })),
    };
    let values = |name: &str, values: &[(&str, u64)], other, missing| ColumnProfile {
        column: name.into(),
        rows: values.iter().map(|it| it.1).sum::<u64>() + other + missing,
        missing,
        distribution: Some(Distribution::Categorical(CategoricalCounts {
            values: values.iter().map(|it| it.0.into()).collect(),
            counts: values.iter().map(|it| it.1).collect(),
            other,
        })),
    };
    let ages = [22.0, 26.0, 30.0, 33.0, 37.0, 41.0, 45.0, 50.0, 58.0];
    vec![
        numeric(
            "age",
            &ages,
            &[2_100, 2_300, 2_350, 2_200, 2_400, 2_280, 2_210, 2_330, 2_290, 2_332],
            17.0,
            90.0,
        ),
        values(
            "workclass",
            &[("Private", 15_887), ("Self-emp-not-inc", 1_778), ("Local-gov", 1_465), ("<State>", 908)],
            1_468,
            1_286,
        ),
        numeric(
            "hours per week",
            &[24.0, 35.0, 40.0, 41.0, 50.0, 55.0],
            &[2_200, 2_400, 1_100, 10_700, 2_300, 2_100, 1_992],
            1.0,
            99.0,
        ),
        values("sex", &[("Female", 7_539), ("Male", 15_253)], 0, 0),
        numeric("flag", &[1.0], &[12_000, 10_792], 0.0, 1.0),
        values("income", &[("<=50K", 17_303), (">50K", 5_489)], 0, 0),
    ]
}

fn audit() -> Vec<Finding> {
    let one = |check: &str, what: &str, value: f64, limit: f64, verdict| Finding {
        check: check.into(),
        what: what.into(),
        value,
        interval: None,
        limit,
        rows: value as u64,
        sample: Vec::new(),
        verdict,
    };
    vec![
        one("equal_rows", "rows that an earlier part has too", 0.0, 0.0, Verdict::Pass),
        one("near_duplicates", "rows of a cluster of near-duplicates", 12.0, 0.0, Verdict::Fail),
        Finding {
            interval: Some(Interval { lower: 0.49, upper: 0.535 }),
            ..one("adversarial_auc", "how well a model tells train from test", 0.512, 0.55, Verdict::Pass)
        },
        Finding {
            interval: Some(Interval { lower: 0.01, upper: 0.08 }),
            ..one("label_shares", "largest difference of a label's share", 0.04, 0.05, Verdict::Inconclusive)
        },
    ]
}
