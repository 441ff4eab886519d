//! What a version is published with: its data card as a page, and its Croissant description.

use std::sync::atomic::Ordering;

use super::*;
use contracts::registry::v1::dataset_version::State;

#[tokio::test]
async fn a_card_is_a_page_too_and_says_what_the_records_say() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    bench.told.noted.store(true, Ordering::Relaxed);
    let version = bench.build("1.0.0", csv(400).as_bytes(), DataFormat::Csv, plan()).await.unwrap();
    assert_eq!((version.data_card_missing.len(), version.state()), (0, State::Draft));
    let mut reader = DatasetReadServiceClient::new(bench.peer());
    let card = reader.get_data_card(GetDataCardRequest { name: NAME.into() }).await.unwrap().into_inner();
    assert!(card.missing_sections.is_empty());
    assert_eq!(card.html.matches("<section id=").count(), 8);
    assert!(card.html.starts_with("<!doctype html>") && !card.html.contains("<script"));
    for said in ["rows | of &lt;numbers&gt;", "nobody is in it", "cohort=first", "&lt; 0.05"] {
        assert!(card.html.contains(said), "{said}");
    }
}

#[tokio::test]
async fn a_croissant_names_the_files_as_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    bench.told.noted.store(true, Ordering::Relaxed);
    let version = bench.build("1.0.0", csv(400).as_bytes(), DataFormat::Csv, plan()).await.unwrap();
    let mut reader = DatasetReadServiceClient::new(bench.peer());
    let asked = GetCroissantRequest { name: NAME.into(), url: "https://data.example/d".into() };
    let told = reader.get_croissant(asked).await.unwrap().into_inner();
    assert_eq!(told.digest, storage::Digest::of(told.json.as_bytes()).to_string());
    let read: serde_json::Value = serde_json::from_str(&told.json).unwrap();
    assert_eq!(read["version"], "1.0.0");
    for (at, split) in version.splits.iter().enumerate() {
        let file = &read["distribution"][at];
        assert_eq!(file["contentUrl"], format!("https://data.example/d/{}.parquet", split.split));
        let bytes = super::read(&bench, &split.split, DataFormat::Unspecified).await;
        let digest = storage::Digest::of(&bytes).to_string();
        assert_eq!(file["sha256"], digest.trim_start_matches("sha256:"));
        assert_eq!(file["contentSize"], format!("{} B", bytes.len()));
    }
    let bad = GetCroissantRequest { name: NAME.into(), url: "javascript:alert(1)".into() };
    let refused = reader.get_croissant(bad).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    assert!(refused.message().contains("url"), "{}", refused.message());
}

#[tokio::test]
async fn a_version_with_an_empty_section_is_not_described() {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::start(folder.path()).await;
    let version = bench.build("1.0.0", csv(400).as_bytes(), DataFormat::Csv, plan()).await.unwrap();
    assert_eq!(version.data_card_missing, ["ethical-review", "maintenance"], "the registry is told");
    let asked = GetCroissantRequest { name: NAME.into(), url: String::new() };
    let refused = DatasetReadServiceClient::new(bench.peer()).get_croissant(asked).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    assert!(refused.message().contains("ethical-review, maintenance"), "{}", refused.message());
}
