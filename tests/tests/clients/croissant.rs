//! A dataset version as other tools read it: its Croissant description and its files, through the reference implementation.

use std::fmt::Write as _;
use std::path::Path;

use contracts::pipeline::v1::{BuildPlan, ColumnRule, GetCroissantRequest, ReadSplitRequest, Splits};
use contracts::registry::v1::DatasetVersion;
use tests::line::Line;
use tests::mesh::Mesh;
use tests::needs;
use tests::refusal::Answered;
use tokio::process::Command;

use super::{here, run};

/// Rows of which every eleventh has no age; names hold what a line or an address would end at.
fn csv(rows: usize) -> String {
    let mut text = String::from("id,when,age,full name?,member,income\n");
    for at in 0..rows {
        let age = if at % 11 == 0 { String::new() } else { (20 + at % 50).to_string() };
        let (day, member, income) = (1 + at % 28, at % 3 == 0, if at % 2 == 0 { "low" } else { "high" });
        let _ = writeln!(text, "{at},2026-02-{day:02}T10:00:00Z,{age},\"Ä, no {at}\",{member},{income}");
    }
    text
}

fn plan() -> BuildPlan {
    let rule = |name: &str, kind: &str| ColumnRule {
        name: name.into(),
        r#type: kind.into(),
        nullable: true,
        ..ColumnRule::default()
    };
    BuildPlan {
        columns: vec![rule("when", "timestamp"), rule("age", "int64"), rule("member", "bool")],
        label_column: "income".into(),
        key_columns: vec!["id".into()],
        splits: Some(Splits { train: 0.6, validation: 0.2, test: 0.2, ..Splits::default() }),
        seed: 3,
        ..BuildPlan::default()
    }
}

/// Puts the description and the files that it names into a folder.
async fn written(line: &Line, version: &DatasetVersion, folder: &Path) {
    let request = GetCroissantRequest { name: version.name.clone(), url: String::new() };
    let told = line.by("data-engineer").reads().get_croissant(request).await.told();
    std::fs::write(folder.join("croissant.json"), told.json).expect("a file");
    for split in &version.splits {
        let request =
            ReadSplitRequest { name: version.name.clone(), split: split.split.clone(), ..Default::default() };
        let mut pieces = line.by("data-engineer").reads().read_split(request).await.told();
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.message().await.expect("a piece") {
            bytes.extend_from_slice(&piece.chunk);
        }
        std::fs::write(folder.join(format!("{}.parquet", split.split)), bytes).expect("a file");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mlcroissant_validates_a_version_and_reads_its_rows() {
    let Some(python) = needs::variable("WLP_TEST_CROISSANT") else { return };
    let mesh = Mesh::start().await;
    let line = mesh.line("described");
    line.plan().await;
    line.usable_source().await;
    let version = line.build(csv(220).as_bytes(), plan()).await;
    let folder = tempfile::tempdir().expect("a folder");
    written(&line, &version, folder.path()).await;

    let mut command = Command::new(python);
    command.arg(here("clients/croissant.py")).arg(folder.path());
    let found = run(command).await;
    assert_eq!((&found["errors"], &found["warnings"]), (&serde_json::json!([]), &serde_json::json!([])));
    assert_eq!(
        (&found["version"], &found["conforms_to"]),
        (&"1.0.0".into(), &"CroissantVersion.V_1_1".into())
    );
    assert_eq!(found["sets"]["splits"]["rows"], 3);
    let (mut rows, mut missing, mut ids) = (0, 0, 0.0);
    for split in &version.splits {
        let (name, set) = (&split.split, &found["sets"][&split.split]);
        assert_eq!(set["rows"], split.rows, "{name}");
        let fields = set["fields"].as_array().expect("fields");
        assert_eq!(fields.len(), 7, "six columns and the split: {fields:?}");
        rows += split.rows;
        missing += set["missing"][format!("{name}/age")].as_u64().unwrap_or_default();
        ids += set["sums"][format!("{name}/id")].as_f64().expect("numbers");
    }
    assert_eq!((rows, missing), (220, 20), "each row is in one split");
    assert!((ids - 219.0 * 110.0).abs() < 1e-9, "{ids}");
}
