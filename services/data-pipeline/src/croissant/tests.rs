//! The description from records. That another tool reads it is shown by the Python tests; here is what must stand in it.

use serde_json::Value;

use super::*;
use crate::fixture::{Fixture, HOSTILE, complete};

fn made(fixture: &Fixture, url: &str) -> Value {
    let Fixture { dataset, sources, version, .. } = fixture;
    let text = write(&Facts { dataset, sources, version, url });
    if let Some(folder) = std::env::var_os("WLP_TEST_OUT") {
        std::fs::write(std::path::Path::new(&folder).join("croissant.json"), &text).expect("a file");
    }
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn what_the_specification_requires_is_there() {
    let made = made(&complete(), "");
    for name in [
        "@context",
        "@type",
        "conformsTo",
        "description",
        "license",
        "name",
        "url",
        "creator",
        "datePublished",
    ] {
        assert!(!is_nothing(&made[name]), "{name}");
    }
    assert_eq!(made["conformsTo"][0], "http://mlcommons.org/croissant/1.1");
    assert_eq!(made["version"], "1.2.0");
    assert_eq!(made["datePublished"], "2026-04-05T06:07:08Z");
    assert_eq!(made["license"], serde_json::json!(["https://spdx.org/licenses/CC-BY-4.0.html"]));
    assert_eq!(made["url"], "https://archive.ics.uci.edu/dataset/2/adult");
    let files = made["distribution"].as_array().expect("files");
    assert_eq!(files.len(), 3);
    assert_eq!(files[0]["contentUrl"], "train.parquet");
    assert_eq!(files[0]["sha256"], "a".repeat(64));
    assert_eq!(files[0]["contentSize"], "706552 B");
}

#[test]
fn every_field_names_its_file_and_column_and_every_id_is_its_own() {
    let mut fixture = complete();
    fixture.version.columns[1].name = "split".into();
    let made = made(&fixture, "");
    let sets = made["recordSet"].as_array().expect("record sets");
    assert_eq!(sets.len(), 4, "the splits, and one for each split");
    assert_eq!(sets[0]["dataType"], "cr:Split");
    let mut ids = std::collections::BTreeSet::new();
    for set in sets {
        for field in set["field"].as_array().expect("fields") {
            let id = field["@id"].as_str().expect("an id");
            assert!(ids.insert(id.to_owned()), "{id} stands twice");
            assert!(
                id.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"{}|\\^`".contains(&byte)),
                "{id}"
            );
        }
    }
    let train = sets[1]["field"].as_array().expect("fields");
    assert_eq!(train.len(), 1 + fixture.version.columns.len());
    assert_eq!(train[0]["@id"], "train/_split");
    assert_eq!(train[2]["source"]["extract"]["column"], "split");
    assert_eq!(train[6]["source"]["extract"]["column"], HOSTILE);
    assert_eq!(train[8]["dataType"], serde_json::json!(["sc:Text", "cr:Label"]));
    assert_eq!(sets[1]["key"], serde_json::json!([{ "@id": "train/id" }]));
}

#[test]
fn what_has_no_record_is_left_out() {
    let mut fixture = complete();
    fixture.sources[0].license.clear();
    fixture.sources[0].origin = "a cupboard".into();
    fixture.sources[0].considerations.clear();
    fixture.version.group_shares.clear();
    fixture.version.relevance_note.clear();
    let made = made(&fixture, "");
    for name in ["license", "rai:dataBiases", "rai:dataUseCases", "rai:dataLimitations"] {
        assert!(made.get(name).is_none(), "{name}");
    }
    // 32 bytes of 0xdd are 43 letters without padding.
    assert_eq!(made["url"], format!("ni:///sha-256;{}0", "3d".repeat(21)));
    assert_eq!(made["isBasedOn"][0]["description"], "a cupboard");
}

#[test]
fn files_lie_where_the_caller_says() {
    let made = made(&complete(), "https://data.example/census/");
    assert_eq!(made["url"], "https://data.example/census/");
    assert_eq!(made["distribution"][1]["contentUrl"], "https://data.example/census/validation.parquet");
}

#[test]
fn an_address_is_one_on_the_web() {
    for good in ["http://a", "https://a.example/b?c=d#e"] {
        assert!(is_web(good), "{good}");
    }
    for bad in [
        "",
        "a",
        "ftp://a",
        "https://",
        "javascript:alert(1)",
        "https://a b",
        "https://a\"><script>",
        "file:///a",
    ] {
        assert!(!is_web(bad), "{bad}");
    }
}

#[test]
fn a_licence_that_no_list_knows_is_told_by_its_name() {
    let mut fixture = complete();
    fixture.sources.push(fixture.sources[0].clone());
    fixture.sources[1].license = "ours, see contract 7".into();
    let made = made(&fixture, "");
    assert_eq!(made["license"][1]["name"], "ours, see contract 7");
}
