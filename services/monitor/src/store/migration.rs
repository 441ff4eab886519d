//! The monitor's own tables, after those of `storage`. Only forward; a released step is never edited.

use sea_orm_migration::prelude::*;
use storage::migration::name_column;

use super::entity::{batch, cursor, host, kept, label, profile, sample, window};

/// All steps, oldest first.
pub const ALL: &[fn() -> Box<dyn MigrationTrait>] = &[|| Box::new(Windows)];

struct Windows;

impl MigrationName for Windows {
    fn name(&self) -> &'static str {
        "m20261123_000001_monitor_windows"
    }
}

fn number(column: impl IntoIden) -> ColumnDef {
    let mut definition = ColumnDef::new(column);
    definition.big_integer().not_null();
    definition
}

fn bytes(column: impl IntoIden) -> ColumnDef {
    let mut definition = ColumnDef::new(column);
    definition.binary().not_null();
    definition
}

fn real(column: impl IntoIden) -> ColumnDef {
    let mut definition = ColumnDef::new(column);
    definition.double().not_null();
    definition
}

#[async_trait::async_trait]
impl MigrationTrait for Windows {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        observed(manager).await?;
        reported(manager).await?;
        let mut table = Table::create();
        table
            .table(cursor::Entity)
            .col(name_column(manager, cursor::Column::Name).primary_key())
            .col(number(cursor::Column::Time));
        manager.create_table(table).await?;
        let mut table = Table::create();
        table
            .table(kept::Entity)
            .col(name_column(manager, kept::Column::Name).primary_key())
            .col(bytes(kept::Column::Body));
        manager.create_table(table).await
    }
}

async fn observed(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut table = Table::create();
    table
        .table(batch::Entity)
        .col(name_column(manager, batch::Column::Source))
        .col(name_column(manager, batch::Column::BatchId))
        .col(bytes(batch::Column::Digest))
        .col(number(batch::Column::Time))
        .primary_key(Index::create().col(batch::Column::Source).col(batch::Column::BatchId));
    manager.create_table(table).await?;
    let mut table = Table::create();
    table
        .table(window::Entity)
        .col(name_column(manager, window::Column::Deployment))
        .col(name_column(manager, window::Column::Version))
        .col(number(window::Column::Start))
        .col(number(window::Column::Length))
        .col(number(window::Column::Requests))
        .col(number(window::Column::Counted))
        .col(number(window::Column::Bad))
        .col(number(window::Column::Fast))
        .col(bytes(window::Column::Body))
        .primary_key(
            Index::create()
                .col(window::Column::Deployment)
                .col(window::Column::Version)
                .col(window::Column::Start),
        );
    manager.create_table(table).await?;
    let mut by_start = Index::create();
    by_start.name("observed_window_by_start").table(window::Entity).col(window::Column::Start);
    manager.create_index(by_start).await?;
    let mut table = Table::create();
    table
        .table(profile::Entity)
        .col(name_column(manager, profile::Column::Deployment))
        .col(name_column(manager, profile::Column::Version))
        .col(number(profile::Column::Start))
        .col(number(profile::Column::Rows))
        .col(bytes(profile::Column::Body))
        .primary_key(
            Index::create()
                .col(profile::Column::Deployment)
                .col(profile::Column::Version)
                .col(profile::Column::Start),
        );
    manager.create_table(table).await?;
    let mut table = Table::create();
    table
        .table(sample::Entity)
        .col(name_column(manager, sample::Column::RequestId).primary_key())
        .col(name_column(manager, sample::Column::Deployment))
        .col(name_column(manager, sample::Column::Version))
        .col(number(sample::Column::Time))
        .col(bytes(sample::Column::Body));
    manager.create_table(table).await
}

async fn reported(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut table = Table::create();
    table
        .table(label::Entity)
        .col(name_column(manager, label::Column::Deployment))
        .col(name_column(manager, label::Column::Version))
        .col(number(label::Column::Start))
        .col(bytes(label::Column::Body))
        .primary_key(
            Index::create()
                .col(label::Column::Deployment)
                .col(label::Column::Version)
                .col(label::Column::Start),
        );
    manager.create_table(table).await?;
    let mut table = Table::create();
    table
        .table(host::Entity)
        .col(name_column(manager, host::Column::Host))
        .col(name_column(manager, host::Column::Deployment))
        .col(number(host::Column::Start))
        .col(real(host::Column::GpuSum))
        .col(number(host::Column::GpuReadings))
        .col(real(host::Column::MemorySum))
        .col(number(host::Column::MemoryReadings))
        .col(number(host::Column::OomEvents))
        .col(number(host::Column::Readings))
        .primary_key(
            Index::create().col(host::Column::Host).col(host::Column::Deployment).col(host::Column::Start),
        );
    manager.create_table(table).await
}
