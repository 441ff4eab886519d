//! serving, rehearsal, archive, route_table.

use sea_orm_migration::prelude::*;
use storage::migration::name_column;

use super::entity::{archive, rehearsal, route_table, serving};

pub(super) struct Serving;

impl MigrationName for Serving {
    fn name(&self) -> &'static str {
        "m20261123_000003_registry_serving"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Serving {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut table = Table::create();
        table
            .table(serving::Entity)
            .col(name_column(manager, serving::Column::Gateway).primary_key())
            .col(ColumnDef::new(serving::Column::Time).big_integer().not_null())
            .col(ColumnDef::new(serving::Column::Body).binary().not_null());
        manager.create_table(table).await?;
        let mut table = Table::create();
        table
            .table(rehearsal::Entity)
            .col(name_column(manager, rehearsal::Column::Rollout).primary_key())
            .col(ColumnDef::new(rehearsal::Column::Time).big_integer().not_null());
        manager.create_table(table).await?;
        let mut table = Table::create();
        table
            .table(archive::Entity)
            .col(name_column(manager, archive::Column::Retirement).primary_key())
            .col(ColumnDef::new(archive::Column::Digest).text().not_null());
        manager.create_table(table).await?;
        let mut table = Table::create();
        table
            .table(route_table::Entity)
            .col(ColumnDef::new(route_table::Column::Id).integer().not_null().primary_key())
            .col(ColumnDef::new(route_table::Column::Digest).text().not_null())
            .col(ColumnDef::new(route_table::Column::Sequence).big_integer().not_null())
            .col(ColumnDef::new(route_table::Column::Body).binary().not_null());
        manager.create_table(table).await
    }
}
