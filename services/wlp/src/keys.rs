//! Development credentials: one key for each role of the procedure and for each service, made once for a data folder.
//!
//! They are marked as development keys, so that every service refuses to listen with them where others can reach it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use anyhow::Context;
use runtime::credentials::digest_of;
use runtime::credentials::{Entry as Row, save};
use runtime::{Credentials, Kind, generate_key};

/// Principals that act in the procedure: each holds the role it is named after (ARCHITECTURE, reading 9).
const PEOPLE: [&str; 17] = [
    "ml-lead",
    "ml-engineer",
    "data-engineer",
    "ml-ops-engineer",
    "qa-engineer",
    "ethics-reviewer",
    "data-owner",
    "legal",
    "procurement",
    "security",
    "developer",
    "on-call",
    "ethics-board",
    "qa-lead",
    "chief-ai-officer",
    "business-owner",
    "auditor",
];

/// People with two roles, as small teams have them: what one of them made, the same one never approves.
const OF_TWO_ROLES: [(&str, [&str; 2]); 2] = [
    ("engineer-and-lead", ["ml-engineer", "ml-lead"]),
    ("engineer-and-tester", ["ml-engineer", "qa-engineer"]),
];

/// The services, which call each other with keys of their own.
pub const SERVICES: [&str; 5] = ["registry", "data-pipeline", "evaluator", "gateway", "monitor"];

/// API keys by principal, and the rows by which services know them.
#[derive(Debug, Clone)]
pub struct Keyring {
    keys: BTreeMap<String, String>,
    credentials: Credentials,
}

/// Who gets a development key: principal, kind, roles.
fn principals() -> Vec<(String, Kind, Vec<String>)> {
    let one = |name: &str, kind, role: &str| (name.to_owned(), kind, vec![role.to_owned()]);
    let mut all: Vec<_> = PEOPLE.iter().map(|name| one(name, Kind::Person, name)).collect();
    all.extend(["ethics-board-2", "ethics-board-3"].map(|name| one(name, Kind::Person, "ethics-board")));
    all.extend(
        OF_TWO_ROLES.map(|(name, roles)| (name.to_owned(), Kind::Person, roles.map(str::to_owned).into())),
    );
    all.push(one("admin", Kind::Person, "admin"));
    all.push(one("client", Kind::Program, "client"));
    all.extend(SERVICES.map(|name| one(name, Kind::Service, name)));
    all
}

impl Keyring {
    /// New keys that are kept nowhere, for a mesh in memory.
    ///
    /// # Errors
    /// If the system has no randomness to give.
    pub fn generate() -> anyhow::Result<Self> {
        let keys = complete(BTreeMap::new())?;
        let entries = rows(&keys);
        Ok(Self { keys, credentials: Credentials::from_entries(entries)? })
    }

    /// The development keys of a data folder; made at the first call: hashes in `credentials.toml`, the keys themselves in
    /// `keys.json` (both for their owner only). Keys that are missing in the second are added, and the first follows from
    /// it, so that a start that was cut off between the two is made good by the next.
    ///
    /// # Errors
    /// Of the file system, or if there are hashes without keys: those are real credentials.
    pub fn development(data_dir: &Path) -> anyhow::Result<Self> {
        let (hashes, secrets) = files(data_dir);
        std::fs::create_dir_all(data_dir).with_context(|| format!("cannot make {}", data_dir.display()))?;
        let known = if secrets.exists() {
            let text =
                std::fs::read(&secrets).with_context(|| format!("cannot read {}", secrets.display()))?;
            serde_json::from_slice(&text).with_context(|| format!("{}", secrets.display()))?
        } else {
            anyhow::ensure!(
                !hashes.exists(),
                "{} exists without {}: these are real credentials, not development ones",
                hashes.display(),
                secrets.display()
            );
            BTreeMap::new()
        };
        let keys = complete(known.clone())?;
        if keys != known {
            write_secret(&secrets, &serde_json::to_vec_pretty(&keys)?)?;
        }
        if keys != known || !hashes.exists() {
            save(&hashes, &rows(&keys)).with_context(|| format!("cannot write {}", hashes.display()))?;
        }
        Ok(Self { keys, credentials: Credentials::load(&hashes)? })
    }

    /// Real credentials, and a JSON file `{"registry": "wlp_…", …}` with the keys by which the services call each other.
    ///
    /// # Errors
    /// If a file cannot be read or a service has no key.
    pub fn real(credentials: &Path, service_keys: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read(service_keys).with_context(|| format!("cannot read {}", service_keys.display()))?;
        let keys: BTreeMap<String, String> =
            serde_json::from_slice(&text).with_context(|| format!("{}", service_keys.display()))?;
        if let Some(missing) = SERVICES.iter().find(|name| !keys.contains_key(**name)) {
            anyhow::bail!("{}: no key of the {missing}", service_keys.display());
        }
        Ok(Self { keys, credentials: Credentials::load(credentials)? })
    }

