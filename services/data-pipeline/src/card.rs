//! The data card (§5.4): eight sections from the records, as Markdown. The same records give the same bytes.

use std::fmt::Write as _;

use contracts::common::v1::column_profile::Distribution;
use contracts::common::v1::{ColumnProfile, Measurement};
use contracts::registry::v1::{DataSource, Dataset, DatasetVersion, QualityMeasurement};
use features::leakage::Finding;

use crate::steps::validation::Found;

/// Columns whose distribution is drawn.
const DRAWN: usize = 100;
/// Characters of the longest bar.
const BAR: u64 = 40;

/// What the card is made from.
pub struct Facts<'a> {
    /// The dataset, with the notes of its owner.
    pub dataset: &'a Dataset,
    /// Where the data comes from.
    pub sources: &'a [DataSource],
    /// The version.
    pub version: &'a DatasetVersion,
    /// The data as it came.
    pub raw: &'a Found,
    /// What the audit of the splits found.
    pub audit: &'a [Finding],
}

/// A card.
pub struct Made {
    /// The text.
    pub markdown: String,
    /// Sections that lack their facts; with one of these the card is not publishable.
    pub missing: Vec<String>,
}

/// Makes the card.
pub fn make(facts: &Facts<'_>) -> Made {
    let version = facts.version;
    let title =
        if facts.dataset.display_name.is_empty() { &facts.dataset.name } else { &facts.dataset.display_name };
    let mut markdown = format!("# Data card: {} {}\n\n`{}`\n", line(title), version.tag, version.name);
    let mut missing = Vec::new();
    let sections = [
        ("overview", "Overview", overview(facts)),
        ("composition", "Composition", Some(composition(facts))),
        ("collection", "Collection", collection(facts)),
        ("preprocessing", "Preprocessing", Some(preprocessing(facts))),
        ("distribution", "Distribution", Some(distribution(version))),
        ("bias-analysis", "Bias analysis", bias(version)),
        ("ethical-review", "Ethical review", given(&facts.dataset.privacy_note)),
        ("maintenance", "Maintenance", maintenance(facts)),
    ];
    for (number, (part, heading, text)) in sections.into_iter().enumerate() {
        let text = text.unwrap_or_else(|| {
            missing.push(part.to_owned());
            "*Missing: nothing is recorded.*\n".to_owned()
        });
        let _ = write!(markdown, "\n## {}. {heading}\n\n{text}", number + 1);
    }
    Made { markdown, missing }
}

/// Text of a person, on one line, without what Markdown would read as a structure.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|").replace('<', "&lt;")
}

fn given(text: &str) -> Option<String> {
    (!text.trim().is_empty()).then(|| format!("{}\n", line(text)))
}

fn overview(facts: &Facts<'_>) -> Option<String> {
    let mut out = given(&facts.dataset.description)?;
    let version = facts.version;
    let _ = writeln!(out, "\n- project: `{}`", facts.dataset.project);
    let _ = writeln!(out, "- rows: {} of {} that came", version.rows, version.rows_in);
    let _ = writeln!(out, "- columns: {}", version.columns.len());
    let label = if version.label_column.is_empty() { "none" } else { &version.label_column };
    let _ = writeln!(out, "- label: {}", line(label));
    let _ = writeln!(out, "- manifest: `{}`", version.manifest_digest);
    Some(out)
}

