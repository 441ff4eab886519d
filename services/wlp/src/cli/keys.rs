//! `wlp keys`: API keys and the credentials file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use runtime::credentials::Entry;
use runtime::{Credentials, Kind, generate_key};
use std::io::Write;

use crate::keys::Keyring;

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Makes a key, prints it once and writes its hash to the credentials file.
    Create(Create),
    /// Makes (or shows) the development keys of a data folder; good on loopback only.
    Development {
        /// Folder of the mesh.
        #[arg(long, env = "WLP_DATA_DIR", default_value = "data")]
        data_dir: PathBuf,
    },
}

#[derive(Debug, Args)]
pub struct Create {
    /// Who holds the key.
    #[arg(long)]
    principal: String,
    /// What the holder is.
    #[arg(long, value_enum)]
    kind: Holder,
    /// A role; may be given again.
    #[arg(long = "role", required = true)]
    roles: Vec<String>,
    /// Credentials file that gets the hash.
    #[arg(long, default_value = "data/credentials.toml")]
    file: PathBuf,
    /// When the key ends, RFC 3339.
    #[arg(long)]
    expires: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Holder {
    Person,
    Program,
    Service,
}

impl Keys {
    pub fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Create(create) => create.run()?,
            Self::Development { data_dir } => {
                for (principal, key) in Keyring::development(&data_dir)?.all() {
                    println!("{principal:18} {key}");
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Create {
    fn run(self) -> anyhow::Result<()> {
        let policy = lifecycle::Policy::builtin();
        separate(&self.roles, policy)?;
        let (key, sha256) = generate_key()?;
        let kind = match self.kind {
            Holder::Person => Kind::Person,
            Holder::Program => Kind::Program,
            Holder::Service => Kind::Service,
        };
        let entry = Entry {
            sha256,
            principal: self.principal,
            kind,
            roles: self.roles,
            expires: self.expires,
            development: false,
        };
        Credentials::from_entries(vec![entry.clone()])?; // a bad row is refused before anything is written
        append(&self.file, &entry)?;
        println!("{key}");
        eprintln!("the hash is in {}; the key is shown this once", self.file.display());
        Ok(())
    }
}

/// §12: who grants roles holds none that approves.
fn separate(roles: &[String], policy: &lifecycle::Policy) -> anyhow::Result<()> {
    let known = |role: &String| {
        contracts::access::TABLE.iter().any(|(_, roles)| roles.contains(&role.as_str()))
            || role.parse::<lifecycle::Role>().is_ok()
    };
    if let Some(unknown) = roles.iter().find(|role| !known(role)) {
        anyhow::bail!("{unknown:?} is no role");
    }
    if !roles.iter().any(|role| role == "admin") {
        return Ok(());
    }
    let never = &policy.people.never_with_admin;
    match never.value.iter().find(|role| roles.iter().any(|held| held == role.as_str())) {
        Some(role) => {
            anyhow::bail!("{}: admin together with {role}, required: one or the other", never.clause)
        }
        None => Ok(()),
    }
}

/// Adds a row and leaves the others, their comments and their order as they are.
fn append(path: &Path, entry: &Entry) -> anyhow::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    if !path.exists() {
        return runtime::credentials::save(path, std::slice::from_ref(entry))
            .with_context(|| format!("cannot write {}", path.display()));
    }
    Credentials::load(path)?;
    let folder = tempfile::tempdir()?;
    let row = folder.path().join("row.toml");
    runtime::credentials::save(&row, std::slice::from_ref(entry))?;
    let row = std::fs::read_to_string(row)?;
    let row = row.split_once("[[key]]").map_or("", |(_, row)| row);
    let mut file = std::fs::OpenOptions::new().append(true).open(path)?;
    write!(file, "\n[[key]]{row}").with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(roles: &[&str], file: &Path) -> anyhow::Result<()> {
        let roles = roles.iter().map(|role| (*role).to_owned()).collect();
        let (principal, kind) = ("someone".to_owned(), Holder::Person);
        Create { principal, kind, roles, file: file.to_owned(), expires: None }.run()
    }

    #[test]
    fn a_second_key_leaves_the_first() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("credentials.toml");
        create(&["qa-engineer"], &file).expect("made");
        create(&["ml-engineer", "client"], &file).expect("made");
        Credentials::load(&file).expect("still good");
        let text = std::fs::read_to_string(&file).expect("read");
        assert_eq!(text.matches("[[key]]").count(), 2);
    }

    #[test]
    fn an_admin_never_approves() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let refused = create(&["admin", "qa-engineer"], &folder.path().join("c.toml")).expect_err("refused");
        assert!(refused.to_string().starts_with("§12"), "{refused}");
    }

    #[test]
    fn an_unknown_role_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(create(&["emperor"], &folder.path().join("c.toml")).is_err());
    }
}
