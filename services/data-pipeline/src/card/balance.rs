//! Who is in the data, and how good it is: groups against what they should be, known biases, the dimensions of §5.2.

use contracts::registry::v1::{GroupShare, QualityMeasurement};
use tabular::show::brief;
use tabular::show::plot::Gauge;

use super::origin::called;
use super::section::{Block, Cell, Head, Table};
use super::{Facts, Target};

/// Groups that are shown.
const GROUPS: usize = 200;
/// The consideration of a source that tells its biases (§5.1).
const BIAS: &str = "bias";

/// Demographic breakdown and known biases. Empty where nobody asked for fairness, and where it does not apply without a reason.
pub fn bias(facts: &Facts<'_>) -> Vec<Block> {
    let version = facts.version;
    let Some(fairness) = version.quality.iter().find(|one| one.dimension == "fairness") else {
        return Vec::new();
    };
    let mut made = Vec::new();
    if version.group_shares.is_empty() {
        let why = fairness.not_applicable_reason.trim();
        if why.is_empty() {
            return Vec::new();
        }
        made.push(Block::Text(format!("Groups: not applicable. {why}")));
    } else {
        made.push(Block::Table(groups(&version.group_shares)));
        if GROUPS < version.group_shares.len() {
            made.push(Block::Text(format!("and {} more groups", version.group_shares.len() - GROUPS)));
        }
    }
    let known = facts.sources.iter().filter_map(|source| {
        let text = source.considerations.get(BIAS)?;
        Some(vec![Cell::text(called(source)), Cell::text(text)])
    });
    let known: Vec<_> = known.collect();
    if !known.is_empty() {
        made.push(Block::Title("Known biases".into()));
        made.push(Block::Table(Table { head: vec![Head::Text("source"), Head::Text("bias")], rows: known }));
    }
    made.push(Block::Title("Quality as measured".into()));
    made.push(Block::Table(quality(facts)));
    made.push(Block::Text(
        "What is measured here is judged when the version is released. A mark stands where the target is."
            .into(),
    ));
    made
}

fn groups(shares: &[GroupShare]) -> Table {
    let row = |one: &GroupShare| {
        let positive =
            if one.positive_share.is_nan() { Cell::Empty } else { Cell::text(brief(one.positive_share)) };
        let said = format!("share {}, reference {}", brief(one.share), brief(one.reference_share));
        vec![
            Cell::text(format!("{}={}", one.column, one.group)),
            Cell::count(one.rows),
            Cell::text(brief(one.share)),
            Cell::Gauge(Gauge::fitted(one.share, None, Some(one.reference_share)), said),
            Cell::text(brief(one.reference_share)),
            positive,
        ]
    };
    let head = vec![
        Head::Text("group"),
        Head::Number("rows"),
        Head::Number("share"),
        Head::Picture("against the reference"),
        Head::Number("reference"),
        Head::Number("favourable label"),
    ];
    Table { head, rows: shares.iter().take(GROUPS).map(row).collect() }
}

/// A row for each target of the policy, and for what was measured without one.
fn quality(facts: &Facts<'_>) -> Table {
    let measured = &facts.version.quality;
    let asked = facts.targets.iter().map(|target| {
        let found = measured.iter().find(|one| one.dimension == target.dimension);
        found.map_or_else(|| unmeasured(target), |one| row(one, Some(target)))
    });
    let known = |one: &&QualityMeasurement| facts.targets.iter().any(|it| it.dimension == one.dimension);
    let others = measured.iter().filter(|one| !known(one)).map(|one| row(one, None));
    let head = vec![
        Head::Text("dimension"),
        Head::Number("value"),
        Head::Number("95 % interval"),
        Head::Picture("against the target"),
        Head::Text("target"),
        Head::Number("sample"),
        Head::Text("how"),
    ];
    Table { head, rows: asked.chain(others).collect() }
}

fn unmeasured(target: &Target) -> Vec<Cell> {
    let how =
        if target.dimension == "accuracy" { "from the audit of a sample alone" } else { "not measured" };
    vec![
        Cell::text(target.dimension),
        Cell::Empty,
        Cell::Empty,
        Cell::Empty,
        Cell::text(&target.words),
        Cell::Empty,
        Cell::text(how),
    ]
}

fn row(one: &QualityMeasurement, target: Option<&Target>) -> Vec<Cell> {
    let words = target.map_or(Cell::Empty, |target| Cell::text(&target.words));
    let how = if one.not_applicable_reason.is_empty() {
        one.method.clone()
    } else {
        format!("not applicable: {}", one.not_applicable_reason)
    };
    let name = Cell::text(&one.dimension);
    let Some(value) = &one.value else {
        return vec![name, Cell::Empty, Cell::Empty, Cell::Empty, words, Cell::Empty, Cell::Text(how)];
    };
    // An age depends on the day on which it is read, so the card names the newest event instead.
    if let Some(time) = &one.newest_event_time {
        let newest = Cell::text(format!("newest event {time}"));
        let sample = Cell::count(value.sample_size);
        return vec![name, newest, Cell::Empty, Cell::Empty, words, sample, Cell::Text(how)];
    }
    let interval = value.lower.zip(value.upper);
    let shown = if value.value.is_nan() { value.undefined_reason.clone() } else { brief(value.value) };
    let said = format!("{}: {shown}", one.dimension);
    let share = value.value.is_finite() && value.unit.is_empty();
    let limit = target.and_then(|target| target.limit);
    vec![
        name,
        Cell::Text(shown),
        interval.map_or(Cell::Empty, |(low, high)| Cell::text(format!("{} to {}", brief(low), brief(high)))),
        if share { Cell::Gauge(Gauge::fitted(value.value, interval, limit), said) } else { Cell::Empty },
        words,
        Cell::count(value.sample_size),
        Cell::Text(how),
    ]
}
