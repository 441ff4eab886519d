//! record, audit_entry, audit_node, audit_frontier, audit_head, idempotency.

use super::name_column;
use crate::entity::{audit_entry, audit_frontier, audit_head, audit_node, idempotency, record};
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        records(manager).await?;
        audit(manager).await?;
        let mut table = Table::create();
        table
            .table(idempotency::Entity)
            .col(name_column(manager, idempotency::Column::Principal))
            .col(name_column(manager, idempotency::Column::Method))
            .col(name_column(manager, idempotency::Column::RequestId))
            .col(ColumnDef::new(idempotency::Column::RequestDigest).binary().not_null())
            .col(ColumnDef::new(idempotency::Column::Response).binary().not_null())
            .col(ColumnDef::new(idempotency::Column::CreateTime).big_integer().not_null())
            .primary_key(
                Index::create()
                    .col(idempotency::Column::Principal)
                    .col(idempotency::Column::Method)
                    .col(idempotency::Column::RequestId),
            );
        manager.create_table(table).await
    }
}

async fn records(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut table = Table::create();
    table
        .table(record::Entity)
        .col(name_column(manager, record::Column::Kind))
        .col(name_column(manager, record::Column::Name))
        .col(name_column(manager, record::Column::Parent))
        .col(name_column(manager, record::Column::State))
        .col(ColumnDef::new(record::Column::Revision).big_integer().not_null())
        .col(ColumnDef::new(record::Column::CreateTime).big_integer().not_null())
        .col(ColumnDef::new(record::Column::UpdateTime).big_integer().not_null())
        .col(ColumnDef::new(record::Column::Body).binary().not_null())
        .primary_key(Index::create().col(record::Column::Kind).col(record::Column::Name));
    manager.create_table(table).await?;
    let mut by_parent = Index::create();
    by_parent
        .name("record_by_parent")
        .table(record::Entity)
        .col(record::Column::Kind)
        .col(record::Column::Parent)
        .col(record::Column::Name);
    manager.create_index(by_parent).await?;
    let mut by_state = Index::create();
    by_state
        .name("record_by_state")
        .table(record::Entity)
        .col(record::Column::Kind)
        .col(record::Column::State)
        .col(record::Column::Name);
    manager.create_index(by_state).await
}

async fn audit(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut table = Table::create();
    table
        .table(audit_entry::Entity)
        .col(ColumnDef::new(audit_entry::Column::Sequence).big_integer().not_null().primary_key())
        .col(name_column(manager, audit_entry::Column::Kind))
        .col(name_column(manager, audit_entry::Column::Name))
        .col(ColumnDef::new(audit_entry::Column::Time).big_integer().not_null())
        .col(ColumnDef::new(audit_entry::Column::Entry).binary().not_null())
        .col(ColumnDef::new(audit_entry::Column::Note).binary());
    manager.create_table(table).await?;
    let mut by_subject = Index::create();
    by_subject
        .name("audit_entry_by_subject")
        .table(audit_entry::Entity)
        .col(audit_entry::Column::Kind)
        .col(audit_entry::Column::Name)
        .col(audit_entry::Column::Sequence);
    manager.create_index(by_subject).await?;
    let mut table = Table::create();
    table
        .table(audit_node::Entity)
        .col(ColumnDef::new(audit_node::Column::Level).integer().not_null())
        .col(ColumnDef::new(audit_node::Column::Position).big_integer().not_null())
        .col(ColumnDef::new(audit_node::Column::Hash).binary().not_null())
        .primary_key(Index::create().col(audit_node::Column::Level).col(audit_node::Column::Position));
    manager.create_table(table).await?;
    let mut table = Table::create();
    table
        .table(audit_head::Entity)
        .col(ColumnDef::new(audit_head::Column::Size).big_integer().not_null().primary_key())
        .col(ColumnDef::new(audit_head::Column::Root).binary().not_null())
        .col(ColumnDef::new(audit_head::Column::Time).big_integer().not_null())
        .col(ColumnDef::new(audit_head::Column::Signature).binary().not_null());
    manager.create_table(table).await?;
    let mut table = Table::create();
    table
        .table(audit_frontier::Entity)
        .col(ColumnDef::new(audit_frontier::Column::Id).integer().not_null().primary_key())
        .col(ColumnDef::new(audit_frontier::Column::Size).big_integer().not_null())
        .col(ColumnDef::new(audit_frontier::Column::Peaks).binary().not_null());
    manager.create_table(table).await
}
