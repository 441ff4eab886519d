//! An ordered, bounded log from many writers to one reader, delivered at least once.

use crate::kv::{KvError, connect_redis};
use async_trait::async_trait;
use bytes::Bytes;
use redis::aio::ConnectionManager;
use std::{
    collections::VecDeque,
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

/// A place in a log; later ones are greater. `0-0` is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    major: u64,
    minor: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.major, self.minor)
    }
}

impl FromStr for Position {
    type Err = KvError;

    fn from_str(text: &str) -> Result<Self, KvError> {
        let damaged = || KvError::Damaged(format!("position {text:?}"));
        let (major, minor) = text.split_once('-').ok_or_else(damaged)?;
        Ok(Self {
            major: major.parse().map_err(|_| damaged())?,
            minor: minor.parse().map_err(|_| damaged())?,
        })
    }
}

/// A log of observations.
#[async_trait]
pub trait ObservationLog: Send + Sync {
    /// Appends one and returns its place. At the bound the oldest is dropped, and counted.
    async fn append(&self, observation: Bytes) -> Result<Position, KvError>;
    /// Up to `limit` observations after a place, in order. Reading removes nothing.
    async fn read_from(&self, after: Position, limit: usize) -> Result<Vec<(Position, Bytes)>, KvError>;
    /// Everything up to and including this place is dealt with and removed.
    async fn ack(&self, through: Position) -> Result<(), KvError>;
    /// The last acknowledged place: where a reader that starts anew goes on.
    async fn acked(&self) -> Result<Position, KvError>;
    /// How many were dropped at the bound without being acknowledged.
    async fn dropped(&self) -> Result<u64, KvError>;
}

/// Opens `memory:` or `redis://...` (streams named `name`), holding at most `max_len` observations.
pub async fn connect(url: &str, name: &str, max_len: usize) -> Result<Arc<dyn ObservationLog>, KvError> {
    if url == "memory:" {
        return Ok(Arc::new(MemoryLog::new(max_len)));
    }
    let connection = connect_redis(url).await?;
    Ok(Arc::new(RedisLog { connection, name: name.to_owned(), max_len: max_len.max(1) }))
}

/// In memory, gone with the process.
pub struct MemoryLog {
    max_len: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    last: u64,
    acked: Position,
    dropped: u64,
    waiting: VecDeque<(Position, Bytes)>,
}

impl MemoryLog {
    /// At most `max_len` observations.
    pub fn new(max_len: usize) -> Self {
        Self { max_len: max_len.max(1), state: Mutex::default() }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl ObservationLog for MemoryLog {
    async fn append(&self, observation: Bytes) -> Result<Position, KvError> {
        Ok(self.with(|state| {
            state.last += 1;
            let position = Position { major: state.last, minor: 0 };
            state.waiting.push_back((position, observation));
            if state.waiting.len() > self.max_len {
                state.waiting.pop_front();
                state.dropped += 1;
            }
            position
        }))
    }

    async fn read_from(&self, after: Position, limit: usize) -> Result<Vec<(Position, Bytes)>, KvError> {
        Ok(self.with(|state| {
            let from = state.waiting.partition_point(|(position, _)| *position <= after);
            state.waiting.range(from..).take(limit).cloned().collect()
        }))
    }

    async fn ack(&self, through: Position) -> Result<(), KvError> {
        self.with(|state| {
            let done = state.waiting.partition_point(|(position, _)| *position <= through);
            state.waiting.drain(..done);
            state.acked = state.acked.max(through);
        });
        Ok(())
    }

    async fn acked(&self) -> Result<Position, KvError> {
        Ok(self.with(|state| state.acked))
    }

    async fn dropped(&self) -> Result<u64, KvError> {
        Ok(self.with(|state| state.dropped))
    }
}

/// A Redis stream, with the acknowledged place and the count of dropped ones beside it.
pub struct RedisLog {
    connection: ConnectionManager,
    name: String,
    max_len: usize,
}

const APPEND: &str = "local id = redis.call('XADD', KEYS[1], '*', 'o', ARGV[1])
local gone = redis.call('XTRIM', KEYS[1], 'MAXLEN', ARGV[2])
if gone > 0 then redis.call('INCRBY', KEYS[2], gone) end
return id";

const ACK: &str = "redis.call('XTRIM', KEYS[1], 'MINID', ARGV[1])
redis.call('XDEL', KEYS[1], ARGV[1])
redis.call('SET', KEYS[2], ARGV[1])";

impl RedisLog {
    fn beside(&self, what: &str) -> String {
        format!("{}:{what}", self.name)
    }
}

#[async_trait]
impl ObservationLog for RedisLog {
    async fn append(&self, observation: Bytes) -> Result<Position, KvError> {
        let script = redis::Script::new(APPEND);
        let mut call = script.key(&self.name);
        call.key(self.beside("dropped")).arg(&observation[..]).arg(self.max_len);
        let id: String = call.invoke_async(&mut self.connection.clone()).await?;
        id.parse()
    }

    async fn read_from(&self, after: Position, limit: usize) -> Result<Vec<(Position, Bytes)>, KvError> {
        let mut command = redis::cmd("XRANGE");
        command.arg(&self.name).arg(format!("({after}")).arg("+").arg("COUNT").arg(limit);
        let rows: Vec<(String, Vec<(String, Vec<u8>)>)> =
            command.query_async(&mut self.connection.clone()).await?;
        rows.into_iter()
            .map(|(id, fields)| {
                let (_, bytes) =
                    fields.into_iter().next().ok_or_else(|| KvError::Damaged(format!("entry {id}")))?;
                Ok((id.parse()?, Bytes::from(bytes)))
            })
            .collect()
    }

    async fn ack(&self, through: Position) -> Result<(), KvError> {
        if through <= self.acked().await? {
            return Ok(());
        }
        let script = redis::Script::new(ACK);
        let mut call = script.key(&self.name);
        call.key(self.beside("acked")).arg(through.to_string());
        Ok(call.invoke_async(&mut self.connection.clone()).await?)
    }

    async fn acked(&self) -> Result<Position, KvError> {
        let command = redis::cmd("GET").arg(self.beside("acked")).to_owned();
        let text: Option<String> = command.query_async(&mut self.connection.clone()).await?;
        text.map_or(Ok(Position::default()), |text| text.parse())
    }

    async fn dropped(&self) -> Result<u64, KvError> {
        let command = redis::cmd("GET").arg(self.beside("dropped")).to_owned();
        let count: Option<u64> = command.query_async(&mut self.connection.clone()).await?;
        Ok(count.unwrap_or(0))
    }
}
