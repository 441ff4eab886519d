//! operation, lease, outbox.

use super::name_column;
use crate::entity::{lease, operation, outbox};
use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut table = Table::create();
        table
            .table(operation::Entity)
            .col(name_column(manager, operation::Column::Name).primary_key())
            .col(name_column(manager, operation::Column::Kind))
            .col(name_column(manager, operation::Column::State))
            .col(ColumnDef::new(operation::Column::Progress).double().not_null())
            .col(ColumnDef::new(operation::Column::Metadata).binary().not_null())
            .col(ColumnDef::new(operation::Column::Result).binary())
            .col(ColumnDef::new(operation::Column::ErrorCode).integer())
            .col(ColumnDef::new(operation::Column::ErrorMessage).text())
            .col(ColumnDef::new(operation::Column::CancelRequested).boolean().not_null())
            .col(ColumnDef::new(operation::Column::CreateTime).big_integer().not_null())
            .col(ColumnDef::new(operation::Column::UpdateTime).big_integer().not_null());
        manager.create_table(table).await?;
        let mut by_state = Index::create();
        by_state
            .name("operation_by_state")
            .table(operation::Entity)
            .col(operation::Column::State)
            .col(operation::Column::Kind)
            .col(operation::Column::Name);
        manager.create_index(by_state).await?;
        let mut table = Table::create();
        table
            .table(lease::Entity)
            .col(name_column(manager, lease::Column::Name).primary_key())
            .col(ColumnDef::new(lease::Column::Owner).text().not_null())
            .col(ColumnDef::new(lease::Column::Token).big_integer().not_null())
            .col(ColumnDef::new(lease::Column::ExpireTime).big_integer().not_null());
        manager.create_table(table).await?;
        let mut table = Table::create();
        table
            .table(outbox::Entity)
            .col(ColumnDef::new(outbox::Column::Id).big_integer().not_null().auto_increment().primary_key())
            .col(name_column(manager, outbox::Column::Topic))
            .col(ColumnDef::new(outbox::Column::Key).text().not_null())
            .col(ColumnDef::new(outbox::Column::Payload).binary().not_null())
            .col(ColumnDef::new(outbox::Column::Attempts).integer().not_null())
            .col(ColumnDef::new(outbox::Column::CreateTime).big_integer().not_null())
            .col(ColumnDef::new(outbox::Column::DueTime).big_integer().not_null())
            .col(ColumnDef::new(outbox::Column::LastError).text());
        manager.create_table(table).await?;
        let mut by_topic = Index::create();
        by_topic
            .name("outbox_by_topic")
            .table(outbox::Entity)
            .col(outbox::Column::Topic)
            .col(outbox::Column::DueTime)
            .col(outbox::Column::Id);
        manager.create_index(by_topic).await
    }
}
