//! Blobs on a real folder; key-value stores and observation logs in memory, and in Redis when there is one.

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use std::{
    io,
    time::{Duration, SystemTime},
};
use storage::{
    BlobError, Blobs, Bucket, Digest, Taken, Upload, Wanted,
    kv::{self, KvError},
    observation_log::{self, Position},
};

fn urls() -> Vec<String> {
    let mut urls = vec!["memory:".to_owned()];
    match std::env::var("WLP_TEST_REDIS_URL") {
        Ok(url) => urls.push(url),
        Err(_) if std::env::var("CI").is_ok_and(|ci| ci == "true") => panic!("WLP_TEST_REDIS_URL is not set"),
        Err(_) => eprintln!("skipped on Redis: WLP_TEST_REDIS_URL is not set"),
    }
    urls
}

#[tokio::test]
async fn values_counters_and_swaps_behave_alike() {
    for url in urls() {
        let kv = kv::connect(&url, &uuid::Uuid::new_v4().to_string()).await.expect("connect");
        let (one, two) = (Bytes::from_static(b"one"), Bytes::from_static(b"two"));
        assert_eq!(kv.get("a").await.expect("get"), None);
        assert!(kv.cas("a", None, one.clone(), None).await.expect("cas"));
        assert!(!kv.cas("a", None, two.clone(), None).await.expect("cas"));
        assert!(!kv.cas("a", Some(b"two"), two.clone(), None).await.expect("cas"));
        assert!(kv.cas("a", Some(b"one"), two.clone(), None).await.expect("cas"));
        assert_eq!(kv.get("a").await.expect("get"), Some(two));
        assert!(matches!(kv.incr("a", 1, None).await, Err(KvError::NotANumber(_))));
        assert!(kv.delete("a").await.expect("delete"));
        assert!(!kv.delete("a").await.expect("delete"));
        let ttl = Some(Duration::from_millis(300));
        assert_eq!(kv.incr("n", 2, ttl).await.expect("incr"), 2);
        assert_eq!(kv.incr("n", -5, ttl).await.expect("incr"), -3);
        kv.set("b", one, ttl).await.expect("set");
        let gone = async {
            while kv.get("b").await.expect("get").is_some() || kv.get("n").await.expect("get").is_some() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), gone).await.expect("values end");
    }
}

