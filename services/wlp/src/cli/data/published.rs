//! `wlp data card` and `wlp data croissant`: what a dataset version of a mesh is published with.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use contracts::pipeline::v1::dataset_read_service_client::DatasetReadServiceClient;
use contracts::pipeline::v1::{GetCroissantRequest, GetDataCardRequest, ReadSplitRequest};
use runtime::Peer;
use sha2::{Digest as _, Sha256};

use super::super::Caller;
use super::print;
use crate::reach::To;

/// Messages of this size are taken: a card with many plots.
const MESSAGE_BYTES: usize = 32 << 20;

/// Prints the data card of a dataset version as Markdown, or writes it as a page for the browser.
///
/// Exits with 2 if a section lacks its facts: such a version is not released.
#[derive(Debug, Args)]
pub struct Card {
    /// `datasets/digits/versions/1.0.0`
    version: String,
    /// Writes the page here in place of printing: one file, without scripts and outside resources.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    caller: Caller,
}

impl Card {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let mut reader = reader(&self.caller, "auditor")?;
        let request = GetDataCardRequest { name: self.version.clone() };
        let card = reader.get_data_card(request).await?.into_inner();
        match &self.html {
            None => print(&card.markdown)?,
            Some(_) if card.html.is_empty() => anyhow::bail!(
                "{} was built before cards were pages: build it again, or leave --html out",
                self.version
            ),
            Some(path) => {
                write(path, |file| file.write_all(card.html.as_bytes()))?;
                print(&format!("written: {}\n", path.display()))?;
            }
        }
        if card.missing_sections.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        eprintln!("wlp: nothing is recorded for {}", card.missing_sections.join(", "));
        Ok(ExitCode::from(2))
    }
}

/// Describes a dataset version in Croissant 1.1, for tools that find, check and load datasets.
///
/// Prints the description, or writes it with its files into a folder, from which `mlcroissant` loads the rows.
#[derive(Debug, Args)]
pub struct Croissant {
    /// `datasets/digits/versions/1.0.0`
    version: String,
    /// Folder for `croissant.json` and the Parquet files that it names.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Where the files will lie, as https://data.example/digits; without it, beside the description.
    #[arg(long, default_value = "", hide_default_value = true)]
    url: String,
    #[command(flatten)]
    caller: Caller,
}

impl Croissant {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let mut reader = reader(&self.caller, "data-engineer")?;
        let request = GetCroissantRequest { name: self.version.clone(), url: self.url };
        let told = reader.get_croissant(request).await?.into_inner();
        let Some(folder) = &self.out else {
            print(&told.json)?;
            return Ok(ExitCode::SUCCESS);
        };
        std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let description: serde_json::Value = serde_json::from_str(&told.json)?;
        let mut written = String::new();
        for split in ["train", "validation", "test"] {
            let name = format!("{split}.parquet");
            let files = description["distribution"].as_array().into_iter().flatten();
            let Some(file) = files.into_iter().find(|file| file["@id"] == name.as_str()) else { continue };
            let digest = fetch(&mut reader, &self.version, split, &folder.join(&name)).await?;
            anyhow::ensure!(file["sha256"] == digest.as_str(), "{name} is not the file that is described");
            written.push_str(&format!("written: {}\n", folder.join(&name).display()));
        }
        // Last, so that a description stands only beside its files.
        let path = folder.join("croissant.json");
        write(&path, |file| file.write_all(told.json.as_bytes()))?;
        print(&format!("{written}written: {}\n", path.display()))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn reader(caller: &Caller, principal: &str) -> anyhow::Result<DatasetReadServiceClient<Peer>> {
    let peer = caller.peer(To::DataPipeline, principal)?;
    Ok(DatasetReadServiceClient::new(peer).max_decoding_message_size(MESSAGE_BYTES))
}

/// Writes a split as a file and gives its SHA-256.
async fn fetch(
    reader: &mut DatasetReadServiceClient<Peer>,
    version: &str,
    split: &str,
    path: &Path,
) -> anyhow::Result<String> {
    let request = ReadSplitRequest { name: version.into(), split: split.into(), ..Default::default() };
    let mut pieces = reader.read_split(request).await?.into_inner();
    let mut file = beside(path)?;
    let mut digest = Sha256::new();
    while let Some(piece) = pieces.message().await? {
        digest.update(&piece.chunk);
        file.write_all(&piece.chunk).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    file.persist(path).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(hex::encode(digest.finalize()))
}

/// Writes a file as a whole or not at all.
fn write(
    path: &Path,
    put: impl FnOnce(&mut tempfile::NamedTempFile) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    let mut file = beside(path)?;
    put(&mut file).with_context(|| format!("{} cannot be written", path.display()))?;
    file.persist(path).with_context(|| format!("{} cannot be written", path.display()))?;
    Ok(())
}

/// A file without a name in the folder of `path`.
fn beside(path: &Path) -> anyhow::Result<tempfile::NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    tempfile::NamedTempFile::new_in(folder).with_context(|| format!("{} cannot be written", path.display()))
}
