//! Records, units, the audit log and the rest on SQLite, and the same on PostgreSQL when there is one.

use futures::StreamExt;
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use storage::{
    Cause, Database, Digest, Draft, Error, Leases, Logged, Operations, Outbox, Outcome, Query, Records,
    Signer,
    audit::{BreachKind, merkle, verify, verify_records},
    sea_orm::ConnectionTrait,
    with_retry,
};

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
}

fn cause(request_id: Option<&str>, payload: &str) -> Cause {
    Cause {
        principal: "ml-engineer".into(),
        roles: vec!["ml-engineer".into()],
        method: "/test/Put".into(),
        request_id: request_id.map(str::to_owned),
        request_digest: Digest::of(payload.as_bytes()),
        reason: "because".into(),
        time: at(0),
        trace_id: String::new(),
    }
}

fn draft(name: &str) -> Draft {
    let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
    let (kind, state) = ("thing".to_owned(), "DRAFT".to_owned());
    Draft { kind, name: name.into(), parent: parent.into(), state, body: name.as_bytes().to_vec() }
}

/// A fresh database on each kind that can be had, with the folder that must outlive it.
async fn databases(folder: &Path) -> Vec<Database> {
    let mut urls =
        vec![format!("sqlite://{}/deep/test.db?mode=rwc", folder.display()), "sqlite::memory:".to_owned()];
    match std::env::var("WLP_TEST_POSTGRES_URL") {
        Ok(url) => urls.push(format!("{url}?schema=t{}", uuid::Uuid::new_v4().simple())),
        Err(_) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
            panic!("WLP_TEST_POSTGRES_URL is not set")
        }
        Err(_) => eprintln!("skipped on PostgreSQL: WLP_TEST_POSTGRES_URL is not set"),
    }
    let mut databases = Vec::new();
    for url in urls {
        let db = storage::connect(&url).await.expect("connect");
        storage::migrate(&db, &[]).await.expect("migrate");
        storage::migrate(&db, &[]).await.expect("migrate again");
        databases.push(db);
    }
    databases
}

async fn open(db: Database) -> Records {
    Records::open(db, Arc::new(Signer::generate().expect("key"))).await.expect("open")
}

#[tokio::test]
async fn a_unit_is_all_or_nothing_and_idempotent() {
    let folder = tempfile::tempdir().expect("folder");
    for db in databases(folder.path()).await {
        let records = open(db).await;
        let mut unit = records.begin(cause(Some("r1"), "a")).await.expect("begin");
        assert_eq!(unit.replay().await.expect("replay"), None);
        let first = unit.insert(draft("things/a"), "create").await.expect("insert");
        assert_eq!(first.etag(), "W/1");
        assert!(matches!(unit.insert(draft("things/a"), "create").await, Err(Error::AlreadyExists { .. })));
        drop(unit);
        assert!(matches!(records.get("thing", "things/a").await, Err(Error::NotFound { .. })));

        let mut unit = records.begin(cause(Some("r1"), "a")).await.expect("begin");
        unit.insert(draft("things/a"), "create").await.expect("insert");
        let entries = unit.commit(b"answer").await.expect("commit");
        assert_eq!((entries[0].sequence, entries[0].revision), (0, 1));
        let unit = records.begin(cause(Some("r1"), "a")).await.expect("begin");
        assert_eq!(unit.replay().await.expect("replay").as_deref(), Some(&b"answer"[..]));
        drop(unit);
        let unit = records.begin(cause(Some("r1"), "b")).await.expect("begin");
        assert!(matches!(unit.replay().await, Err(Error::RequestReused { .. })));
        drop(unit);

        let seen = records.get("thing", "things/a").await.expect("get");
        assert!(seen.expect_etag("W/1").is_ok() && seen.expect_etag("").is_ok());
        assert!(matches!(seen.expect_etag("W/2"), Err(Error::Stale { .. })));
        let mut unit = records.begin(cause(None, "u")).await.expect("begin");
        let next = unit.update(&seen, "READY", b"2".to_vec(), "submit").await.expect("update");
        assert_eq!(next.revision, 2);
        assert!(matches!(unit.update(&seen, "X", vec![], "submit").await, Err(Error::Stale { .. })));
        let entries = unit.commit(b"").await.expect("commit");
        assert_eq!((entries[0].previous_state.as_str(), entries[0].state.as_str()), ("DRAFT", "READY"));
    }
}

