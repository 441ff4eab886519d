//! What is read of an input: whatever its format, with the rows that cannot be read in quarantine, by a process that may break.

use std::io::Write;
use std::path::Path;

use super::{Bench, Told, csv, dimension, raw};
use contracts::pipeline::v1::*;
use contracts::registry::v1::DatasetVersion;
use serde_json::Value;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What the record of a step says.
fn parameters(version: &DatasetVersion, step: usize) -> Value {
    serde_json::from_str(&version.steps[step].parameters).unwrap()
}

/// The version's quarantine file, line by line.
fn quarantine(folder: &Path, version: &DatasetVersion) -> Vec<Value> {
    let digest =
        parameters(version, 1)["quarantine"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let file = folder.join("blobs/sha256").join(&digest[..2]).join(&digest);
    std::fs::read_to_string(file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_format_that_is_not_named_is_found_and_stated() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let plan = || BuildPlan { seed: 1, ..Default::default() };
    let first = bench.build("1.0.0", csv(100).as_bytes(), DataFormat::Csv, plan()).await.unwrap();
    let mut formats = vec![
        ("CSV", gzip(csv(100).replace(',', ";").as_bytes())),
        ("CSV", csv(100).encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ];
    for (name, format) in [
        ("TSV", DataFormat::Tsv),
        ("JSON lines", DataFormat::Jsonl),
        ("Arrow IPC file", DataFormat::Arrow),
        ("Parquet", DataFormat::Parquet),
    ] {
        let bytes = super::read(&bench, "train", format).await;
        formats.push((name, zstd::encode_all(bytes.as_slice(), 3).unwrap()));
    }
    for (at, (name, bytes)) in formats.iter().enumerate() {
        let number = format!("1.1.{at}");
        let version = bench.build(&number, bytes, DataFormat::Unspecified, plan()).await.unwrap();
        assert_eq!(version.schema_digest, first.schema_digest, "{name}");
        assert_eq!(version.splits, first.splits, "{name}");
        let detected = &parameters(&version, 0)["inputs"][0]["detected"];
        assert_eq!(detected["format"], *name);
        let compression = ["gzip", "none", "zstd", "zstd", "zstd", "zstd"][at];
        assert_eq!(detected["compression"], compression, "{name}");
        if at == 0 {
            assert_eq!(
                (&detected["dialect"]["delimiter"], &detected["encoding"]),
                (&";".into(), &"UTF-8".into())
            );
        }
        if at == 1 {
            assert_eq!(detected["encoding"], "UTF-16LE");
        }
    }
}

#[tokio::test]
async fn rows_that_cannot_be_read_are_counted_and_kept_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let first = csv(50) + "50,1.5,word x\n51,1.5,wo\0rd,1\n52,2.5,last,1\n";
    let second = "id,x,t,y\n60,1.5,a,1\n61,1.5,a,0,9\n62,oops,b,0\n";
    let mut inputs = Vec::new();
    for text in [first.as_str(), second] {
        let digest = bench.upload(text.as_bytes()).await;
        inputs.push(DataInput { data_source: "dataSources/s".into(), digest, ..Default::default() });
    }
    let plan = BuildPlan { columns: vec![super::rule("x", "float64", 0.0, 100.0)], ..Default::default() };
    let operation = bench.ask_for("1.0.0", inputs, plan).await.unwrap();
    let version: DatasetVersion = bench.end(&operation.name).await.unwrap();
    let extraction = &version.steps[0];
    assert_eq!((extraction.rows_in, extraction.rows_out, extraction.rejects), (56, 53, 3));
    assert_eq!((version.steps[1].rows_in, version.rows_in), (53, 56));
    assert_eq!(raw(dimension(&version, "validity")), (4, 56), "unread rows are no valid ones");

    let kept = quarantine(folder.path(), &version);
    let places: Vec<_> = kept
        .iter()
        .map(|line| (line["source_row"].as_u64().unwrap(), line["rule"].as_str().unwrap()))
        .collect();
    let readable = [50, 51, 54].map(|row| (row, "readable"));
    assert_eq!(places, [readable.as_slice(), &[(55, "float64")]].concat());
    let ragged = &kept[2];
    assert_eq!((&ragged["input"], &ragged["row"], &ragged["line"]), (&1.into(), &2.into(), &3.into()));
    assert!(ragged["value"].as_str().unwrap().contains("61,1.5,a,0,9"), "{ragged}");
    assert_eq!(kept[1]["column"], "t");
    assert_eq!(kept[3]["value"], "oops");
}

#[tokio::test]
async fn a_reader_over_a_limit_ends_with_what_it_met_and_nothing_stays() {
    let folder = tempfile::tempdir().unwrap();
    let slow = |config: &mut data_pipeline::Config| config.reader.wall_s = 0;
    let bench = Bench::over(folder.path(), "sqlite::memory:", Told::default(), slow).await;
    let ended = bench.build("1.0.0", csv(10).as_bytes(), DataFormat::Csv, BuildPlan::default()).await;
    let refused = ended.unwrap_err();
    assert_eq!(refused.code, tonic::Code::InvalidArgument as i32);
    assert!(refused.message.starts_with("inputs[0] (sha256:"), "{}", refused.message);
    assert!(refused.message.contains("longer than 0 s (reader.wall_s)"), "{}", refused.message);

    let small = |config: &mut data_pipeline::Config| config.reader.unfolded_bytes = 1 << 20;
    let bench = Bench::over(folder.path(), "sqlite::memory:", Told::default(), small).await;
    let bomb = gzip(&"a,b\n1,2\n".repeat(1 << 20).into_bytes());
    let refused = bench.build("1.0.1", &bomb, DataFormat::Csv, BuildPlan::default()).await.unwrap_err();
    assert!(refused.message.contains("unfold to more than is allowed"), "{}", refused.message);
    let taken = bench.build("1.0.2", csv(10).as_bytes(), DataFormat::Csv, BuildPlan::default()).await;
    assert_eq!(taken.unwrap().rows, 10, "other builds are unharmed");
    assert_eq!(std::fs::read_dir(folder.path().join("reading")).unwrap().count(), 0, "nothing stays");
    assert_eq!(bench.told.versions.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_reader_that_cannot_work_is_no_fault_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::over(folder.path(), "sqlite::memory:", Told::default(), |_| {}).await;
    // Gone while the service runs, as on a disk that was taken away.
    std::fs::remove_dir_all(folder.path().join("reading")).unwrap();
    let ended = bench.build("1.0.0", csv(10).as_bytes(), DataFormat::Csv, BuildPlan::default()).await;
    let failed = ended.unwrap_err();
    assert_eq!(failed.code, tonic::Code::Unavailable as i32, "{}", failed.message);
    assert_eq!(runtime::status::reason(&super::told(&failed)).as_deref(), Some("READER_FAILED"));
    assert!(failed.message.starts_with("inputs[0] (sha256:"), "{}", failed.message);
}

#[tokio::test]
async fn a_program_that_is_no_reader_reads_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let here = |config: &mut data_pipeline::Config| config.reader.own_process = false;
    let bench = Bench::over(folder.path(), "sqlite::memory:", Told::default(), here).await;
    let text = csv(10) + "1,2\n";
    let version =
        bench.build("1.0.0", text.as_bytes(), DataFormat::Unspecified, BuildPlan::default()).await.unwrap();
    assert_eq!((version.rows, version.steps[0].rejects), (10, 1));
}
