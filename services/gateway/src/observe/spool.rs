//! A bounded queue of records on disk: segment files, each record with its length and checksum.
//!
//! Delivered at least once: the cursor may be older than what was sent. At the bound the oldest segment gives way, and its
//! records are counted. Blocking; call it where that is allowed.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const HEAD: u64 = 8;
/// Larger records are refused.
pub const MOST_BYTES: usize = 16 << 20;

/// Where a record stands; [`Spool::advance`] takes it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    segment: u64,
    offset: u64,
    bytes: u64,
}

/// A record and where it stands.
pub type Found = (Place, Vec<u8>);

#[derive(Debug)]
struct Segment {
    number: u64,
    bytes: u64,
    records: u64,
}

/// The queue.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    most: u64,
    /// Bytes after which a segment is closed.
    full: u64,
    segments: VecDeque<Segment>,
    writer: Option<File>,
    /// Place of the next record in the first segment.
    offset: u64,
    /// Records read from the first segment.
    read: u64,
}

impl Spool {
    /// Opens what an earlier run left; a torn or damaged end of a segment is cut off.
    ///
    /// # Errors
    /// Of the file system.
    pub fn open(folder: &Path, most: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut numbers: Vec<u64> = fs::read_dir(folder)?
            .filter_map(|entry| {
                let name = entry.ok()?.file_name().into_string().ok()?;
                u64::from_str_radix(name.strip_suffix(".seg")?, 16).ok()
            })
            .collect();
        numbers.sort_unstable();
        let full = (most / 8).clamp(4096, 4 << 20);
        let mut spool = Self {
            folder: folder.to_owned(),
            most,
            full,
            segments: VecDeque::new(),
            writer: None,
            offset: 0,
            read: 0,
        };
        for number in numbers {
            let (bytes, records) = scan(&spool.path(number))?;
            if bytes == 0 {
                fs::remove_file(spool.path(number))?;
            } else {
                spool.segments.push_back(Segment { number, bytes, records });
            }
        }
        spool.seek();
        Ok(spool)
    }

    /// Appends a record. Returns how many old ones gave way.
    ///
    /// # Errors
    /// Of the file system, or a record that is too large.
    pub fn append(&mut self, record: &[u8]) -> io::Result<u64> {
        let length = u32::try_from(record.len()).ok().filter(|_| record.len() <= MOST_BYTES);
        let length = length.ok_or_else(|| io::Error::other("the record is too large for the spool"))?;
        if self.writer.is_none() || self.segments.back().is_none_or(|last| last.bytes >= self.full) {
            self.rotate()?;
        }
        let mut bytes = Vec::with_capacity(record.len() + HEAD as usize);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&crc32(record).to_le_bytes());
        bytes.extend_from_slice(record);
        let (Some(file), Some(last)) = (&mut self.writer, self.segments.back_mut()) else {
            return Err(io::Error::other("the spool has no segment to write to"));
        };
        if let Err(error) = file.write_all(&bytes) {
            self.writer = None; // a torn record ends its segment
            return Err(error);
        }
        last.bytes += bytes.len() as u64;
        last.records += 1;
        self.give_way()
    }

    /// The oldest record that was not taken yet, and how many damaged ones were skipped to find it.
    ///
    /// # Errors
    /// Of the file system.
    pub fn peek(&mut self) -> io::Result<(Option<Found>, u64)> {
        let mut lost = 0;
        while let Some(first) = self.segments.front() {
            if self.offset >= first.bytes {
                if self.segments.len() == 1 {
                    return Ok((None, lost));
                }
                self.drop_first()?;
                continue;
            }
            match read_at(&self.path(first.number), self.offset) {
                Ok(record) => {
                    let (segment, offset) = (first.number, self.offset);
                    let place = Place { segment, offset, bytes: record.len() as u64 };
                    return Ok((Some((place, record)), lost));
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    lost += first.records.saturating_sub(self.read);
                    if self.segments.len() == 1 {
                        self.writer = None;
                    }
                    self.drop_first()?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok((None, lost))
    }

    /// The record that [`Spool::peek`] gave is dealt with. Nothing happens if it has given way since: the cursor stands
    /// elsewhere then.
    ///
    /// # Errors
    /// Of the file system.
    pub fn advance(&mut self, place: Place) -> io::Result<()> {
        let first = self.segments.front().map(|first| first.number);
        if first != Some(place.segment) || self.offset != place.offset {
            return Ok(());
        }
        self.offset += place.bytes + HEAD;
        self.read += 1;
        let done = self.segments.front().is_some_and(|first| self.offset >= first.bytes);
        if done && self.segments.len() == 1 {
            self.writer = None;
        }
        if done { self.drop_first() } else { self.keep_cursor() }
    }

    /// Bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    fn give_way(&mut self) -> io::Result<u64> {
        let mut dropped = 0;
        while self.bytes() > self.most && self.segments.len() > 1 {
            let records = self.segments.front().map_or(0, |first| first.records);
            dropped += records.saturating_sub(self.read);
            self.drop_first()?;
        }
        Ok(dropped)
    }

    fn rotate(&mut self) -> io::Result<()> {
        let number = self.segments.back().map_or_else(|| self.last_cursor(), |last| last.number) + 1;
        let file = OpenOptions::new().create_new(true).append(true).open(self.path(number))?;
        self.writer = Some(file);
        self.segments.push_back(Segment { number, bytes: 0, records: 0 });
        Ok(())
    }

    fn drop_first(&mut self) -> io::Result<()> {
        if let Some(first) = self.segments.pop_front() {
            (self.offset, self.read) = (0, 0);
            fs::write(self.folder.join("cursor"), format!("{} 0 0", first.number + 1))?;
            fs::remove_file(self.path(first.number))?;
        }
        Ok(())
    }

    fn keep_cursor(&self) -> io::Result<()> {
        let number = self.segments.front().map_or(0, |first| first.number);
        fs::write(self.folder.join("cursor"), format!("{number} {} {}", self.offset, self.read))
    }

    /// The segment number that the cursor names: numbers never come twice.
    fn last_cursor(&self) -> u64 {
        self.cursor().map_or(0, |(number, _, _)| number)
    }

    fn cursor(&self) -> Option<(u64, u64, u64)> {
        let text = fs::read_to_string(self.folder.join("cursor")).ok()?;
        let mut parts = text.split(' ').map(|part| part.parse().ok());
        Some((parts.next()??, parts.next()??, parts.next()??))
    }

    fn seek(&mut self) {
        if let Some((number, offset, read)) = self.cursor()
            && self.segments.front().is_some_and(|first| first.number == number && offset <= first.bytes)
        {
            (self.offset, self.read) = (offset, read);
        }
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:016x}.seg"))
    }
}

