//! Small shared values that may be lost: counters, caches, windows. In memory or in Redis.

use async_trait::async_trait;
use bytes::Bytes;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

use crate::bucket::{Bucket, Taken, Wanted};

/// What can go wrong with a key-value store or an observation log.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    /// The address is neither `memory:` nor `redis://`.
    #[error("kv url must be memory: or begin with redis://")]
    Address,
    /// A counter was asked for and something else is stored.
    #[error("the value of {0} is not a number")]
    NotANumber(String),
    /// What is stored is not what this crate wrote.
    #[error("stored value is damaged: {0}")]
    Damaged(String),
    /// Redis failed or is gone. Serve as `UNAVAILABLE`, or go on without.
    #[error("redis: {0}")]
    Redis(#[from] redis::RedisError),
}

/// A key-value store. Times to live are real time, to the millisecond.
#[async_trait]
pub trait Kv: Send + Sync {
    /// The value, unless it is absent or over.
    async fn get(&self, key: &str) -> Result<Option<Bytes>, KvError>;
    /// Puts a value, for ever or for `ttl`.
    async fn set(&self, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<(), KvError>;
    /// Adds to a counter that starts at 0 and returns the sum; `ttl` runs from its first increment.
    async fn incr(&self, key: &str, by: i64, ttl: Option<Duration>) -> Result<i64, KvError>;
    /// Puts `value` only if `expected` (`None`: nothing) is stored; true if it did.
    async fn cas(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<bool, KvError>;
    /// Removes a value; true if there was one.
    async fn delete(&self, key: &str) -> Result<bool, KvError>;
    /// Takes tokens from a bucket, in one step and by the store's own clock: who shares the store shares the bucket.
    async fn take(&self, key: &str, bucket: Bucket, wanted: Wanted) -> Result<Taken, KvError>;
}

/// Most keys of a memory store made by [`connect`].
const MEMORY_KEYS: usize = 100_000;

/// Opens `memory:` (bounded, gone with the process) or `redis://...` (keys begin with `prefix:`).
pub async fn connect(url: &str, prefix: &str) -> Result<Arc<dyn Kv>, KvError> {
    if url == "memory:" {
        return Ok(Arc::new(MemoryKv::new(MEMORY_KEYS)));
    }
    Ok(Arc::new(RedisKv { connection: connect_redis(url).await?, prefix: prefix.to_owned() }))
}

/// As [`connect`], but Redis need not be there: the first use connects, and fails while it is away. For a service that
/// serves on without its store.
///
/// # Errors
/// If the address is none.
pub fn connect_lazily(url: &str, prefix: &str) -> Result<Arc<dyn Kv>, KvError> {
    if url == "memory:" {
        return Ok(Arc::new(MemoryKv::new(MEMORY_KEYS)));
    }
    let connection = ConnectionManager::new_lazy_with_config(client(url)?, patience())?;
    Ok(Arc::new(RedisKv { connection, prefix: prefix.to_owned() }))
}

pub(crate) async fn connect_redis(url: &str) -> Result<ConnectionManager, KvError> {
    Ok(ConnectionManager::new_with_config(client(url)?, patience()).await?)
}

fn client(url: &str) -> Result<redis::Client, KvError> {
    if !url.starts_with("redis://") {
        return Err(KvError::Address);
    }
    Ok(redis::Client::open(url)?)
}

fn patience() -> ConnectionManagerConfig {
    let patience = Some(Duration::from_secs(2));
    ConnectionManagerConfig::new().set_connection_timeout(patience).set_response_timeout(patience)
}

/// In memory; when full, the key that was written longest ago gives way.
pub struct MemoryKv {
    max_keys: usize,
    began: Instant,
    state: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    values: HashMap<String, Value>,
    by_age: BTreeMap<u64, String>,
    writes: u64,
}

struct Value {
    bytes: Bytes,
    expires: Option<Instant>,
    age: u64,
}

impl MemoryKv {
    /// At most `max_keys` keys.
    pub fn new(max_keys: usize) -> Self {
        Self { max_keys: max_keys.max(1), began: Instant::now(), state: Mutex::default() }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Memory) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let done = work(&mut state);
        while state.values.len() > self.max_keys {
            let Some((_, oldest)) = state.by_age.pop_first() else { break };
            state.values.remove(&oldest);
        }
        done
    }
}

impl Memory {
    fn get(&mut self, key: &str) -> Option<Bytes> {
        let value = self.values.get(key)?;
        if value.expires.is_some_and(|expires| expires <= Instant::now()) {
            self.remove(key);
            return None;
        }
        Some(value.bytes.clone())
    }

