//! An audit log that was checked from end to end, to look entries up in.

use storage::{AuditEntry, Logged};

use crate::audit_file::AuditFile;

/// The entries of a log that holds: only [`VerifiedLog::of`] makes one.
#[derive(Debug)]
pub struct VerifiedLog {
    entries: Vec<AuditEntry>,
}

impl VerifiedLog {
    /// Checks every entry and head of a log, with `pinned` (PEM) or else its own key.
    ///
    /// # Errors
    /// The first bad entry.
    pub fn of(log: AuditFile, pinned: Option<&str>) -> anyhow::Result<Self> {
        let entries: Result<Vec<_>, _> = log.entries.iter().map(Logged::entry).collect();
        log.verify(pinned, &[])?;
        Ok(Self { entries: entries? })
    }

    /// Number of entries.
    pub fn size(&self) -> usize {
        self.entries.len()
    }

    /// The entries about a resource, in their order.
    pub fn about(&self, name: &str) -> impl Iterator<Item = &AuditEntry> {
        self.entries.iter().filter(move |entry| entry.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit_file::tests::log_of;
    use storage::Draft;

    #[tokio::test]
    async fn entries_are_looked_up_in_a_log_that_holds_and_in_no_other() {
        let draft = |name: &str| Draft { kind: "model".into(), name: name.into(), ..Draft::default() };
        let (mut entries, public_key) = log_of(["models/a", "models/b"].map(draft).into()).await;
        let log = AuditFile { public_key: public_key.clone(), entries: entries.clone() };
        let log = VerifiedLog::of(log, None).expect("holds");
        let places: Vec<_> = log.about("models/b").map(|entry| entry.sequence).collect();
        assert_eq!((log.size(), places), (2, vec![1]));
        entries[1].bytes.pop();
        let refused = VerifiedLog::of(AuditFile { public_key, entries }, None).expect_err("altered");
        assert!(refused.to_string().starts_with("audit entry 1:"), "{refused}");
    }
}