fn read_at(path: &Path, offset: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    record(&mut file)
}

fn record(file: &mut File) -> io::Result<Vec<u8>> {
    let damaged = || io::Error::from(io::ErrorKind::InvalidData);
    let mut number = || {
        let mut bytes = [0; 4];
        file.read_exact(&mut bytes).map_err(|_| damaged()).map(|()| u32::from_le_bytes(bytes))
    };
    let (length, sum) = (number()? as usize, number()?);
    if length > MOST_BYTES {
        return Err(damaged());
    }
    let mut record = vec![0; length];
    file.read_exact(&mut record).map_err(|_| damaged())?;
    if crc32(&record) == sum { Ok(record) } else { Err(damaged()) }
}

/// Bytes and number of whole records; what comes after them is cut off.
fn scan(path: &Path) -> io::Result<(u64, u64)> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let (mut bytes, mut records) = (0, 0);
    while let Ok(record) = record(&mut file) {
        bytes += record.len() as u64 + HEAD;
        records += 1;
    }
    file.set_len(bytes)?;
    Ok((bytes, records))
}

/// CRC-32 (IEEE 802.3).
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut at = 0;
        while at < 256 {
            let mut value = at as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 { (value >> 1) ^ 0xEDB8_8320 } else { value >> 1 };
                bit += 1;
            }
            table[at] = value;
            at += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc: u32, byte| TABLE[((crc ^ u32::from(*byte)) & 0xFF) as usize] ^ (crc >> 8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(spool: &mut Spool) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| {
            let (place, record) = spool.peek().ok()?.0?;
            spool.advance(place).ok()?;
            Some(record)
        })
        .collect()
    }

    #[test]
    fn records_come_back_in_order_also_after_a_restart() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
        for n in 0..10_u8 {
            spool.append(&[n; 100]).unwrap();
        }
        let (place, _) = spool.peek().unwrap().0.unwrap();
        spool.advance(place).unwrap();
        spool.advance(place).unwrap(); // a record is dealt with once
        drop(spool);
        let mut spool = Spool::open(folder.path(), 1 << 20).unwrap();
        spool.append(&[10; 3]).unwrap();
        let rest: Vec<u8> = drain(&mut spool).iter().map(|record| record[0]).collect();
        assert_eq!(rest, (1..=10).collect::<Vec<u8>>());
        spool.append(&[11; 3]).unwrap();
        assert_eq!(drain(&mut spool), vec![vec![11; 3]]);
    }

    #[test]
    fn a_torn_end_is_cut_and_the_oldest_give_way() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path(), 40_000).unwrap();
        spool.append(b"whole").unwrap();
        spool.append(b"torn").unwrap();
        let path = spool.path(1);
        drop(spool);
        let length = fs::metadata(&path).unwrap().len();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(length - 1).unwrap();
        let mut spool = Spool::open(folder.path(), 40_000).unwrap();
        assert_eq!(drain(&mut spool), vec![b"whole".to_vec()]);
        let dropped: u64 = (0..100).map(|_| spool.append(&[7; 1000]).unwrap()).sum();
        assert!(dropped > 50 && spool.bytes() <= 40_000);
        assert_eq!(drain(&mut spool).len() as u64, 100 - dropped);
    }

    /// The monitor comes back while the spool is full: the record under way has given way when its answer comes.
    #[test]
    fn a_record_that_gave_way_moves_no_cursor() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(folder.path(), 40_000).unwrap();
        spool.append(&[0; 500]).unwrap();
        let (place, _) = spool.peek().unwrap().0.unwrap();
        let mut last = 0_u8;
        while spool.append(&[last + 1; 1000]).unwrap() == 0 {
            last += 1;
        }
        let (next, record) = spool.peek().unwrap().0.unwrap();
        assert_ne!(next, place, "the first segment is gone");
        spool.advance(place).unwrap();
        assert_eq!(spool.peek().unwrap(), (Some((next, record)), 0), "and the next record is still the next");
        assert!(drain(&mut spool).iter().all(|record| record.len() == 1000));
    }
}