    fn put(&mut self, key: &str, bytes: Bytes, expires: Option<Instant>) {
        self.remove(key);
        self.writes += 1;
        self.by_age.insert(self.writes, key.to_owned());
        self.values.insert(key.to_owned(), Value { bytes, expires, age: self.writes });
    }

    fn remove(&mut self, key: &str) -> bool {
        let Some(value) = self.values.remove(key) else { return false };
        self.by_age.remove(&value.age);
        true
    }
}

fn expiry(ttl: Option<Duration>) -> Option<Instant> {
    ttl.and_then(|ttl| Instant::now().checked_add(ttl))
}

#[async_trait]
impl Kv for MemoryKv {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, KvError> {
        Ok(self.with(|memory| memory.get(key)))
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<(), KvError> {
        self.with(|memory| memory.put(key, value, expiry(ttl)));
        Ok(())
    }

    async fn incr(&self, key: &str, by: i64, ttl: Option<Duration>) -> Result<i64, KvError> {
        self.with(|memory| {
            let not_a_number = || KvError::NotANumber(key.to_owned());
            let (sum, expires) = match memory.get(key) {
                None => (by, expiry(ttl)),
                Some(bytes) => {
                    let text = std::str::from_utf8(&bytes).map_err(|_| not_a_number())?;
                    let value: i64 = text.parse().map_err(|_| not_a_number())?;
                    let sum = value.checked_add(by).ok_or_else(not_a_number)?;
                    (sum, memory.values.get(key).and_then(|value| value.expires))
                }
            };
            memory.put(key, Bytes::from(sum.to_string()), expires);
            Ok(sum)
        })
    }

    async fn cas(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<bool, KvError> {
        Ok(self.with(|memory| {
            let same = memory.get(key).as_deref() == expected;
            if same {
                memory.put(key, value, expiry(ttl));
            }
            same
        }))
    }

    async fn delete(&self, key: &str) -> Result<bool, KvError> {
        Ok(self.with(|memory| memory.get(key).is_some() && memory.remove(key)))
    }

    async fn take(&self, key: &str, bucket: Bucket, wanted: Wanted) -> Result<Taken, KvError> {
        self.with(|memory| {
            let now = self.began.elapsed();
            let (left, at) = match memory.get(key) {
                Some(bytes) => level(&bytes).ok_or_else(|| KvError::Damaged(key.to_owned()))?,
                None => (f64::INFINITY, now),
            };
            let (left, taken) = bucket.take(left, now.saturating_sub(at), wanted);
            memory.put(key, written(left, now), expiry(Some(bucket.lifetime())));
            Ok(taken)
        })
    }
}

/// How a bucket stands in memory: its tokens, and when that was, in nanoseconds of the store's life.
fn level(bytes: &[u8]) -> Option<(f64, Duration)> {
    let (tokens, at) = bytes.split_first_chunk::<8>()?;
    let at = u64::from_le_bytes(at.try_into().ok()?);
    Some((f64::from_bits(u64::from_le_bytes(*tokens)), Duration::from_nanos(at)))
}

fn written(tokens: f64, at: Duration) -> Bytes {
    let at = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
    Bytes::from([tokens.to_bits().to_le_bytes(), at.to_le_bytes()].concat())
}

/// In Redis.
pub struct RedisKv {
    connection: ConnectionManager,
    prefix: String,
}

const INCR: &str = "local fresh = redis.call('EXISTS', KEYS[1]) == 0
local sum = redis.call('INCRBY', KEYS[1], ARGV[1])
if fresh and ARGV[2] ~= '0' then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return sum";

const CAS: &str = "local now = redis.call('GET', KEYS[1])
if ARGV[1] == '0' then if now then return 0 end elseif now ~= ARGV[2] then return 0 end
if ARGV[4] == '0' then redis.call('SET', KEYS[1], ARGV[3])
else redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4]) end
return 1";

/// [`Bucket::take`], by the clock of the server. Microseconds since 1970 are whole numbers below 2^53.
const TAKE: &str = "local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local least, most = tonumber(ARGV[3]), tonumber(ARGV[4])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = burst
if kept[1] and kept[2] then
  local passed = math.max(0, now - tonumber(kept[2]))
  tokens = math.min(burst, tonumber(kept[1]) + passed * rate / 1000000)
end
local taken, wait = 0, 0
if least <= math.floor(tokens) then taken = math.min(most, math.floor(tokens))
else wait = math.ceil((least - tokens) * 1000000 / rate) end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.17g', tokens - taken), 'at', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return {taken, string.format('%.0f', wait)}";

/// Longest time to live that is asked of Redis for a bucket: a century.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Milliseconds for Redis; 0 stands for no limit, so the shortest time to live is 1.
fn millis(ttl: Option<Duration>) -> u64 {
    ttl.map_or(0, |ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX as u64 / 2))
}

