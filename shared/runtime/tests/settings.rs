//! Configuration and credentials: what is wrong is named, and nothing unsafe starts.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use runtime::config::{Access, LogFormat, Peers, Telemetry, load_from};
use runtime::credentials::{Entry, KeyError, save};
use runtime::{Credentials, Kind, generate_key};
use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    limit: u32,
    telemetry: Telemetry,
    access: Access,
    peers: Peers,
}

fn env(pairs: &[(&str, &str)]) -> HashMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let text = "limit = 1\n[telemetry]\nlog = \"json\"\nfilter = \"warn\"\n";
    std::fs::write(folder.path().join("data-pipeline.toml"), text).unwrap();
    let variables = env(&[
        ("WLP_DATA_PIPELINE__TELEMETRY__FILTER", "debug"),
        ("WLP_DATA_PIPELINE__TELEMETRY__SAMPLE_RATIO", "0.5"),
        ("WLP_DATA_PIPELINE__LIMIT", "7"),
        ("WLP_DATA_PIPELINE__PEERS__REGISTRY", "http://there:1"),
        ("WLP_CONFIG_DIR", "/nowhere"),
        ("WLP_REGISTRY__LIMIT", "99"),
    ]);
    let config: Config = load_from("data-pipeline", folder.path(), variables).unwrap();
    assert_eq!((config.limit, config.telemetry.filter.as_str()), (7, "debug"));
    assert_eq!((config.telemetry.log, config.telemetry.sample_ratio), (LogFormat::Json, 0.5));
    assert_eq!(config.peers.registry, "http://there:1");
    assert_eq!(config.peers.monitor, Peers::default().monitor);
    assert!(config.access.credentials.is_empty());
}

#[test]
fn a_wrong_key_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |text: &str, variables: &[(&str, &str)]| {
        std::fs::write(folder.path().join("registry.toml"), text).unwrap();
        load_from::<Config>("registry", folder.path(), env(variables)).unwrap_err().to_string()
    };
    for (text, variables, named) in [
        ("limti = 1", &[][..], "limti"),
        ("[telemetry]\nlgo = \"json\"", &[], "lgo"),
        ("limit = \"many\"", &[], "limit"),
        ("[telemetry]\nlog = \"xml\"", &[], "xml"),
        ("limit = ", &[], "registry.toml"),
        ("", &[("WLP_REGISTRY__ACCESS__KEY", "x")], "key"),
        ("", &[("WLP_REGISTRY__LIMIT", "-")], "limit"),
    ] {
        let error = refused(text, variables);
        assert!(error.contains(named) && error.contains("registry"), "{named}: {error}");
    }
}

fn entry(key_digest: String, development: bool) -> Entry {
    Entry {
        sha256: key_digest,
        principal: "qa-engineer".into(),
        kind: Kind::Person,
        roles: vec!["qa-engineer".into()],
        expires: Some("2030-01-01T00:00:00Z".into()),
        development,
    }
}

#[test]
fn keys_are_known_by_their_digest_until_they_expire_and_the_file_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials.toml");
    let ((first, one), (second, two)) = (generate_key().unwrap(), generate_key().unwrap());
    assert!(first.starts_with("wlp_") && first != second);
    save(&path, &[entry(one, true)]).unwrap();
    let held = Credentials::load(&path).unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    assert_eq!(held.verify(&first, now).unwrap().roles, ["qa-engineer"]);
    assert_eq!(held.verify(&second, now), Err(KeyError::Unknown));
    assert_eq!(held.verify(&first, now + Duration::from_hours(10 * 365 * 24)), Err(KeyError::Expired));

    save(&path, &[entry(two, false)]).unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(held.verify(&first, now), Err(KeyError::Unknown));
    assert!(held.verify(&second, now).is_ok());
    std::fs::write(&path, "[[key]]\nsha256 = \"short\"").unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    assert!(held.verify(&second, now).is_ok(), "a file that went bad keeps the last good rows");
    assert!(Credentials::load(&path).is_err());
}

#[test]
fn an_address_that_others_reach_needs_real_credentials() {
    let open = "0.0.0.0:9001".parse().unwrap();
    let loopback = "127.0.0.1:9001".parse().unwrap();
    let digest = || generate_key().unwrap().1;
    let made = |development| Credentials::from_entries(vec![entry(digest(), development)]).unwrap();
    assert!(Credentials::none().fit_for(loopback).is_ok() && made(true).fit_for(loopback).is_ok());
    assert!(made(true).fit_for("[::1]:1".parse().unwrap()).is_ok());
    assert!(made(false).fit_for(open).is_ok());
    let refused = made(true).fit_for(open).unwrap_err().to_string();
    assert!(refused.contains("development keys"), "{refused}");
    assert!(Credentials::none().fit_for(open).is_err());
}

/// The file is a pipe whose writer takes its time: one call reads it, and no other one waits.
#[cfg(unix)]
#[test]
fn no_call_waits_for_one_that_reads_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials.toml");
    let ((first, one), (second, two)) = (generate_key().unwrap(), generate_key().unwrap());
    save(&path, &[entry(two, false)]).unwrap();
    let later = std::fs::read_to_string(&path).unwrap();
    save(&path, &[entry(one, false)]).unwrap();
    let held = Credentials::load(&path).unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    std::fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    std::thread::sleep(Duration::from_millis(1100));

    let (answered, answers) = std::sync::mpsc::channel();
    for _ in 0..4 {
        let (held, key, answered) = (held.clone(), first.clone(), answered.clone());
        std::thread::spawn(move || {
            let known = held.verify(&key, now).is_ok();
            let _ = answered.send(known);
        });
    }
    for _ in 0..3 {
        assert_eq!(answers.recv_timeout(Duration::from_secs(10)), Ok(true), "three do not read");
    }
    assert!(answers.recv_timeout(Duration::from_millis(100)).is_err(), "the fourth does");
    std::fs::write(&path, later).unwrap();
    assert_eq!(answers.recv_timeout(Duration::from_secs(10)), Ok(false), "the fourth goes by what it read");
    std::fs::remove_file(&path).unwrap();
    assert!(held.verify(&second, now).is_ok() && held.verify(&first, now) == Err(KeyError::Unknown));
}
