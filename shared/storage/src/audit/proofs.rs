//! Proofs from the stored hashes: a handful of rows each, however long the log is.

use super::{
    AuditLog,
    merkle::{Hash, Node, complete_nodes, consistency_ranges, inclusion_ranges, range_hash},
};
use crate::{Error, entity::audit_node};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};
use std::collections::BTreeMap;

impl AuditLog {
    /// The proof that entry `sequence` is in the first `size` entries, lowest sibling first
    /// (RFC 9162 §2.1.3); `None` unless `sequence < size` and the log has been that long.
    pub async fn inclusion_proof(&self, sequence: u64, size: u64) -> Result<Option<Vec<Hash>>, Error> {
        match inclusion_ranges(sequence, size) {
            Some(ranges) => self.prove(size, &ranges).await,
            None => Ok(None),
        }
    }

    /// The proof that the first `new` entries begin with the first `old` ones (RFC 9162 §2.1.4);
    /// `None` unless `old <= new` and the log has been that long.
    pub async fn consistency_proof(&self, old: u64, new: u64) -> Result<Option<Vec<Hash>>, Error> {
        match consistency_ranges(old, new) {
            Some(ranges) => self.prove(new, &ranges).await,
            None => Ok(None),
        }
    }

    async fn prove(&self, size: u64, ranges: &[(u64, u64)]) -> Result<Option<Vec<Hash>>, Error> {
        if size > 0 && self.head_at(size).await?.is_none() {
            return Ok(None);
        }
        let wanted: Vec<Node> = ranges.iter().flat_map(|range| complete_nodes(range.0, range.1)).collect();
        let mut stored = BTreeMap::new();
        for wanted in wanted.chunks(100) {
            let any = wanted.iter().fold(Condition::any(), |any, (level, position)| {
                any.add(
                    Condition::all()
                        .add(audit_node::Column::Level.eq(*level as i32))
                        .add(audit_node::Column::Position.eq(*position as i64)),
                )
            });
            for row in audit_node::Entity::find().filter(any).all(self.db.connection()).await? {
                let hash: Hash = row.hash.as_slice().try_into().map_err(|_| damaged())?;
                stored.insert((row.level.unsigned_abs(), row.position.unsigned_abs()), hash);
            }
        }
        let hashes: Option<Vec<Hash>> = ranges.iter().map(|range| range_hash(*range, &stored)).collect();
        hashes.ok_or_else(damaged).map(Some)
    }
}

fn damaged() -> Error {
    Error::Damaged("a hash of the audit log is missing".to_owned())
}