impl RedisKv {
    fn key(&self, key: &str) -> String {
        format!("{}:{key}", self.prefix)
    }
}

#[async_trait]
impl Kv for RedisKv {
    async fn get(&self, key: &str) -> Result<Option<Bytes>, KvError> {
        let found: Option<Vec<u8>> =
            redis::cmd("GET").arg(self.key(key)).query_async(&mut self.connection.clone()).await?;
        Ok(found.map(Bytes::from))
    }

    async fn set(&self, key: &str, value: Bytes, ttl: Option<Duration>) -> Result<(), KvError> {
        let mut command = redis::cmd("SET");
        command.arg(self.key(key)).arg(&value[..]);
        if ttl.is_some() {
            command.arg("PX").arg(millis(ttl));
        }
        Ok(command.query_async(&mut self.connection.clone()).await?)
    }

    async fn incr(&self, key: &str, by: i64, ttl: Option<Duration>) -> Result<i64, KvError> {
        let script = redis::Script::new(INCR);
        let mut call = script.key(self.key(key));
        let sum = call.arg(by).arg(millis(ttl)).invoke_async(&mut self.connection.clone()).await;
        sum.map_err(|error: redis::RedisError| {
            let wrong = error.to_string();
            if wrong.contains("not an integer") || wrong.contains("overflow") {
                KvError::NotANumber(key.to_owned())
            } else {
                error.into()
            }
        })
    }

    async fn cas(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        value: Bytes,
        ttl: Option<Duration>,
    ) -> Result<bool, KvError> {
        let script = redis::Script::new(CAS);
        let mut call = script.key(self.key(key));
        call.arg(i32::from(expected.is_some()))
            .arg(expected.unwrap_or_default())
            .arg(&value[..])
            .arg(millis(ttl));
        let done: i32 = call.invoke_async(&mut self.connection.clone()).await?;
        Ok(done == 1)
    }

    async fn delete(&self, key: &str) -> Result<bool, KvError> {
        let gone: i64 =
            redis::cmd("DEL").arg(self.key(key)).query_async(&mut self.connection.clone()).await?;
        Ok(gone == 1)
    }

    async fn take(&self, key: &str, bucket: Bucket, wanted: Wanted) -> Result<Taken, KvError> {
        let wanted = bucket.possible(wanted);
        let script = redis::Script::new(TAKE);
        let mut call = script.key(self.key(key));
        call.arg(bucket.per_second)
            .arg(bucket.burst.max(1))
            .arg(wanted.least)
            .arg(wanted.most)
            .arg(millis(Some(bucket.lifetime().min(CENTURY))));
        let (taken, wait): (u64, String) = call.invoke_async(&mut self.connection.clone()).await?;
        if taken > 0 {
            return Ok(Taken::Tokens(taken));
        }
        let wait: f64 = wait.parse().map_err(|_| KvError::Damaged(key.to_owned()))?;
        Ok(Taken::After(Duration::try_from_secs_f64(wait / 1e6).unwrap_or(Duration::MAX)))
    }
}