#[tokio::test]
async fn pages_are_ordered_by_bytes_and_filtered() {
    let folder = tempfile::tempdir().expect("folder");
    for db in databases(folder.path()).await {
        let records = open(db).await;
        let mut unit = records.begin(cause(None, "")).await.expect("begin");
        let names = ["m/a", "m/a-b", "m/ab", "m/a/v/1", "m/a/v/2", "m/a/v/10", "m/ab/v/1", "m/a-b/v/1"];
        for name in names {
            unit.insert(draft(name), "create").await.expect("insert");
        }
        unit.commit(b"").await.expect("commit");
        let mut sorted = names.to_vec();
        sorted.sort_unstable();
        let listed = records.list_all(&Query::kind("thing").limit(3)).await.expect("list");
        assert_eq!(listed.iter().map(|record| record.name.as_str()).collect::<Vec<_>>(), sorted);
        let below = records.list(&Query::kind("thing").below("m/a").state("DRAFT")).await.expect("list");
        assert_eq!(below.len(), 3);
        let direct = records.list(&Query::kind("thing").parent("m")).await.expect("list");
        assert_eq!(direct.len(), 3);
        assert_eq!(records.list(&Query::kind("thing").state("READY")).await.expect("list"), []);
        assert_eq!(records.count_by_state("thing").await.expect("count")["DRAFT"], 8);
    }
}

#[tokio::test]
async fn concurrent_units_lose_nothing_and_watch_sees_all_in_order() {
    let folder = tempfile::tempdir().expect("folder");
    for db in databases(folder.path()).await {
        let records = open(db).await;
        let mut unit = records.begin(cause(None, "")).await.expect("begin");
        unit.insert(draft("counter"), "create").await.expect("insert");
        unit.commit(b"").await.expect("commit");
        let add = |records: Records| async move {
            for _ in 0..10 {
                with_retry(|| async {
                    let mut unit = records.begin(cause(None, "")).await?;
                    let seen = unit.get("thing", "counter").await?;
                    unit.update(&seen, "DRAFT", seen.revision.to_string().into_bytes(), "add").await?;
                    unit.commit(b"").await
                })
                .await
                .expect("added");
            }
        };
        let watched = tokio::time::timeout(
            Duration::from_secs(60),
            records
                .audit()
                .watch(0)
                .take(41)
                .map(|logged| logged.expect("entry").sequence)
                .collect::<Vec<_>>(),
        );
        let adders = futures::future::join_all((0..4).map(|_| add(records.clone())));
        let (watched, _) = futures::future::join(watched, adders).await;
        assert_eq!(watched.expect("in time"), (0..41).collect::<Vec<_>>());
        assert_eq!(records.get("thing", "counter").await.expect("get").revision, 41);
    }
}

