//! The tables of this crate, in dated steps. They only go forward; a released one is never edited.

mod m20261101_000001_records;
mod m20261101_000002_work;

use sea_orm_migration::{MigrationTrait, prelude::*, sea_orm::DbBackend};

/// All migrations of this crate, oldest first.
pub fn all() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(m20261101_000001_records::Migration), Box::new(m20261101_000002_work::Migration)]
}

/// A text column that compares by bytes. PostgreSQL would follow the cluster's locale, in which
/// `a-b` may sort after `ab`, and keyset pages would lose rows.
pub fn name_column(manager: &SchemaManager, column: impl IntoIden) -> ColumnDef {
    let mut definition = ColumnDef::new(column);
    definition.text().not_null();
    if manager.get_database_backend() == DbBackend::Postgres {
        definition.extra("COLLATE \"C\"");
    }
    definition
}
