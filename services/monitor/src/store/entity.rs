//! The monitor's own tables beside the records. Times are microseconds since the epoch, UTC.
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
    /// A batch that was counted: written in the transaction that counted it.
    batch "batch" {
        #[sea_orm(primary_key, auto_increment = false)] source: String,
        #[sea_orm(primary_key, auto_increment = false)] batch_id: String,
        digest: Vec<u8>,
        time: i64,
    }
);
table!(
    /// What a version did in one window: counters beside the body for sums, everything in the body.
    window "observed_window" {
        #[sea_orm(primary_key, auto_increment = false)] deployment: String,
        #[sea_orm(primary_key, auto_increment = false)] version: String,
        #[sea_orm(primary_key, auto_increment = false)] start: i64,
        length: i64,
        requests: i64,
        counted: i64,
        bad: i64,
        fast: i64,
        body: Vec<u8>,
    }
);
table!(
    /// Feature and prediction histograms of a window; kept for a shorter time.
    profile "observed_profile" {
        #[sea_orm(primary_key, auto_increment = false)] deployment: String,
        #[sea_orm(primary_key, auto_increment = false)] version: String,
        #[sea_orm(primary_key, auto_increment = false)] start: i64,
        rows: i64,
        body: Vec<u8>,
    }
);
table!(
    /// Labels that became known in a window, as JSON.
    label "label_window" {
        #[sea_orm(primary_key, auto_increment = false)] deployment: String,
        #[sea_orm(primary_key, auto_increment = false)] version: String,
        #[sea_orm(primary_key, auto_increment = false)] start: i64,
        body: Vec<u8>,
    }
);
table!(
    /// Gauges of a host in a window; `readings` are those of out-of-memory events.
    host "host_window" {
        #[sea_orm(primary_key, auto_increment = false)] host: String,
        #[sea_orm(primary_key, auto_increment = false)] deployment: String,
        #[sea_orm(primary_key, auto_increment = false)] start: i64,
        gpu_sum: f64,
        gpu_readings: i64,
        memory_sum: f64,
        memory_readings: i64,
        oom_events: i64,
        readings: i64,
    }
);
table!(
    /// Up to which time a loop has judged a subject.
    cursor "cursor" {
        #[sea_orm(primary_key, auto_increment = false)] name: String,
        time: i64,
    }
);
table!(
    /// What survives a restart without being a record: the policy last seen.
    kept "kept" {
        #[sea_orm(primary_key, auto_increment = false)] name: String,
        body: Vec<u8>,
    }
);
table!(
    /// A whole request, sampled.
    sample "sampled_request" {
        #[sea_orm(primary_key, auto_increment = false)] request_id: String,
        deployment: String,
        version: String,
        time: i64,
        body: Vec<u8>,
    }
);
