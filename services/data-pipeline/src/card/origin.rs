//! What people recorded: purpose, collection, ethics, maintenance. A section whose note nobody wrote is empty.

use contracts::registry::v1::{DataSource, DatasetVersion};
use tabular::show::{grouped, sized};

use super::Facts;
use super::section::{Block, Cell, Head, Table};

/// The version in a few figures.
pub fn figures(version: &DatasetVersion) -> Vec<(&'static str, String)> {
    let bytes: u64 = version.splits.iter().map(|split| split.size_bytes).sum();
    let mut made = vec![
        ("rows", grouped(version.rows)),
        ("columns", grouped(version.columns.len() as u64)),
        ("splits", version.splits.len().to_string()),
        ("size", sized(bytes)),
    ];
    if !version.label_column.is_empty() {
        made.push(("label", version.label_column.clone()));
    }
    made
}

/// Purpose, source, size.
pub fn overview(facts: &Facts<'_>) -> Vec<Block> {
    let Some(purpose) = given(&facts.dataset.description) else { return Vec::new() };
    let version = facts.version;
    let label = if version.label_column.is_empty() { "none" } else { &version.label_column };
    let bytes: u64 = version.splits.iter().map(|split| split.size_bytes).sum();
    let rows = format!("{} of {} that came", grouped(version.rows), grouped(version.rows_in));
    let sources: Vec<&str> = facts.sources.iter().map(called).collect();
    vec![
        purpose,
        Block::Facts(vec![
            ("project", Cell::code(&facts.dataset.project)),
            ("sources", Cell::text(sources.join(", "))),
            ("rows", Cell::text(rows)),
            ("columns", Cell::count(version.columns.len() as u64)),
            ("label", Cell::text(label)),
            ("size", Cell::text(format!("{} in {} files", sized(bytes), version.splits.len()))),
            ("manifest", Cell::code(&version.manifest_digest)),
        ]),
    ]
}

/// How, when, and who collected.
pub fn collection(facts: &Facts<'_>) -> Vec<Block> {
    let Some(how) = given(&facts.dataset.collection_note) else { return Vec::new() };
    if facts.sources.is_empty() {
        return Vec::new();
    }
    let row = |source: &DataSource| {
        let current = source.confirmed_current_time.map_or(Cell::Empty, |time| {
            Cell::text(format!("{} by {}", day(&time.to_string()), source.confirmed_current_by))
        });
        vec![
            Cell::text(called(source)),
            Cell::text(kind(source)),
            Cell::text(&source.origin),
            Cell::text(&source.license),
            Cell::text(&source.owner),
            current,
        ]
    };
    let head = [
        Head::Text("source"),
        Head::Text("kind"),
        Head::Text("origin"),
        Head::Text("licence"),
        Head::Text("brought in by"),
        Head::Text("confirmed as current"),
    ];
    vec![how, Block::Table(Table { head: head.into(), rows: facts.sources.iter().map(row).collect() })]
}

/// Privacy, consent, sensitive attributes; what was considered before a source was approved, and by whom.
pub fn ethics(facts: &Facts<'_>) -> Vec<Block> {
    let Some(privacy) = given(&facts.dataset.privacy_note) else { return Vec::new() };
    let sensitive = facts.version.columns.iter().filter(|column| column.sensitive);
    let sensitive: Vec<&str> = sensitive.map(|column| column.name.as_str()).collect();
    let sensitive = if sensitive.is_empty() { "none declared".to_owned() } else { sensitive.join(", ") };
    let mut made = vec![privacy, Block::Facts(vec![("sensitive columns", Cell::text(sensitive))])];
    let considered = facts.sources.iter().flat_map(|source| {
        source.considerations.iter().map(|(what, text)| {
            vec![Cell::text(called(source)), Cell::text(what.replace('-', " ")), Cell::text(text)]
        })
    });
    let considered: Vec<_> = considered.collect();
    if !considered.is_empty() {
        let head = vec![Head::Text("source"), Head::Text("considered"), Head::Text("what was found")];
        made.push(Block::Table(Table { head, rows: considered }));
    }
    let approved = facts.sources.iter().flat_map(|source| {
        source.approvals.iter().map(|one| {
            let time = one.time.map_or(Cell::Empty, |time| Cell::text(day(&time.to_string())));
            vec![
                Cell::text(called(source)),
                Cell::text(&one.role),
                Cell::text(&one.principal),
                time,
                Cell::text(&one.note),
            ]
        })
    });
    let approved: Vec<_> = approved.collect();
    if !approved.is_empty() {
        let head = ["source", "approved as", "by", "on", "note"].map(Head::Text);
        made.push(Block::Table(Table { head: head.into(), rows: approved }));
    }
    made
}

/// Update frequency, versioning.
pub fn maintenance(facts: &Facts<'_>) -> Vec<Block> {
    let updates = facts.dataset.update_frequency.trim();
    if updates.is_empty() {
        return Vec::new();
    }
    let version = facts.version;
    vec![
        Block::Facts(vec![
            ("updates", Cell::text(updates)),
            ("version", Cell::text(&version.tag)),
            ("built by", Cell::text(&version.built_by)),
            ("schema", Cell::code(&version.schema_digest)),
            ("manifest", Cell::code(&version.manifest_digest)),
        ]),
        Block::Text(
            "Another schema makes a new major version, other rows a minor one, other metadata a patch. The same inputs and \
             plan give the manifest above again."
                .into(),
        ),
    ]
}

fn given(text: &str) -> Option<Block> {
    (!text.trim().is_empty()).then(|| Block::Text(text.trim().to_owned()))
}

/// What people call a source.
pub fn called(source: &DataSource) -> &str {
    if source.display_name.trim().is_empty() { &source.name } else { &source.display_name }
}

/// `third party`
pub fn kind(source: &DataSource) -> String {
    source.kind().as_str_name().trim_start_matches("SOURCE_KIND_").to_lowercase().replace('_', " ")
}

/// The day of an RFC 3339 time.
fn day(time: &str) -> String {
    time.split('T').next().unwrap_or_default().to_owned()
}
