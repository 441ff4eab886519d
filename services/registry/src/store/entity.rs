//! The registry's own tables beside the records. Times are microseconds since the epoch, UTC.
#![allow(missing_docs)] // the columns are described on the functions that use them

macro_rules! table {
    ($(#[$doc:meta])* $module:ident $name:literal { $($(#[$attribute:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        pub mod $module {
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
            #[sea_orm(table_name = $name)]
            pub struct Model { $($(#[$attribute])* pub $field: $type,)* }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }
    };
}

table!(
    /// Who had a hand in a resource: nobody here may approve it.
    contributor "contributor" {
        #[sea_orm(primary_key, auto_increment = false)] subject: String,
        #[sea_orm(primary_key, auto_increment = false)] principal: String,
    }
);
table!(
    /// Who approved a resource. `matter` tells apart what is approved of it: `source`, `ethics`, `qa`.
    approval "approval" {
        #[sea_orm(primary_key, auto_increment = false)] subject: String,
        #[sea_orm(primary_key, auto_increment = false)] matter: String,
        #[sea_orm(primary_key, auto_increment = false)] principal: String,
        role: String,
        time: i64,
    }
);
table!(
    /// One point of a metric series; `position` counts the points of a run. `value` holds the bits of the double: SQLite
    /// would make NULL of NaN, and a diverged loss is a fact.
    metric_point "metric_point" {
        #[sea_orm(primary_key, auto_increment = false)] run: String,
        #[sea_orm(primary_key, auto_increment = false)] position: i64,
        metric: String,
        step: i64,
        value: i64,
        time: i64,
    }
);
table!(
    /// What an artifact turned out to be, as JSON; can be made again from the artifact.
    inspection "inspection" {
        #[sea_orm(primary_key, auto_increment = false)] digest: String,
        body: String,
    }
);
table!(
    /// What each gateway said last; `body` is its report, `time` is real time.
    serving "serving" {
        #[sea_orm(primary_key, auto_increment = false)] gateway: String,
        time: i64,
        body: Vec<u8>,
    }
);
table!(
    /// When the rehearsal of a rollout began, in real time.
    rehearsal "rehearsal" {
        #[sea_orm(primary_key, auto_increment = false)] rollout: String,
        time: i64,
    }
);
table!(
    /// The archive of a retirement that was restored in a rehearsal.
    archive "archive" {
        #[sea_orm(primary_key, auto_increment = false)] retirement: String,
        digest: String,
    }
);
table!(
    /// The one route table; `digest` is that of its content.
    route_table "route_table" {
        #[sea_orm(primary_key, auto_increment = false)] id: i32,
        digest: String,
        sequence: i64,
        body: Vec<u8>,
    }
);