/// A call that is dropped at any moment leaves a database in memory as it was: its only connection is never lost.
#[tokio::test]
async fn a_dropped_call_does_not_lose_a_database_in_memory() {
    let db = storage::connect("sqlite::memory:").await.expect("connect");
    storage::migrate(&db, &[]).await.expect("migrate");
    let records = open(db).await;
    let mut unit = records.begin(cause(None, "")).await.expect("begin");
    unit.insert(draft("things/a"), "create").await.expect("insert");
    unit.commit(b"").await.expect("commit");
    for polls in (0..8).cycle().take(800) {
        let mut call = Box::pin(records.get("thing", "things/a"));
        for _ in 0..polls {
            if futures::poll!(call.as_mut()).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(call);
        assert_eq!(
            records.get("thing", "things/a").await.map(|record| record.revision).ok(),
            Some(1),
            "{polls}"
        );
    }
}

/// What comes before a gap in the log is told, and the gap after it.
#[tokio::test]
async fn a_watch_tells_what_comes_before_a_gap() {
    let folder = tempfile::tempdir().expect("folder");
    for db in databases(folder.path()).await {
        let records = open(db.clone()).await;
        for number in 0..4 {
            let mut unit = records.begin(cause(None, "")).await.expect("begin");
            unit.insert(draft(&format!("things/{number}")), "create").await.expect("insert");
            unit.commit(b"").await.expect("commit");
        }
        db.connection()
            .execute_unprepared("DELETE FROM audit_entry WHERE sequence = 2")
            .await
            .expect("a gap");
        let watched = records.audit().watch(0).take(3).collect::<Vec<_>>();
        let watched = tokio::time::timeout(Duration::from_secs(20), watched).await.expect("in time");
        let told: Vec<Option<u64>> =
            watched.into_iter().map(|one| one.ok().map(|one| one.sequence)).collect();
        assert_eq!(told, [Some(0), Some(1), None]);
    }
}

async fn log_of(records: &Records) -> Vec<Logged> {
    records.audit().read(0, 1000).await.expect("read")
}

#[tokio::test]
async fn verification_names_the_first_bad_entry() {
    let folder = tempfile::tempdir().expect("folder");
    for db in databases(folder.path()).await {
        let records = open(db).await;
        for number in 0..7 {
            let mut unit = records.begin(cause(None, "")).await.expect("begin");
            unit.insert(draft(&format!("things/{number}")), "create").await.expect("insert");
            unit.note("thing", "things/0", "refuse", b"G2 refused".to_vec());
            unit.commit(b"").await.expect("commit");
        }
        let mut unit = records.begin(cause(None, "")).await.expect("begin");
        let stateless = Draft { state: String::new(), ..draft("things/7") };
        let seen = unit.insert(stateless, "create").await.expect("insert");
        unit.delete(&seen, "delete").await.expect("delete");
        let seen = unit.get("thing", "things/6").await.expect("get");
        unit.delete(&seen, "delete").await.expect("delete");
        unit.commit(b"").await.expect("commit");
        let (log, key) = (log_of(&records).await, records.audit().public_key());
        let head = records.audit().head().await.expect("head").expect("some");
        assert_eq!(head.size, 17);
        let verified = verify(log.clone(), &key, std::slice::from_ref(&head)).expect("holds");
        let all = records.list(&Query::kind("thing")).await.expect("list");
        verify_records(&verified, all.clone()).expect("records hold");

        let breach = |log: Vec<Logged>| verify(log, &key, std::slice::from_ref(&head)).expect_err("breach");
        let mut altered = log.clone();
        let at = altered[4].bytes.len() - 20;
        altered[4].bytes[at] ^= 1;
        assert_eq!(breach(altered).index, 4);
        let mut missing = log.clone();
        missing.remove(5);
        assert_eq!((breach(missing.clone()).index, breach(missing).kind), (5, BreachKind::Missing));
        let mut swapped = log.clone();
        let (left, right) = (log[2].bytes.clone(), log[3].bytes.clone());
        (swapped[2].bytes, swapped[3].bytes) = (right, left);
        assert_eq!(
            (breach(swapped.clone()).index, breach(swapped).kind),
            (2, BreachKind::Reordered { says: 3 })
        );
        let mut cut = log.clone();
        cut.pop();
        assert_eq!((breach(cut.clone()).index, breach(cut).kind), (16, BreachKind::TailCut { trusted: 17 }));
        let mut forged = log.clone();
        if let Some(head) = &mut forged[6].head {
            head.signature[3] ^= 1;
        }
        assert_eq!((breach(forged.clone()).index, breach(forged).kind), (6, BreachKind::HeadSignature));
        let mut noted = log.clone();
        noted[1].note[0] ^= 1;
        assert_eq!(breach(noted).kind, BreachKind::NoteAltered);
        let mut tampered = all.clone();
        tampered[2].body.push(0);
        let found = verify_records(&verified, tampered).expect_err("breach");
        assert_eq!((found.index, found.kind), (4, BreachKind::RecordAltered("things/2".into())));
        assert_eq!(verify_records(&verified, all[1..].to_vec()).expect_err("breach").index, 0);
        prove(&records, &log, &head.root).await;
    }
}

async fn prove(records: &Records, log: &[Logged], root: &merkle::Hash) {
    let audit = records.audit();
    for (index, logged) in log.iter().enumerate() {
        let index = index as u64;
        let proof = audit.inclusion_proof(index, 17).await.expect("proof").expect("some");
        assert!(merkle::verify_inclusion(&merkle::leaf_hash(&logged.bytes), index, 17, &proof, root));
        let old = logged.head.as_ref().expect("head");
        let proof = audit.consistency_proof(old.size, 17).await.expect("proof").expect("some");
        assert!(merkle::verify_consistency(old.size, 17, &old.root, root, &proof));
    }
    assert_eq!(audit.inclusion_proof(3, 18).await.expect("proof"), None);
}

#[tokio::test]
async fn operations_leases_and_outbox_keep_their_promises() {
    let folder = tempfile::tempdir().expect("folder");
    for db in databases(folder.path()).await {
        let operations = Operations::new(db.clone());
        Operations::create(db.connection(), "operations/a", "evaluate", b"m".to_vec(), at(0))
            .await
            .expect("create");
        let twice = Operations::create(db.connection(), "operations/a", "evaluate", vec![], at(0)).await;
        assert!(matches!(twice, Err(Error::AlreadyExists { .. })));
        assert!(!operations.progress("operations/a", 0.5, at(1)).await.expect("progress"));
        operations.cancel("operations/a", at(2)).await.expect("cancel");
        assert!(operations.progress("operations/a", 0.6, at(3)).await.expect("progress"));
        assert_eq!(operations.unfinished("evaluate").await.expect("list").len(), 1);
        operations.finish("operations/a", Outcome::Succeeded(b"r".to_vec()), at(4)).await.expect("finish");
        let again = operations.finish("operations/a", Outcome::Cancelled, at(5)).await;
        assert!(matches!(again, Err(Error::OperationOver { .. })));
        let done = operations.get("operations/a").await.expect("get");
        assert_eq!((done.outcome, done.progress), (Some(Outcome::Succeeded(b"r".to_vec())), 1.0));
        let failed = Outcome::Failed { code: 9, message: "no".into(), status: vec![8, 9, 0, 255] };
        Operations::create(db.connection(), "operations/b", "evaluate", vec![], at(0)).await.expect("create");
        operations.finish("operations/b", failed.clone(), at(4)).await.expect("finish");
        assert_eq!(
            operations.get("operations/b").await.expect("get").outcome,
            Some(failed),
            "with its details"
        );

        let (leases, ttl) = (Leases::new(db.clone()), Duration::from_secs(10));
        let first = leases.acquire("judge", "one", ttl, at(0)).await.expect("acquire").expect("free");
        assert_eq!(leases.acquire("judge", "two", ttl, at(9)).await.expect("acquire"), None);
        let second = leases.acquire("judge", "two", ttl, at(10)).await.expect("acquire").expect("over");
        assert!(second.token > first.token);
        assert_eq!(leases.renew(&first, ttl, at(11)).await.expect("renew"), None);
        leases.release(&second).await.expect("release");
        assert!(leases.acquire("judge", "one", ttl, at(12)).await.expect("acquire").is_some());

        let outbox = Outbox::new(db.clone());
        let tx = db.begin_write().await.expect("begin");
        Outbox::push(tx.connection(), "t", "k", b"1".to_vec(), at(0)).await.expect("push");
        Outbox::push(tx.connection(), "t", "k", b"2".to_vec(), at(0)).await.expect("push");
        tx.commit().await.expect("commit");
        let due = outbox.due("t", at(0), 10).await.expect("due");
        assert_eq!(due.len(), 2);
        outbox.delivered(&[due[0].id]).await.expect("delivered");
        outbox.failed(due[1].id, "no answer", at(5)).await.expect("failed");
        assert_eq!(outbox.due("t", at(4), 10).await.expect("due").len(), 0);
        assert_eq!(outbox.due("t", at(5), 10).await.expect("due")[0].attempts, 1);
    }
}

#[tokio::test]
async fn a_full_unit_survives_reopening_with_the_same_key() {
    let folder = tempfile::tempdir().expect("folder");
    let (url, key) =
        (format!("sqlite://{}/r.db?mode=rwc", folder.path().display()), folder.path().join("k/key.pem"));
    for round in 0..3_u64 {
        let db = storage::connect(&url).await.expect("connect");
        storage::migrate(&db, &[]).await.expect("migrate");
        let signer = Arc::new(Signer::load_or_create(&key).expect("key"));
        let records = Records::open(db, signer).await.expect("open");
        let mut unit = records.begin(cause(None, "")).await.expect("begin");
        unit.insert(draft(&format!("things/{round}")), "create").await.expect("insert");
        assert_eq!(unit.commit(b"").await.expect("commit")[0].sequence, round);
        verify(log_of(&records).await, &records.audit().public_key(), &[]).expect("holds");
        records.database().connection().execute_unprepared("SELECT 1").await.expect("alive");
        records.database().clone().close().await.expect("close");
    }
}