fn composition(facts: &Facts<'_>) -> String {
    let mut out = String::from("| column | type | may be missing | role |\n|---|---|---|---|\n");
    for column in &facts.version.columns {
        let role = match (column.label, column.sensitive) {
            (true, _) => "label",
            (_, true) => "group",
            _ => "feature",
        };
        let nullable = if column.nullable { "yes" } else { "no" };
        let _ = writeln!(out, "| {} | {} | {nullable} | {role} |", line(&column.name), column.r#type);
    }
    out.push_str("\n| split | rows | digest |\n|---|---:|---|\n");
    for split in &facts.version.splits {
        let _ = writeln!(out, "| {} | {} | `{}` |", split.split, split.rows, split.digest);
    }
    let _ = writeln!(out, "\nRows in more than one split: {}", facts.version.leaked_rows.unwrap_or_default());
    if !facts.audit.is_empty() {
        out.push_str("\n### Audit of the splits\n\n| check | value | limit | rows | verdict | what |\n|---|---:|---:|---:|---|---|\n");
    }
    for one in facts.audit {
        let value = if one.value.is_nan() { String::new() } else { format!("{:.4}", one.value) };
        let interval =
            one.interval.map_or(String::new(), |it| format!(" ({:.4} to {:.4})", it.lower, it.upper));
        let verdict = format!("{:?}", one.verdict).to_lowercase();
        let (check, limit, rows, what) = (&one.check, one.limit, one.rows, line(&one.what));
        let _ = writeln!(out, "| {check} | {value}{interval} | {limit} | {rows} | {verdict} | {what} |");
    }
    out
}

fn collection(facts: &Facts<'_>) -> Option<String> {
    let mut out = given(&facts.dataset.collection_note)?;
    out.push_str("\n| source | kind | origin | licence |\n|---|---|---|---|\n");
    for source in facts.sources {
        let kind = source.kind().as_str_name().trim_start_matches("SOURCE_KIND_").to_lowercase();
        let _ = writeln!(
            out,
            "| `{}` | {kind} | {} | {} |",
            source.name,
            line(&source.origin),
            line(&source.license)
        );
    }
    (!facts.sources.is_empty()).then_some(out)
}

fn preprocessing(facts: &Facts<'_>) -> String {
    let mut out =
        String::from("| step | rows in | rows out | rejects | output |\n|---|---:|---:|---:|---|\n");
    for step in &facts.version.steps {
        let (name, digest) = (&step.step, &step.output_digest);
        if step.not_applicable_reason.is_empty() {
            let _ = writeln!(
                out,
                "| {name} | {} | {} | {} | `{digest}` |",
                step.rows_in, step.rows_out, step.rejects
            );
        } else {
            let _ = writeln!(out, "| {name} | | | | not applicable: {} |", line(&step.not_applicable_reason));
        }
    }
    let cells: u64 = facts.raw.missing.values().sum();
    let _ = writeln!(
        out,
        "\nAs it came: {} rows, {cells} missing cells, {} rows that equal an earlier one, {} rows that break the schema.",
        facts.raw.rows, facts.raw.duplicates, facts.raw.invalid_rows
    );
    for (what, count) in facts.raw.violations.iter().take(DRAWN) {
        let _ = writeln!(out, "- {}: {count} cells", line(what));
    }
    out
}

fn distribution(version: &DatasetVersion) -> String {
    let mut out = String::from("The training split; one bar for each bin or value.\n");
    for profile in version.profiles.iter().take(DRAWN) {
        let _ = write!(
            out,
            "\n### {}\n\n{} rows, {} missing\n\n```\n",
            line(&profile.column),
            profile.rows,
            profile.missing
        );
        out.push_str(&bars(profile));
        out.push_str("```\n");
    }
    if DRAWN < version.profiles.len() {
        let _ = writeln!(out, "\nand {} more columns", version.profiles.len() - DRAWN);
    }
    out
}

fn bars(profile: &ColumnProfile) -> String {
    let rows: Vec<(String, u64)> = match &profile.distribution {
        Some(Distribution::Numeric(numeric)) => {
            let number = features::column::number_text;
            let name = |at: usize| match (
                at.checked_sub(1).and_then(|at| numeric.edges.get(at)),
                numeric.edges.get(at),
            ) {
                (None, Some(high)) => format!("below {}", number(*high)),
                (Some(low), Some(high)) => format!("{} to {}", number(*low), number(*high)),
                (Some(low), None) => format!("from {}", number(*low)),
                (None, None) => String::new(),
            };
            numeric.counts.iter().enumerate().map(|(at, count)| (name(at), *count)).collect()
        }
        Some(Distribution::Categorical(counts)) => {
            let named = counts
                .values
                .iter()
                .map(|value| line(value).replace('`', "'"))
                .zip(counts.counts.iter().copied());
            let other = (counts.other > 0).then(|| ("(others)".to_owned(), counts.other));
            named.chain(other).collect()
        }
        None => Vec::new(),
    };
    let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    let mut out = String::new();
    for (name, count) in rows {
        let bar = "#".repeat((count * BAR).div_ceil(most) as usize);
        let name: String = name.chars().take(32).collect();
        let _ = writeln!(out, "{name:<32} {bar:<40} {count}");
    }
    out
}

fn bias(version: &DatasetVersion) -> Option<String> {
    let fairness = version.quality.iter().find(|one| one.dimension == "fairness")?;
    let mut out = String::new();
    if version.group_shares.is_empty() {
        out = given(&fairness.not_applicable_reason)?;
    } else {
        out.push_str("| group | rows | share | reference | favourable label |\n|---|---:|---:|---:|---:|\n");
        for one in &version.group_shares {
            let positive = if one.positive_share.is_nan() {
                String::new()
            } else {
                format!("{:.4}", one.positive_share)
            };
            let (group, share, reference) =
                (line(&format!("{}={}", one.column, one.group)), one.share, one.reference_share);
            let _ = writeln!(out, "| {group} | {} | {share:.4} | {reference:.4} | {positive} |", one.rows);
        }
    }
    out.push_str(
        "\n### Quality as measured\n\n| dimension | value | 95 % interval | sample |\n|---|---:|---|---:|\n",
    );
    for one in &version.quality {
        let _ = writeln!(out, "{}", quality_row(one));
    }
    out.push_str("| accuracy | by audit | | |\n");
    Some(out)
}

fn quality_row(one: &QualityMeasurement) -> String {
    let Some(value) = &one.value else {
        let why = if one.not_applicable_reason.is_empty() { &one.method } else { &one.not_applicable_reason };
        return format!("| {} | {} | | |", one.dimension, line(why));
    };
    // An age depends on the day on which it is read, so the card names the newest event instead.
    let shown = match &one.newest_event_time {
        Some(time) => format!("newest event {} s after 1970", time.seconds),
        None => shown(value),
    };
    let interval =
        value.lower.zip(value.upper).map_or(String::new(), |(low, high)| format!("{low:.5} to {high:.5}"));
    format!("| {} | {shown} | {interval} | {} |", one.dimension, value.sample_size)
}

fn shown(value: &Measurement) -> String {
    if value.value.is_nan() { line(&value.undefined_reason) } else { format!("{:.5}", value.value) }
}

fn maintenance(facts: &Facts<'_>) -> Option<String> {
    let mut out = given(&facts.dataset.update_frequency).map(|text| format!("Updates: {text}"))?;
    let _ = writeln!(
        out,
        "\nBuilt by {}. The same inputs and plan give the manifest above again.",
        line(&facts.version.built_by)
    );
    Some(out)
}
