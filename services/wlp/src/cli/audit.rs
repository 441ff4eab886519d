//! `wlp audit`: the log as a file, and its offline check.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Subcommand};
use contracts::registry::v1::audit_service_client::AuditServiceClient;
use contracts::registry::v1::{GetTreeHeadRequest, TreeHead};
use runtime::Peer;
use storage::audit::verify_records;
use storage::entity::record;
use storage::sea_orm::EntityTrait;
use storage::{Logged, Record, Records, SignedHead, Signer};

use super::Caller;
use crate::audit_export::{self, export};
use crate::audit_file::{self, AuditFile};
use crate::reach::To;

/// Entries and records read at a time.
const BATCH: u64 = 500;

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Writes the log of a running registry, or of a database, as JSON lines.
    Export(Export),
    /// Prints the public key that a running registry shows, as PEM: what `--key` pins. Take it once, where it can be trusted.
    Key(Key),
    /// Prints the newest signed head of a running registry: kept elsewhere, it is what `--head` holds a later log against.
    Head(Key),
    /// Checks a log: every entry, hash, head and signature; names the first bad entry and exits with 1.
    Verify(Verify),
}

#[derive(Debug, Args)]
pub struct Export {
    /// File to write; without it, standard output.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(flatten)]
    from: Tables,
    #[command(flatten)]
    caller: Caller,
}

#[derive(Debug, Args)]
pub struct Key {
    #[command(flatten)]
    caller: Caller,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// File that `wlp audit export` wrote.
    #[arg(required_unless_present = "database")]
    file: Option<PathBuf>,
    #[command(flatten)]
    from: Tables,
    /// File that `wlp audit head` wrote earlier; may be given several times. A log without its last entries is whole to
    /// itself: only a head that was kept elsewhere tells.
    #[arg(long)]
    head: Vec<PathBuf>,
}

#[derive(Debug, Args)]
struct Tables {
    /// Reads the tables themselves, `sqlite://data/registry/registry.db` or `postgres://…`; verify then checks the records too.
    /// It needs to be writable (SQLite keeps its journal beside it); nothing is written.
    #[arg(long)]
    database: Option<String>,
    /// PEM file of the public key that must have signed. Pin it: a file's own key proves only that the file is whole.
    #[arg(long)]
    key: Option<PathBuf>,
}

impl Tables {
    fn pinned(&self) -> anyhow::Result<Option<String>> {
        let read = |path: &PathBuf| {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        self.key.as_ref().map(read).transpose()
    }

    /// The log of the tables, all of it.
    async fn open(&self, url: &str) -> anyhow::Result<(Records, Vec<Logged>)> {
        let db = storage::connect(url).await?;
        // Nothing is signed while reading: the key is one for the moment.
        let records = Records::open(db, Arc::new(Signer::generate()?)).await?;
        let mut all: Vec<Logged> = Vec::new();
        loop {
            let next = all.last().map_or(0, |last| last.sequence + 1);
            let batch = records.audit().read(next, BATCH).await?;
            if batch.is_empty() {
                return Ok((records, all));
            }
            all.extend(batch);
        }
    }
}

impl Audit {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Export(export) => export.run().await,
            Self::Key(Key { caller }) => {
                print!("{}", newest(&caller).await?.public_key_pem);
                Ok(ExitCode::SUCCESS)
            }
            Self::Head(Key { caller }) => {
                let head = audit_export::head(&newest(&caller).await?)?;
                audit_file::write_head(&mut std::io::stdout().lock(), &head)?;
                Ok(ExitCode::SUCCESS)
            }
            Self::Verify(verify) => verify.run().await,
        }
    }
}

async fn newest(caller: &Caller) -> anyhow::Result<TreeHead> {
    let mut audit = AuditServiceClient::new(caller.peer(To::Registry, "auditor")?);
    Ok(audit.get_tree_head(GetTreeHeadRequest::default()).await?.into_inner())
}

impl Export {
    async fn run(self) -> anyhow::Result<ExitCode> {
        let (entries, key) = if let Some(url) = &self.from.database {
            let needed = "--database needs --key: the tables do not hold the public key";
            let key = self.from.pinned()?.context(needed)?;
            (self.from.open(url).await?.1, key)
        } else {
            let peer: Peer = self.caller.peer(To::Registry, "auditor")?;
            let exported = export(&mut AuditServiceClient::new(peer)).await?;
            let key = self.from.pinned()?.unwrap_or(exported.public_key);
            (exported.entries, key)
        };
        let mut out: Box<dyn Write> = match &self.out {
            Some(path) => {
                Box::new(File::create(path).with_context(|| format!("cannot write {}", path.display()))?)
            }
            None => Box::new(std::io::stdout().lock()),
        };
        audit_file::write(&mut BufWriter::new(&mut out), &key, &entries)?;
        eprintln!("{} entries", entries.len());
        Ok(ExitCode::SUCCESS)
    }
}

impl Verify {
    fn trusted(&self) -> anyhow::Result<Vec<SignedHead>> {
        let read = |path: &PathBuf| {
            let text = std::fs::read_to_string(path)?;
            audit_file::read_head(&text)
        };
        self.head.iter().map(|path| read(path).with_context(|| format!("head {}", path.display()))).collect()
    }

    async fn run(self) -> anyhow::Result<ExitCode> {
        let pinned = self.from.pinned()?;
        let mut trusted = self.trusted()?;
        let verified = match (&self.from.database, &self.file) {
            (Some(url), _) => {
                let key = pinned.context("--database needs --key: the tables do not hold the public key")?;
                let (records, entries) = self.from.open(url).await?;
                // entries that were cut off leave their heads behind
                trusted.extend(records.audit().head().await?);
                let verified = AuditFile { public_key: key, entries }.verify(None, &trusted)?;
                let rows = record::Entity::find().all(records.database().connection()).await?;
                let rows: Vec<Record> = rows.into_iter().map(Record::from).collect();
                let count = rows.len();
                verify_records(&verified, rows)?;
                println!("{count} records are as the log says");
                verified
            }
            (None, Some(path)) => {
                let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
                let file = audit_file::read(BufReader::new(file))?;
                if pinned.is_none() {
                    eprintln!("checked with the file's own key; pin the registry's with --key");
                }
                file.verify(pinned.as_deref(), &trusted)?
            }
            (None, None) => anyhow::bail!("give a file or --database"),
        };
        println!("{} entries hold, root {}", verified.size, hex::encode(verified.root));
        Ok(ExitCode::SUCCESS)
    }
}
