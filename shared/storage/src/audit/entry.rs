//! What one audit entry says, and the one way to write it as bytes.

use crate::{Digest, time};
use std::time::SystemTime;

/// First bytes of every encoded entry; a later layout gets another number.
const VERSION: &[u8] = b"wlp-audit-entry-v1\n";

/// Who did what to which subject, when, by which call and why. Source: ISO/IEC 42001 A.6.2.8 (event logs).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Place in the log, from 0, without gaps.
    pub sequence: u64,
    /// When, to the microsecond.
    pub time: SystemTime,
    /// Who.
    pub principal: String,
    /// The roles the principal had then.
    pub roles: Vec<String>,
    /// By which method or background task.
    pub method: String,
    /// The request id, if the call had one.
    pub request_id: Option<String>,
    /// Kind of the subject.
    pub kind: String,
    /// Resource name of the subject.
    pub name: String,
    /// What was done, for example `create`.
    pub action: String,
    /// What it did to the record.
    pub effect: Effect,
    /// Revision of the record after it; 0 for a note or a deletion.
    pub revision: u64,
    /// Digest of the record's body after it, or of the note; of no bytes for a deletion.
    pub body_digest: Digest,
    /// State before; empty if there was none.
    pub previous_state: String,
    /// State after; empty if there is none.
    pub state: String,
    /// The reason that was given; may be empty.
    pub reason: String,
    /// W3C trace id; may be empty.
    pub trace_id: String,
}

/// What an entry means for the record of its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing: it happened, and is kept beside the records.
    Noted,
    /// The record was inserted or updated.
    Stored,
    /// The record was deleted.
    Deleted,
}

/// The bytes are not an entry, or not its one canonical encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an audit entry in its canonical encoding")]
pub struct MalformedEntry;

impl AuditEntry {
    /// The canonical bytes: a version line, then every field in the order of the struct; integers as
    /// 8 bytes big-endian, texts with their length before them, an absent request id as count 0.
    /// Equal entries have equal bytes and different entries different bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = VERSION.to_vec();
        let number = |out: &mut Vec<u8>, value: u64| out.extend(value.to_be_bytes());
        number(&mut out, self.sequence);
        number(&mut out, time::to_micros(self.time) as u64);
        text(&mut out, &self.principal);
        number(&mut out, self.roles.len() as u64);
        for role in &self.roles {
            text(&mut out, role);
        }
        text(&mut out, &self.method);
        number(&mut out, u64::from(self.request_id.is_some()));
        if let Some(request_id) = &self.request_id {
            text(&mut out, request_id);
        }
        text(&mut out, &self.kind);
        text(&mut out, &self.name);
        text(&mut out, &self.action);
        number(&mut out, self.effect as u64);
        number(&mut out, self.revision);
        out.extend(self.body_digest.0);
        text(&mut out, &self.previous_state);
        text(&mut out, &self.state);
        text(&mut out, &self.reason);
        text(&mut out, &self.trace_id);
        out
    }

    /// The inverse of [`AuditEntry::encode`].
    ///
    /// # Errors
    /// [`MalformedEntry`] for anything that `encode` would not have written.
    pub fn decode(bytes: &[u8]) -> Result<Self, MalformedEntry> {
        let mut reader = Reader(bytes.strip_prefix(VERSION).ok_or(MalformedEntry)?);
        let entry = Self {
            sequence: reader.number()?,
            time: time::from_micros(reader.number()? as i64),
            principal: reader.text()?,
            roles: reader.texts()?,
            method: reader.text()?,
            request_id: reader.option()?,
            kind: reader.text()?,
            name: reader.text()?,
            action: reader.text()?,
            effect: reader.effect()?,
            revision: reader.number()?,
            body_digest: reader.digest()?,
            previous_state: reader.text()?,
            state: reader.text()?,
            reason: reader.text()?,
            trace_id: reader.text()?,
        };
        if reader.0.is_empty() { Ok(entry) } else { Err(MalformedEntry) }
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_be_bytes());
    out.extend(text.as_bytes());
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8], MalformedEntry> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(MalformedEntry)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u64, MalformedEntry> {
        Ok(u64::from_be_bytes(self.take(8)?.try_into().map_err(|_| MalformedEntry)?))
    }

    fn text(&mut self) -> Result<String, MalformedEntry> {
        let count = usize::try_from(self.number()?).map_err(|_| MalformedEntry)?;
        Ok(std::str::from_utf8(self.take(count)?).map_err(|_| MalformedEntry)?.to_owned())
    }

    fn texts(&mut self) -> Result<Vec<String>, MalformedEntry> {
        // No capacity is reserved for a count that the bytes may not hold.
        (0..self.number()?).map(|_| self.text()).collect()
    }

    fn option(&mut self) -> Result<Option<String>, MalformedEntry> {
        match self.number()? {
            0 => Ok(None),
            1 => Ok(Some(self.text()?)),
            _ => Err(MalformedEntry),
        }
    }

    fn effect(&mut self) -> Result<Effect, MalformedEntry> {
        match self.number()? {
            0 => Ok(Effect::Noted),
            1 => Ok(Effect::Stored),
            2 => Ok(Effect::Deleted),
            _ => Err(MalformedEntry),
        }
    }

    fn digest(&mut self) -> Result<Digest, MalformedEntry> {
        Ok(Digest(self.take(32)?.try_into().map_err(|_| MalformedEntry)?))
    }
}
