//! Answers in this process: so many bytes, and who was asked for longest ago gives way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use engine::{Tensor, TensorData};
use hashlink::LruCache;

use super::Key;

/// Bytes of memory that an entry and each of its tensors take beside their data, near enough.
const AROUND: u64 = 192;

/// Answers by key.
pub struct Kept {
    most: u64,
    lifetime: Duration,
    entries: Mutex<Entries>,
}

struct Entries {
    bytes: u64,
    by_key: LruCache<Key, Entry>,
}

struct Entry {
    outputs: Arc<[Tensor]>,
    bytes: u64,
    since: Instant,
}

impl Kept {
    /// At most that many bytes, each answer for that long.
    pub fn new(most: u64, lifetime: Duration) -> Self {
        let entries = Entries { bytes: 0, by_key: LruCache::new_unbounded() };
        Self { most, lifetime, entries: Mutex::new(entries) }
    }

    /// The answer of that key.
    pub fn get(&self, key: &Key, now: Instant) -> Option<Arc<[Tensor]>> {
        let mut entries = self.lock();
        let entry = entries.by_key.get(key)?;
        if now.saturating_duration_since(entry.since) < self.lifetime {
            return Some(entry.outputs.clone());
        }
        entries.remove(key);
        None
    }

    /// Keeps an answer. What was written longest ago, or asked for, makes room.
    pub fn put(&self, key: Key, outputs: Arc<[Tensor]>, now: Instant) {
        let bytes = outputs.iter().map(size).sum::<u64>() + AROUND;
        if self.most < bytes {
            return;
        }
        let mut entries = self.lock();
        entries.remove(&key);
        while self.most < entries.bytes + bytes {
            let Some((_, oldest)) = entries.by_key.remove_lru() else { break };
            entries.bytes -= oldest.bytes;
        }
        entries.bytes += bytes;
        entries.by_key.insert(key, Entry { outputs, bytes, since: now });
    }

    /// Answers and their bytes now.
    pub fn size(&self) -> (usize, u64) {
        let entries = self.lock();
        (entries.by_key.len(), entries.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.by_key.remove(key) {
            self.bytes -= entry.bytes;
        }
    }
}

fn size(tensor: &Tensor) -> u64 {
    (tensor.byte_len() + tensor.name().len() + 8 * tensor.shape().len()) as u64 + AROUND
}

/// A copy with memory of its own: an output may be a slice of a whole batch, which must not stay for its sake.
pub fn copied(outputs: &[Tensor]) -> Option<Arc<[Tensor]>> {
    let copy = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
    let one = |tensor: &Tensor| match tensor.data() {
        TensorData::Raw(data) => {
            Tensor::raw(tensor.name(), tensor.datatype(), tensor.shape().to_vec(), copy(data))
        }
        TensorData::Strings(elements) => {
            Tensor::strings(tensor.name(), tensor.shape().to_vec(), elements.iter().map(copy).collect())
        }
    };
    outputs.iter().map(one).collect::<Result<_, _>>().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(rows: usize) -> Arc<[Tensor]> {
        [Tensor::of("y", vec![rows as i64], &vec![1_u8; rows]).unwrap()].into()
    }

    fn key(number: u8) -> Key {
        Key([number; 32])
    }

    #[test]
    fn the_bound_is_bytes_and_what_was_asked_for_longest_ago_gives_way() {
        let now = Instant::now();
        let kept = Kept::new(4000, Duration::from_secs(9));
        kept.put(key(1), answer(600), now);
        kept.put(key(2), answer(600), now);
        kept.put(key(3), answer(600), now);
        assert!(kept.get(&key(1), now).is_some());
        kept.put(key(4), answer(1000), now);
        assert!(kept.get(&key(2), now).is_none(), "1 was asked for since");
        assert!(kept.get(&key(1), now).is_some() && kept.get(&key(4), now).is_some());
        kept.put(key(5), answer(4000), now);
        assert!(kept.get(&key(5), now).is_none(), "larger than all room");
        assert_eq!(kept.size().0, 3);
        kept.put(key(1), answer(1), now);
        assert_eq!(kept.get(&key(1), now).unwrap()[0].rows(), 1);
        let (count, bytes) = kept.size();
        assert!(count == 3 && bytes <= 4000, "{count} {bytes}");
    }

    #[test]
    fn an_answer_ends_with_its_time() {
        let (now, kept) = (Instant::now(), Kept::new(1 << 20, Duration::from_secs(9)));
        kept.put(key(1), answer(6), now);
        assert!(kept.get(&key(1), now + Duration::from_millis(8999)).is_some());
        assert!(kept.get(&key(1), now + Duration::from_secs(9)).is_none());
        assert_eq!(kept.size(), (0, 0));
    }

    #[test]
    fn a_copy_holds_no_batch() {
        let batch = Bytes::from(vec![7_u8; 1000]);
        let part = Tensor::raw("y", engine::DataType::Uint8, vec![2], batch.slice(10..12)).unwrap();
        let text = Tensor::of_text("t", vec![1], &["abc"]).unwrap();
        let copy = copied(&[part.clone(), text.clone()]).unwrap();
        assert_eq!(&*copy, [part, text]);
        let TensorData::Raw(data) = copy[0].data() else { panic!("raw") };
        assert!(!batch.as_ptr_range().contains(&data.as_ptr()));
    }
}
