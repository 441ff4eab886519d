//! What a service does not start with.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tests::processes::binaries;
use wlp::reach::To;

/// Runs a service that is expected to refuse to start.
fn refused(to: To, settings: &[(&str, &str)]) -> Option<Output> {
    let folder = tempfile::tempdir().expect("a folder");
    let prefix = format!("WLP_{}__", to.name().to_uppercase().replace('-', "_"));
    let mut command = Command::new(binaries()?.join(to.name()));
    command
        .current_dir(folder.path())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.env("WLP_CONFIG_DIR", folder.path());
    command.env(format!("{prefix}DATA_DIR"), folder.path());
    command.env(format!("{prefix}DATABASE__URL"), "sqlite::memory:");
    command.env(format!("{prefix}METRICS_LISTEN"), "");
    for (key, value) in settings {
        command.env(format!("{prefix}{key}"), value);
    }
    let mut child = command.spawn().expect("a process");
    let begun = Instant::now();
    while child.try_wait().expect("a status").is_none() {
        if Duration::from_secs(20) < begun.elapsed() {
            child.kill().expect("killed");
            panic!("{} serves with {settings:?}", to.name());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Some(child.wait_with_output().expect("its output"))
}

#[test]
fn an_address_that_others_can_reach_needs_real_credentials() {
    for to in To::ALL {
        let Some(output) = refused(to, &[("LISTEN", "0.0.0.0:0")]) else { return };
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains("credentials"), "{}: {text}", to.name());
    }
    let folder = tempfile::tempdir().expect("a folder");
    wlp::keys::Keyring::development(folder.path()).expect("development keys");
    let path = folder.path().join("credentials.toml").display().to_string();
    for to in To::ALL {
        let Some(output) = refused(to, &[("LISTEN", "0.0.0.0:0"), ("ACCESS__CREDENTIALS", &path)]) else {
            return;
        };
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.contains("development"), "{}: {text}", to.name());
    }
}

#[test]
fn a_setting_that_does_not_exist_is_named() {
    for to in To::ALL {
        let Some(output) = refused(to, &[("TELEMETRY__FORMAT", "json")]) else { return };
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && text.to_lowercase().contains("format"), "{}: {text}", to.name());
    }
}
