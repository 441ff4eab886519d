//! The tables as sea-orm sees them. Times are microseconds since the epoch, UTC.
#![allow(missing_docs)] // the columns are described on the public types that carry them

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
    /// One row per resource of any kind.
    record "record" {
        #[sea_orm(primary_key, auto_increment = false)] kind: String,
        #[sea_orm(primary_key, auto_increment = false)] name: String,
        parent: String,
        state: String,
        revision: i64,
        create_time: i64,
        update_time: i64,
        body: Vec<u8>,
    }
);
table!(
    /// Canonical bytes of every audit entry; the other columns are for lookups only.
    audit_entry "audit_entry" {
        #[sea_orm(primary_key, auto_increment = false)] sequence: i64,
        kind: String,
        name: String,
        time: i64,
        entry: Vec<u8>,
        note: Option<Vec<u8>>,
    }
);
table!(
    /// Hashes of complete subtrees: `level` 0 are leaves, `position` counts subtrees of that level.
    audit_node "audit_node" {
        #[sea_orm(primary_key, auto_increment = false)] level: i32,
        #[sea_orm(primary_key, auto_increment = false)] position: i64,
        hash: Vec<u8>,
    }
);
table!(
    /// The signed head of every size.
    audit_head "audit_head" {
        #[sea_orm(primary_key, auto_increment = false)] size: i64,
        root: Vec<u8>,
        time: i64,
        signature: Vec<u8>,
    }
);
table!(
    /// One row: size of the log and its peaks. Locked first by every unit of work.
    audit_frontier "audit_frontier" {
        #[sea_orm(primary_key, auto_increment = false)] id: i32,
        size: i64,
        peaks: Vec<u8>,
    }
);
table!(
    /// What was answered to which request.
    idempotency "idempotency" {
        #[sea_orm(primary_key, auto_increment = false)] principal: String,
        #[sea_orm(primary_key, auto_increment = false)] method: String,
        #[sea_orm(primary_key, auto_increment = false)] request_id: String,
        request_digest: Vec<u8>,
        response: Vec<u8>,
        create_time: i64,
    }
);
table!(
    /// Long-running operations.
    operation "operation" {
        #[sea_orm(primary_key, auto_increment = false)] name: String,
        kind: String,
        state: String,
        progress: f64,
        metadata: Vec<u8>,
        result: Option<Vec<u8>>,
        error_code: Option<i32>,
        error_message: Option<String>,
        cancel_requested: bool,
        create_time: i64,
        update_time: i64,
    }
);
table!(
    /// Who may do what alone, until when.
    lease "lease" {
        #[sea_orm(primary_key, auto_increment = false)] name: String,
        owner: String,
        token: i64,
        expire_time: i64,
    }
);
table!(
    /// Messages that were committed and are not yet delivered.
    outbox "outbox" {
        #[sea_orm(primary_key)] id: i64,
        topic: String,
        key: String,
        payload: Vec<u8>,
        attempts: i32,
        create_time: i64,
        due_time: i64,
        last_error: Option<String>,
    }
);
