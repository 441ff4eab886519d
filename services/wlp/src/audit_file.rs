//! The audit log as a file: JSON lines that can be checked without the mesh.
//!
//! The first line names the format and the public key; each other line is one entry: its sequence number, its canonical
//! bytes in base64, the signed head after it, and the note kept beside it, where it has one.

use std::io::{BufRead, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use storage::audit::{Verified, VerifyingKey, public_key_from_pem, verify};
use storage::{Logged, SignedHead};

/// Name of the format, in the first line.
const FORMAT: &str = "wlp-audit-v1";

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct First {
    format: String,
    public_key: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    sequence: u64,
    entry: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<Head>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    note: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    size: u64,
    root: String,
    time_us: u64,
    signature: String,
}

/// A log that was read from a file, with the key that the file names.
pub struct AuditFile {
    /// PEM of the first line: pin another with `--key` where the file itself is not trusted.
    pub public_key: String,
    /// Entries as they stand.
    pub entries: Vec<Logged>,
}

/// Writes entries as they are.
///
/// # Errors
/// Of the writer.
pub fn write(out: &mut impl Write, public_key: &str, entries: &[Logged]) -> anyhow::Result<()> {
    let first = First { format: FORMAT.into(), public_key: public_key.to_owned() };
    writeln!(out, "{}", serde_json::to_string(&first)?)?;
    for logged in entries {
        let line = Line {
            sequence: logged.sequence,
            entry: STANDARD.encode(&logged.bytes),
            head: logged.head.as_ref().map(head),
            note: STANDARD.encode(&logged.note),
        };
        writeln!(out, "{}", serde_json::to_string(&line)?)?;
    }
    Ok(out.flush()?)
}

fn head(head: &SignedHead) -> Head {
    let time_us = head.time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
    let (root, signature) = (hex::encode(head.root), STANDARD.encode(head.signature));
    Head { size: head.size, root, time_us, signature }
}

/// Writes a head, to be kept elsewhere than the log: a log that lost its end does not have it.
///
/// # Errors
/// Of the writer.
pub fn write_head(out: &mut impl Write, signed: &SignedHead) -> anyhow::Result<()> {
    Ok(writeln!(out, "{}", serde_json::to_string(&head(signed))?)?)
}

/// A head as [`write_head`] wrote it.
///
/// # Errors
/// If the text is none.
pub fn read_head(text: &str) -> anyhow::Result<SignedHead> {
    signed(serde_json::from_str(text)?)
}

/// Reads a file without judging it.
///
/// # Errors
/// If a line is not of the format, with its number.
pub fn read(input: impl BufRead) -> anyhow::Result<AuditFile> {
    let mut lines = input.lines();
    let first = lines.next().context("the file is empty")??;
    let first: First = serde_json::from_str(&first).context("line 1 is no head of an audit file")?;
    anyhow::ensure!(first.format == FORMAT, "format {:?}, required {FORMAT}", first.format);
    let mut entries = Vec::new();
    for (number, line) in lines.enumerate() {
        entries.push(logged(&line?).with_context(|| format!("line {}", number + 2))?);
    }
    Ok(AuditFile { public_key: first.public_key, entries })
}

fn signed(head: Head) -> anyhow::Result<SignedHead> {
    Ok(SignedHead {
        size: head.size,
        root: fixed(&hex::decode(&head.root)?).context("root: required 32 bytes")?,
        time: time(head.time_us),
        signature: fixed(&STANDARD.decode(&head.signature)?).context("signature: required 64 bytes")?,
    })
}

fn logged(line: &str) -> anyhow::Result<Logged> {
    let line: Line = serde_json::from_str(line)?;
    let head = line.head.map(signed).transpose()?;
    let (bytes, note) = (STANDARD.decode(&line.entry)?, STANDARD.decode(&line.note)?);
    Ok(Logged { sequence: line.sequence, bytes, head, note })
}

/// Bytes as an array of their length.
pub fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

fn time(micros: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(micros)
}

impl AuditFile {
    /// Checks every entry and head, with `pinned` (PEM) or else the file's own key, and that the log has the `trusted` heads.
    ///
    /// # Errors
    /// The first bad entry, a trusted head that the key did not sign, or an end that is cut off.
    pub fn verify(self, pinned: Option<&str>, trusted: &[SignedHead]) -> anyhow::Result<Verified> {
        let key: VerifyingKey = public_key_from_pem(pinned.unwrap_or(&self.public_key))?;
        for head in trusted {
            anyhow::ensure!(head.holds(&key), "the head of size {} is not signed by this key", head.size);
        }
        Ok(verify(self.entries, &key, trusted)?)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use storage::{Cause, Draft, Records, Signer, connect, migrate};

    async fn sample() -> (Vec<Logged>, String) {
        let draft = |name: &str| Draft { kind: "model".into(), name: name.into(), ..Draft::default() };
        log_of(["models/a", "models/b", "models/c"].map(draft).into()).await
    }

    /// The log of records that were made one by one, and the key that signed it.
    pub(crate) async fn log_of(drafts: Vec<Draft>) -> (Vec<Logged>, String) {
        let signer = std::sync::Arc::new(Signer::generate().expect("a key"));
        let pem = signer.public_key_pem().expect("pem");
        let db = connect("sqlite::memory:").await.expect("a database");
        migrate(&db, &[]).await.expect("migrated");
        let records = Records::open(db, signer).await.expect("open");
        for draft in drafts {
            let cause = Cause {
                principal: "ml-engineer".into(),
                roles: vec!["ml-engineer".into()],
                method: "/test".into(),
                request_id: None,
                request_digest: storage::Digest::of(b""),
                reason: String::new(),
                trace_id: String::new(),
                time: time(1_000_000),
            };
            let mut unit = records.begin(cause).await.expect("begun");
            unit.insert(draft, "create").await.expect("inserted");
            unit.commit(&[]).await.expect("committed");
        }
        (records.audit().read(0, 10).await.expect("read"), pem)
    }

    fn file(pem: &str, entries: &[Logged]) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out, pem, entries).expect("written");
        out
    }

    #[tokio::test]
    async fn a_log_goes_through_a_file_and_holds() {
        let (entries, pem) = sample().await;
        let read = read(file(&pem, &entries).as_slice()).expect("read");
        assert_eq!(read.entries, entries);
        assert_eq!(read.verify(None, &[]).expect("holds").size, 3);
    }

    #[tokio::test]
    async fn the_first_bad_entry_is_named() {
        let (mut entries, pem) = sample().await;
        let last = entries[1].bytes.len() - 9;
        entries[1].bytes[last] ^= 1;
        let broken =
            read(file(&pem, &entries).as_slice()).expect("read").verify(None, &[]).expect_err("broken");
        assert!(broken.to_string().starts_with("audit entry 1:"), "{broken}");
        let (entries, pem) = sample().await;
        let cut: Vec<_> = entries.into_iter().skip(1).collect();
        let broken = read(file(&pem, &cut).as_slice()).expect("read").verify(None, &[]).expect_err("broken");
        assert!(broken.to_string().starts_with("audit entry 0: missing"), "{broken}");
    }

    #[tokio::test]
    async fn an_end_that_is_cut_off_is_noticed_by_a_head_kept_elsewhere() {
        let (mut entries, pem) = sample().await;
        let mut kept = Vec::new();
        write_head(&mut kept, entries[2].head.as_ref().expect("a head")).expect("written");
        let head = read_head(std::str::from_utf8(&kept).expect("text")).expect("read");
        let whole = read(file(&pem, &entries).as_slice()).expect("read");
        assert_eq!(whole.verify(None, std::slice::from_ref(&head)).expect("holds").size, 3);
        entries.pop();
        let cut = || read(file(&pem, &entries).as_slice()).expect("read");
        assert_eq!(cut().verify(None, &[]).expect("what is left holds").size, 2);
        let found = cut().verify(None, std::slice::from_ref(&head)).expect_err("cut");
        assert!(found.to_string().starts_with("audit entry 2:"), "{found}");
        let forged = SignedHead { size: 2, ..head };
        let found = cut().verify(None, &[forged]).expect_err("forged");
        assert!(found.to_string().contains("not signed"), "{found}");
    }

    #[tokio::test]
    async fn another_key_than_the_pinned_one_is_refused() {
        let (entries, pem) = sample().await;
        let other = Signer::generate().expect("a key").public_key_pem().expect("pem");
        let refused = read(file(&pem, &entries).as_slice()).expect("read").verify(Some(&other), &[]);
        assert!(refused.expect_err("refused").to_string().contains("head signature wrong"));
    }
}
