//! Dataset versions (§5.2, §5.3).

use lifecycle::Version;
use lifecycle::approval::{Approval, NotApplicable};
use lifecycle::dataset::{State, StepRecord};
use lifecycle::dataset_number::Content;
use lifecycle::policy::Quality;
use lifecycle::quality::{Applicable, Audit, Count, Currency, GroupShare, QualityEvidence, Relevance};
use prost::Message as _;
use storage::Digest;

use super::{optional_time, time, word};
use crate::Error;
use crate::wire::{self, DataSource, DatasetVersion, QualityMeasurement, dataset_version};

/// The state of a dataset version.
pub fn state(version: &DatasetVersion) -> State {
    match version.state() {
        dataset_version::State::Unspecified | dataset_version::State::Draft => State::Draft,
        dataset_version::State::Ready => State::Ready,
        dataset_version::State::Unfit => State::Unfit,
    }
}

/// The state on the wire.
pub fn to_state(state: State) -> dataset_version::State {
    match state {
        State::Draft => dataset_version::State::Draft,
        State::Ready => dataset_version::State::Ready,
        State::Unfit => dataset_version::State::Unfit,
    }
}

/// The seven recorded steps.
///
/// # Errors
/// INVALID_ARGUMENT for a step that the procedure does not have.
pub fn steps(version: &DatasetVersion) -> Result<Vec<StepRecord>, Error> {
    version.steps.iter().enumerate().map(|(at, step)| one_step(at, step)).collect()
}

fn one_step(at: usize, step: &wire::StepRecord) -> Result<StepRecord, Error> {
    Ok(StepRecord {
        step: word(&format!("dataset_version.steps[{at}].step"), &step.step)?,
        input_digest: step.input_digest.clone(),
        code_digest: step.code_digest.clone(),
        parameters: step.parameters.clone(),
        seed: step.seed,
        output_digest: step.output_digest.clone(),
        rows_in: step.rows_in,
        rows_out: step.rows_out,
        rejects: step.rejects,
        not_applicable: step.not_applicable_reason.clone(),
    })
}

/// Version numbers of resource names, `datasets/d/versions/1.0.0`.
///
/// # Errors
/// [`Error::Damaged`].
pub fn number(name: &str) -> Result<Version, Error> {
    contracts::name::last(name).parse().map_err(|_| Error::Damaged(format!("version of {name}")))
}

/// What a version holds, as far as its number depends on it. Steps and fitted transforms are metadata: they are in the
/// manifest. Who built it and when, its card and its findings are not what it holds.
pub fn content(version: &DatasetVersion) -> Content {
    let mut splits: Vec<String> =
        version.splits.iter().map(|one| format!("{} {} {}", one.split, one.rows, one.digest)).collect();
    splits.sort_unstable();
    let mut data_sources = version.data_sources.clone();
    data_sources.sort_unstable();
    let quality = version.quality.iter().map(|one| QualityMeasurement {
        dimension: one.dimension.clone(),
        bad: one.bad,
        all: one.all,
        newest_event_time: one.newest_event_time,
        not_applicable_reason: one.not_applicable_reason.clone(),
        ..QualityMeasurement::default()
    });
    let rest = DatasetVersion {
        data_sources,
        columns: version.columns.clone(),
        quality: quality.collect(),
        group_shares: version.group_shares.clone(),
        manifest_digest: version.manifest_digest.clone(),
        transform_digest: version.transform_digest.clone(),
        label_column: version.label_column.clone(),
        leaked_rows: version.leaked_rows,
        ..DatasetVersion::default()
    };
    Content {
        schema: version.schema_digest.clone(),
        rows: splits.join("\n"),
        metadata: Digest::of(&rest.encode_to_vec()).to_string(),
    }
}

/// What was measured of a version, for the judgement of its eight dimensions. `sources` are those it was built from.
pub fn evidence(
    version: &DatasetVersion,
    sources: &[DataSource],
    contributors: Vec<String>,
    policy: &Quality,
) -> QualityEvidence {
    let measured = |dimension: &str| version.quality.iter().find(|one| one.dimension == dimension);
    let counted = |dimension: &str| measured(dimension).map_or(Count { bad: 0, all: 0 }, count);
    let signed = relevance_sign_off(version);
    let signal = measured("relevance").and_then(|one| one.value.as_ref()).map(|value| value.value);
    QualityEvidence {
        audit: version.audit.as_ref().map(|audit| Audit {
            rows: audit.rows,
            wrong_rows: audit.wrong_rows,
            method: audit.method.clone(),
            auditor: audit.auditor.clone(),
            sample_digest: audit.sample_digest.clone(),
        }),
        missing_cells: counted("completeness"),
        inconsistent_rows: applicable(measured("consistency"), signed.as_ref(), |one| Some(count(one))),
        currency: currency(measured("timeliness"), sources, policy),
        duplicate_rows: counted("uniqueness"),
        invalid_rows: counted("validity"),
        relevance: signal.map(|signal| Relevance { signal, sign_off: signed.clone() }),
        groups: applicable(measured("fairness"), signed.as_ref(), |_| groups(version)),
        contributors,
    }
}

fn count(measured: &QualityMeasurement) -> Count {
    Count { bad: measured.bad, all: measured.all }
}

fn applicable<T>(
    measured: Option<&QualityMeasurement>,
    sign_off: Option<&Approval>,
    read: impl Fn(&QualityMeasurement) -> Option<T>,
) -> Applicable<T> {
    match measured {
        None => Applicable::Absent,
        Some(one) if !one.not_applicable_reason.is_empty() => Applicable::NotApplicable(NotApplicable {
            reason: one.not_applicable_reason.clone(),
            sign_off: sign_off.cloned(),
        }),
        Some(one) => read(one).map_or(Applicable::Absent, Applicable::Measured),
    }
}

fn groups(version: &DatasetVersion) -> Option<Vec<GroupShare>> {
    let one = |share: &wire::GroupShare| GroupShare {
        group: format!("{}={}", share.column, share.group),
        share: share.share,
        reference: share.reference_share,
    };
    (!version.group_shares.is_empty()).then(|| version.group_shares.iter().map(one).collect())
}

/// The newest event, or where the data has no event time what the confirmations of its sources say. An event time of which
/// nothing could be read is no reason to take a confirmation for it.
fn currency(measured: Option<&QualityMeasurement>, sources: &[DataSource], policy: &Quality) -> Currency {
    if let Some(newest) = measured.and_then(|one| optional_time(one.newest_event_time.as_ref())) {
        return Currency::NewestEvent(newest);
    }
    if measured.is_some_and(|one| one.value.is_some()) {
        return Currency::Unknown;
    }
    let confirmed: Vec<Option<Approval>> = sources.iter().map(confirmation).collect();
    Currency::confirmed(&confirmed, policy)
}

/// Who confirmed that a source is current, in which role; none where nobody did in a role that is known.
fn confirmation(source: &DataSource) -> Option<Approval> {
    let at = optional_time(source.confirmed_current_time.as_ref())?;
    let role = source.confirmed_current_role.parse().ok()?;
    Some(Approval::new(source.confirmed_current_by.clone(), role, at))
}

fn relevance_sign_off(version: &DatasetVersion) -> Option<Approval> {
    let role = version.relevance_signed_role.parse().ok()?;
    let at = time(version.relevance_sign_time.as_ref());
    (!version.relevance_signed_by.is_empty())
        .then(|| Approval::new(version.relevance_signed_by.clone(), role, at))
}
