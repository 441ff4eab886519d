//! The registry's own tables, after those of `storage`. Only forward; a released step is never edited.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend};
use storage::migration::name_column;

use super::entity::{approval, contributor, inspection, metric_point};

/// All steps, oldest first.
pub const ALL: &[fn() -> Box<dyn MigrationTrait>] =
    &[|| Box::new(Duties), || Box::new(Series), || Box::new(super::migration_serving::Serving)];

/// contributor, approval and the triggers that keep them apart.
struct Duties;

impl MigrationName for Duties {
    fn name(&self) -> &'static str {
        "m20261123_000001_registry_duties"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Duties {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut table = Table::create();
        table
            .table(contributor::Entity)
            .col(name_column(manager, contributor::Column::Subject))
            .col(name_column(manager, contributor::Column::Principal))
            .primary_key(
                Index::create().col(contributor::Column::Subject).col(contributor::Column::Principal),
            );
        manager.create_table(table).await?;
        let mut table = Table::create();
        table
            .table(approval::Entity)
            .col(name_column(manager, approval::Column::Subject))
            .col(name_column(manager, approval::Column::Matter))
            .col(name_column(manager, approval::Column::Principal))
            .col(name_column(manager, approval::Column::Role))
            .col(ColumnDef::new(approval::Column::Time).big_integer().not_null())
            .primary_key(
                Index::create()
                    .col(approval::Column::Subject)
                    .col(approval::Column::Matter)
                    .col(approval::Column::Principal),
            );
        manager.create_table(table).await?;
        let triggers = match manager.get_database_backend() {
            DbBackend::Postgres => POSTGRES_TRIGGERS,
            _ => SQLITE_TRIGGERS,
        };
        for statement in triggers {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }
}

/// The message of every refusal of the triggers begins with these words.
pub const REFUSAL: &str = "separation of duties";

const SQLITE_TRIGGERS: &[&str] = &[
    "CREATE TRIGGER approval_not_by_contributor BEFORE INSERT ON approval
     WHEN EXISTS (SELECT 1 FROM contributor WHERE subject = NEW.subject AND principal = NEW.principal)
     BEGIN SELECT RAISE(ABORT, 'separation of duties: a contributor approves'); END",
    "CREATE TRIGGER contributor_not_by_approver BEFORE INSERT ON contributor
     WHEN EXISTS (SELECT 1 FROM approval WHERE subject = NEW.subject AND principal = NEW.principal)
     BEGIN SELECT RAISE(ABORT, 'separation of duties: an approver contributes'); END",
    "CREATE TRIGGER approval_once BEFORE INSERT ON approval
     WHEN EXISTS (SELECT 1 FROM approval WHERE subject = NEW.subject AND matter = NEW.matter
                  AND principal = NEW.principal)
     BEGIN SELECT RAISE(ABORT, 'separation of duties: a second approval by the same person'); END",
    "CREATE TRIGGER approval_final BEFORE UPDATE ON approval
     BEGIN SELECT RAISE(ABORT, 'separation of duties: an approval is changed'); END",
    "CREATE TRIGGER contributor_final BEFORE UPDATE ON contributor
     BEGIN SELECT RAISE(ABORT, 'separation of duties: a contributor is changed'); END",
    "CREATE TRIGGER contributor_kept BEFORE DELETE ON contributor
     BEGIN SELECT RAISE(ABORT, 'separation of duties: a contributor is removed'); END",
];

const POSTGRES_TRIGGERS: &[&str] = &[
    "CREATE FUNCTION wlp_keep_approval_apart() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       IF EXISTS (SELECT 1 FROM contributor WHERE subject = NEW.subject AND principal = NEW.principal) THEN
         RAISE EXCEPTION 'separation of duties: a contributor approves';
       END IF;
       IF EXISTS (SELECT 1 FROM approval WHERE subject = NEW.subject AND matter = NEW.matter
                  AND principal = NEW.principal) THEN
         RAISE EXCEPTION 'separation of duties: a second approval by the same person';
       END IF;
       RETURN NEW;
     END $$",
    "CREATE FUNCTION wlp_keep_contributor_apart() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       IF EXISTS (SELECT 1 FROM approval WHERE subject = NEW.subject AND principal = NEW.principal) THEN
         RAISE EXCEPTION 'separation of duties: an approver contributes';
       END IF;
       RETURN NEW;
     END $$",
    "CREATE FUNCTION wlp_keep_duties() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       RAISE EXCEPTION 'separation of duties: a record of duties is changed';
     END $$",
    "CREATE TRIGGER approval_apart BEFORE INSERT ON approval
     FOR EACH ROW EXECUTE FUNCTION wlp_keep_approval_apart()",
    "CREATE TRIGGER contributor_apart BEFORE INSERT ON contributor
     FOR EACH ROW EXECUTE FUNCTION wlp_keep_contributor_apart()",
    "CREATE TRIGGER approval_final BEFORE UPDATE ON approval FOR EACH ROW EXECUTE FUNCTION wlp_keep_duties()",
    "CREATE TRIGGER contributor_final BEFORE UPDATE OR DELETE ON contributor
     FOR EACH ROW EXECUTE FUNCTION wlp_keep_duties()",
];

/// metric_point, inspection.
struct Series;

impl MigrationName for Series {
    fn name(&self) -> &'static str {
        "m20261123_000002_registry_series"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Series {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut table = Table::create();
        table
            .table(metric_point::Entity)
            .col(name_column(manager, metric_point::Column::Run))
            .col(ColumnDef::new(metric_point::Column::Position).big_integer().not_null())
            .col(name_column(manager, metric_point::Column::Metric))
            .col(ColumnDef::new(metric_point::Column::Step).big_integer().not_null())
            .col(ColumnDef::new(metric_point::Column::Value).big_integer().not_null())
            .col(ColumnDef::new(metric_point::Column::Time).big_integer().not_null())
            .primary_key(Index::create().col(metric_point::Column::Run).col(metric_point::Column::Position));
        manager.create_table(table).await?;
        let mut by_metric = Index::create();
        by_metric
            .name("metric_point_by_metric")
            .table(metric_point::Entity)
            .col(metric_point::Column::Run)
            .col(metric_point::Column::Metric)
            .col(metric_point::Column::Position);
        manager.create_index(by_metric).await?;
        let mut table = Table::create();
        table
            .table(inspection::Entity)
            .col(name_column(manager, inspection::Column::Digest).primary_key())
            .col(ColumnDef::new(inspection::Column::Body).text().not_null());
        manager.create_table(table).await
    }
}
