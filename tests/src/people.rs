//! Who calls: one principal for each role, with a key of its own. No person is meant by any of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use runtime::credentials::Entry;
use runtime::{Credentials, Kind, generate_key};

/// The five, as callers of each other.
pub const SERVICES: [&str; 5] = ["registry", "data-pipeline", "evaluator", "gateway", "monitor"];
/// Holders of a role beside its first one: a second member of the board, another engineer.
const SECOND: [&str; 5] = ["ethics-board", "qa-engineer", "ml-engineer", "ml-ops-engineer", "client"];

/// Keys of all principals. A principal is named as its role; a second holder has `-2` behind.
#[derive(Debug, Clone)]
pub struct People {
    keys: BTreeMap<String, String>,
    entries: Vec<Entry>,
}

impl People {
    /// One for each role of the method table, `engineer-of-both` who develops and tests, `nobody`
    /// without a role, `expired` whose time is over.
    ///
    /// # Panics
    /// If the system has no randomness to give.
    pub fn new() -> Self {
        let mut people = Self { keys: BTreeMap::new(), entries: Vec::new() };
        for role in roles() {
            people.add(role, &[role], None);
        }
        for role in SECOND {
            people.add(&format!("{role}-2"), &[role], None);
        }
        people.add("engineer-of-both", &["ml-engineer", "qa-engineer"], None);
        people.add("nobody", &[], None);
        people.add("expired", &["ml-lead"], Some("2020-01-01T00:00:00Z"));
        people
    }

    fn add(&mut self, principal: &str, roles: &[&str], expires: Option<&str>) {
        let (key, sha256) = generate_key().expect("randomness");
        let kind = match principal {
            service if SERVICES.contains(&service) => Kind::Service,
            "client" | "client-2" => Kind::Program,
            _ => Kind::Person,
        };
        self.keys.insert(principal.to_owned(), key);
        self.entries.push(Entry {
            sha256,
            principal: principal.to_owned(),
            kind,
            roles: roles.iter().map(|&role| role.to_owned()).collect(),
            expires: expires.map(str::to_owned),
            development: false,
        });
    }

    /// Keys that somebody else made, as `(principal, key)`.
    pub fn with_keys<'a>(keys: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let keys = keys.into_iter().map(|(who, key)| (who.to_owned(), key.to_owned())).collect();
        Self { keys, entries: Vec::new() }
    }

    /// The key of a principal; empty for "", who calls without one.
    ///
    /// # Panics
    /// If there is no such principal.
    pub fn key(&self, who: &str) -> &str {
        if who.is_empty() {
            return "";
        }
        self.keys.get(who).unwrap_or_else(|| panic!("there is no principal {who}"))
    }

    /// The rows of the credentials file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What services check keys against.
    ///
    /// # Panics
    /// Never: the rows are made here.
    pub fn credentials(&self) -> Credentials {
        Credentials::from_entries(self.entries.clone()).expect("rows that are right")
    }

    /// Writes the credentials file.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn save(&self, path: &Path) {
        runtime::credentials::save(path, &self.entries).expect("a credentials file");
    }
}

impl Default for People {
    fn default() -> Self {
        Self::new()
    }
}

/// Every role that stands in the method table.
pub fn roles() -> BTreeSet<&'static str> {
    let named = contracts::access::TABLE.iter().flat_map(|(_, roles)| roles.iter().copied());
    named.filter(|role| !["*", "public"].contains(role)).chain(SERVICES).chain(["admin"]).collect()
}