    /// The key of a principal.
    ///
    /// # Errors
    /// If nobody of that name has one.
    pub fn key(&self, principal: &str) -> anyhow::Result<&str> {
        self.keys
            .get(principal)
            .map(String::as_str)
            .with_context(|| format!("{principal} has no development key"))
    }

    /// What the services check against.
    pub fn credentials(&self) -> Credentials {
        self.credentials.clone()
    }

    /// Every principal with its key.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.keys.iter().map(|(principal, key)| (principal.as_str(), key.as_str()))
    }
}

/// The two files of a data folder: hashes, secrets.
pub fn files(data_dir: &Path) -> (PathBuf, PathBuf) {
    (data_dir.join("credentials.toml"), data_dir.join("keys.json"))
}

/// A key for everybody who has none.
fn complete(mut keys: BTreeMap<String, String>) -> anyhow::Result<BTreeMap<String, String>> {
    for (principal, ..) in principals() {
        if let Entry::Vacant(place) = keys.entry(principal) {
            place.insert(generate_key()?.0);
        }
    }
    Ok(keys)
}

/// The rows by which services know the development keys.
fn rows(keys: &BTreeMap<String, String>) -> Vec<Row> {
    let row = |(principal, kind, roles): (String, Kind, Vec<String>)| {
        let sha256 = digest_of(keys.get(&principal)?);
        Some(Row { sha256, principal, kind, roles, expires: None, development: true })
    };
    principals().into_iter().filter_map(row).collect()
}

/// Writes a file that only its owner reads, whole or not at all.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let draft = path.with_extension("draft");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&draft).and_then(|mut file| std::io::Write::write_all(&mut file, bytes));
    written
        .and_then(|()| std::fs::rename(&draft, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn each_role_of_the_access_table_has_a_holder() {
        let held: Vec<String> = principals().into_iter().flat_map(|(_, _, roles)| roles).collect();
        for (method, roles) in contracts::access::TABLE {
            for role in *roles {
                let known = ["*", "public"].contains(role) || held.iter().any(|one| one == role);
                assert!(known, "{method}: nobody holds {role}");
            }
        }
    }

    #[test]
    fn the_same_folder_keeps_the_same_keys() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let first = Keyring::development(folder.path()).expect("made");
        let again = Keyring::development(folder.path()).expect("read");
        let key = first.key("qa-engineer").expect("there");
        assert_eq!(again.key("qa-engineer").expect("there"), key);
        let caller = again.credentials().verify(key, SystemTime::UNIX_EPOCH).expect("known");
        assert_eq!(
            (caller.principal.as_str(), caller.roles),
            ("qa-engineer", vec!["qa-engineer".to_owned()])
        );
    }

    #[test]
    fn a_start_that_was_cut_off_between_the_two_files_is_made_good() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let first = Keyring::development(folder.path()).expect("made");
        std::fs::remove_file(files(folder.path()).0).expect("removed");
        let again = Keyring::development(folder.path()).expect("made good");
        let key = first.key("monitor").expect("there");
        assert_eq!(again.key("monitor").expect("there"), key);
        again.credentials().verify(key, SystemTime::UNIX_EPOCH).expect("known again");
    }

    #[test]
    fn a_folder_of_an_earlier_release_gets_the_keys_that_it_lacks() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let first = Keyring::development(folder.path()).expect("made");
        let mut fewer = first.keys.clone();
        fewer.remove("engineer-and-tester");
        write_secret(&files(folder.path()).1, &serde_json::to_vec(&fewer).expect("json")).expect("written");
        let again = Keyring::development(folder.path()).expect("completed");
        let key = again.key("engineer-and-tester").expect("there").to_owned();
        let caller = again.credentials().verify(&key, SystemTime::UNIX_EPOCH).expect("known");
        assert_eq!(caller.roles, ["ml-engineer", "qa-engineer"]);
        assert_eq!(again.key("qa-engineer").expect("there"), first.key("qa-engineer").expect("there"));
    }

    #[test]
    fn real_credentials_are_never_taken_for_development_ones() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(files(folder.path()).0, "").expect("written");
        let refused = Keyring::development(folder.path()).expect_err("refused").to_string();
        assert!(refused.contains("real credentials"), "{refused}");
    }

    #[test]
    fn development_keys_are_refused_where_others_can_reach() {
        let keys = Keyring::generate().expect("made");
        let open = "0.0.0.0:9001".parse().expect("an address");
        assert!(keys.credentials().fit_for(open).is_err());
    }
}
