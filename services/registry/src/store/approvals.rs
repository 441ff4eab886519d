//! Separation of duties in the database (§12): who contributed never approves, nobody approves a matter twice.
//!
//! The rules of `lifecycle` refuse first and name the clause; the triggers of `migration.rs` hold even where a rule
//! was forgotten.

use lifecycle::approval::Approval;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter};
use storage::time::to_micros;

use super::entity::{approval, contributor};
use super::migration::REFUSAL;
use crate::{Error, work::Work};

impl Work {
    /// Notes that `principals` had a hand in `subject` (a resource name). Those noted before are left as they are.
    ///
    /// # Errors
    /// SEPARATION_OF_DUTIES if one of them approved it.
    pub async fn contributes(
        &self,
        subject: &str,
        principals: impl IntoIterator<Item = String>,
    ) -> Result<(), Error> {
        let known = self.contributors(subject).await?;
        for principal in principals {
            if principal.is_empty() || known.contains(&principal) {
                continue;
            }
            let row = contributor::ActiveModel {
                subject: Set(subject.to_owned()),
                principal: Set(principal.clone()),
            };
            let done = contributor::Entity::insert(row).exec_without_returning(self.connection()).await;
            done.map_err(|error| refused(error, subject, &principal))?;
        }
        Ok(())
    }

    /// Who had a hand in `subject`, ascending.
    ///
    /// # Errors
    /// Of the database.
    pub async fn contributors(&self, subject: &str) -> Result<Vec<String>, Error> {
        let rows = contributor::Entity::find()
            .filter(contributor::Column::Subject.eq(subject))
            .all(self.connection())
            .await?;
        let mut names: Vec<String> = rows.into_iter().map(|row| row.principal).collect();
        names.sort();
        Ok(names)
    }

    /// Records an approval of `matter` (`source`, `ethics`, `qa`, ...) of `subject`.
    ///
    /// # Errors
    /// SEPARATION_OF_DUTIES if the person contributed, or approved the matter before.
    pub async fn approves(&self, subject: &str, matter: &str, approval: &Approval) -> Result<(), Error> {
        let row = approval::ActiveModel {
            subject: Set(subject.to_owned()),
            matter: Set(matter.to_owned()),
            principal: Set(approval.principal.clone()),
            role: Set(approval.role.to_string()),
            time: Set(to_micros(approval.time)),
        };
        let done = approval::Entity::insert(row).exec_without_returning(self.connection()).await;
        done.map(|_| ()).map_err(|error| refused(error, subject, &approval.principal))
    }

    /// Takes back the approvals of a matter of `subject`, because it starts again.
    ///
    /// # Errors
    /// Of the database.
    pub async fn withdraw_approvals(&self, subject: &str, matter: &str) -> Result<(), Error> {
        approval::Entity::delete_many()
            .filter(approval::Column::Subject.eq(subject))
            .filter(approval::Column::Matter.eq(matter))
            .exec(self.connection())
            .await?;
        Ok(())
    }
}

fn refused(error: sea_orm::DbErr, subject: &str, principal: &str) -> Error {
    let text = error.to_string();
    let Some(at) = text.find(REFUSAL) else { return error.into() };
    let why = text[at + REFUSAL.len()..].trim_start_matches(": ").lines().next().unwrap_or_default();
    Error::SeparationOfDuties {
        subject: subject.to_owned(),
        principal: principal.to_owned(),
        why: why.to_owned(),
    }
}