#[tokio::test]
async fn a_bucket_gives_what_is_in_it_and_tells_when_there_is_more() {
    for url in urls() {
        let kv = kv::connect(&url, &uuid::Uuid::new_v4().to_string()).await.expect("connect");
        let (slow, wanted) = (Bucket { per_second: 1e-4, burst: 10 }, |least, most| Wanted { least, most });
        assert_eq!(kv.take("b", slow, wanted(1, 4)).await.expect("take"), Taken::Tokens(4));
        assert_eq!(kv.take("b", slow, wanted(1, 8)).await.expect("take"), Taken::Tokens(6));
        let Taken::After(wait) = kv.take("b", slow, wanted(2, 2)).await.expect("take") else {
            panic!("the bucket was empty")
        };
        assert!((15_000..=20_000).contains(&wait.as_secs()), "2 tokens at one in 10000 s: {wait:?}");
        assert_eq!(kv.take("other", slow, wanted(10, 10)).await.expect("take"), Taken::Tokens(10));
        let fast = Bucket { per_second: 1e6, burst: 3 };
        for _ in 0..5 {
            let filled = async {
                while kv.take("fast", fast, wanted(3, 9)).await.expect("take") != Taken::Tokens(3) {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(5), filled).await.expect("it fills again");
        }
        // Many at a time: none is given twice.
        let all = (0..50).map(|_| kv.take("many", Bucket { per_second: 1e-6, burst: 30 }, wanted(1, 1)));
        let taken = futures::future::join_all(all).await;
        let given = taken.into_iter().filter(|taken| matches!(taken, Ok(Taken::Tokens(1)))).count();
        assert_eq!(given, 30);
    }
}

#[tokio::test]
async fn observations_are_read_again_until_acknowledged_and_bounded() {
    for url in urls() {
        let name = uuid::Uuid::new_v4().to_string();
        let log = observation_log::connect(&url, &name, 5).await.expect("connect");
        for number in 0..7_u8 {
            log.append(Bytes::from(vec![number])).await.expect("append");
        }
        assert_eq!(log.dropped().await.expect("dropped"), 2);
        let all = log.read_from(Position::default(), 100).await.expect("read");
        assert_eq!(all.iter().map(|(_, bytes)| bytes[0]).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
        assert_eq!(log.read_from(all[1].0, 2).await.expect("read"), all[2..4]);
        log.ack(all[2].0).await.expect("ack");
        log.ack(all[0].0).await.expect("an older place changes nothing");
        assert_eq!(log.acked().await.expect("acked"), all[2].0);
        assert_eq!(log.read_from(Position::default(), 100).await.expect("read"), all[3..]);
    }
}

fn pieces(bytes: &[u8]) -> Vec<Result<Bytes, io::Error>> {
    bytes.chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect()
}

#[tokio::test]
async fn an_upload_resumes_and_is_checked() {
    let folder = tempfile::tempdir().expect("folder");
    let blobs = Blobs::open(folder.path(), 1 << 20).await.expect("open");
    let bytes: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
    let upload = Upload { id: "up-1".into(), digest: Digest::of(&bytes), size: bytes.len() as u64 };
    let mut broken = pieces(&bytes[..40_000]);
    broken.push(Err(io::Error::other("gone")));
    let result = blobs.put_stream(&upload, 0, stream::iter(broken)).await;
    assert!(matches!(result, Err(BlobError::BrokenOff(_))));
    assert!(matches!(blobs.finish(&upload).await, Err(BlobError::Incomplete { have: 40_000, .. })));
    let wrong = blobs.put_stream(&upload, 0, stream::iter(pieces(&bytes))).await;
    assert!(matches!(wrong, Err(BlobError::OffsetMismatch { have: 40_000, given: 0 })));
    let offset = blobs.upload_offset("up-1").await.expect("offset");
    blobs.put_stream(&upload, offset, stream::iter(pieces(&bytes[40_000..]))).await.expect("rest");
    assert!(!blobs.exists(&upload.digest).await.expect("exists"));
    assert_eq!(blobs.finish(&upload).await.expect("finish"), upload.digest);
    assert_eq!(blobs.finish(&upload).await.expect("asked again"), upload.digest);
    let read: Vec<Bytes> = blobs.get(&upload.digest).await.expect("get").try_collect().await.expect("whole");
    assert_eq!(read.concat(), bytes);
    assert_eq!(blobs.get_range(&upload.digest, 10..20).await.expect("range"), &bytes[10..20]);
    let outside = blobs.get_range(&upload.digest, 99_999..100_001).await;
    assert!(matches!(outside, Err(BlobError::BadRange { .. })));
}

#[tokio::test]
async fn wrong_oversized_and_damaged_bytes_are_never_served() {
    let folder = tempfile::tempdir().expect("folder");
    let blobs = Blobs::open(folder.path(), 10_000).await.expect("open");
    let lie = Upload { id: "lie".into(), digest: Digest::of(b"other"), size: 4 };
    blobs.put_stream(&lie, 0, stream::iter(pieces(b"four"))).await.expect("put");
    assert!(matches!(blobs.finish(&lie).await, Err(BlobError::DigestMismatch { .. })));
    assert_eq!(blobs.upload_offset("lie").await.expect("offset"), 0);
    let long = blobs.put_stream(&lie, 0, stream::iter(pieces(b"five!"))).await;
    assert!(matches!(long, Err(BlobError::TooLarge { limit: 4 })));
    let huge = Upload { id: "huge".into(), size: 10_001, ..lie.clone() };
    assert!(matches!(
        blobs.put_stream(&huge, 0, stream::iter(pieces(b""))).await,
        Err(BlobError::TooLarge { limit: 10_000 })
    ));
    for id in ["", "../x", "A", "a/b", "a.b"] {
        assert!(matches!(blobs.upload_offset(id).await, Err(BlobError::BadUploadId(_))));
    }
    for how in 0..3 {
        let digest = blobs.put(Bytes::from_static(b"precious")).await.expect("put");
        std::fs::write(blobs.local_path(&digest), b"precioux").expect("damage");
        let result = match how {
            0 => blobs.read(&digest).await.map(|_| ()),
            1 => blobs.check(&digest).await,
            _ => match blobs.get(&digest).await.expect("get").collect::<Vec<_>>().await.pop() {
                Some(Err(error)) => Err(error),
                _ => Ok(()),
            },
        };
        assert!(matches!(result, Err(BlobError::Damaged(_))));
        assert!(matches!(blobs.read(&digest).await, Err(BlobError::NotFound(_))));
    }
    blobs.put_stream(&lie, 0, stream::iter(pieces(b"fo"))).await.expect("put");
    assert_eq!(blobs.sweep(SystemTime::now(), Duration::from_secs(60)).await.expect("sweep"), 0);
    let later = SystemTime::now() + Duration::from_secs(120);
    assert_eq!(blobs.sweep(later, Duration::from_secs(60)).await.expect("sweep"), 1);
    let empty = blobs.put(Bytes::new()).await.expect("no bytes are a blob too");
    assert_eq!(blobs.read(&empty).await.expect("read"), Bytes::new());
}
