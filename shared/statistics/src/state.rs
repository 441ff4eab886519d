//! The states of sketches as bytes: what the parts of one computation send each other, between threads or machines.
//!
//! A state begins with a letter for its sketch and a byte for the version of its form; numbers are little-endian. The same
//! sketch always gives the same bytes. Reading expects anything: what is cut off, too long, of another sketch, of a version
//! that is not known or impossible is an [`Error::Malformed`], and nothing is reserved for values that are not there.

use crate::Moments;
use crate::distinct::DistinctSketch;
use crate::error::{Error, Result};
use crate::frequent::{self, Entry, Frequent};
use crate::quantiles::{self, Level, QuantileSketch};
use crate::row_digest::RowDigest;

/// Version of the forms written here.
const VERSION: u8 = 1;

/// A count beyond this is of no table; below it, sums of tens of thousands of states do not overflow.
const MOST: u64 = 1 << 48;

/// A sketch whose state travels.
pub trait State: Sized {
    /// The state of what was seen so far.
    fn to_bytes(&self) -> Vec<u8>;

    /// The sketch with such a state.
    /// # Errors
    /// [`Error::Malformed`] where the bytes are no state of this sketch.
    fn from_bytes(bytes: &[u8]) -> Result<Self>;
}

impl State for DistinctSketch {
    fn to_bytes(&self) -> Vec<u8> {
        let registers = self.registers();
        let used: Vec<(u16, u8)> =
            (0..).zip(registers).filter(|(_, rank)| **rank > 0).map(|(place, rank)| (place, *rank)).collect();
        let mut bytes = vec![b'D', VERSION];
        // A place and its rank are three bytes, so few of them are shorter than all registers.
        if 3 * used.len() < registers.len() {
            bytes.push(b's');
            for (place, rank) in used {
                bytes.extend(place.to_le_bytes());
                bytes.push(rank);
            }
        } else {
            bytes.push(b'd');
            bytes.extend(registers);
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new("distinct values", b'D', bytes)?;
        let form = reader.byte()?;
        let mut registers = Self::default().registers().to_vec();
        match form {
            b'd' => registers = reader.rest().to_vec(),
            b's' => {
                let mut next = 0;
                while !reader.is_at_end() {
                    let (place, rank) = (usize::from(reader.u16()?), reader.byte()?);
                    reader
                        .require(next <= place && place < registers.len(), "its places are out of order")?;
                    registers[place] = rank;
                    next = place + 1;
                }
            }
            _ => return reader.bad("its form is not known"),
        }
        Self::try_from(registers).or_else(|_| reader.bad("its registers are impossible"))
    }
}

impl State for Moments {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![b'M', VERSION];
        for word in [self.count, self.not_finite, self.mean.to_bits(), self.squares.to_bits()] {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new("moments", b'M', bytes)?;
        let (count, not_finite) = (reader.count()?, reader.count()?);
        let (mean, squares) = (reader.f64()?, reader.f64()?);
        reader.require(squares.is_nan() || squares >= 0.0, "its squares are negative")?;
        let nothing = mean == 0.0 && squares == 0.0;
        reader.require(count > 0 || nothing, "it has a mean of no values")?;
        reader.end()?;
        Ok(Self { count, mean, squares, not_finite })
    }
}

impl State for QuantileSketch {
    fn to_bytes(&self) -> Vec<u8> {
        let wire = quantiles::Wire::from(self.clone());
        let mut bytes = vec![b'Q', VERSION];
        bytes.extend((wire.capacity as u32).to_le_bytes());
        for word in [wire.count, wire.over, wire.under] {
            bytes.extend(word.to_le_bytes());
        }
        if let Some((min, max)) = wire.range {
            bytes.extend(min.to_bits().to_le_bytes());
            bytes.extend(max.to_bits().to_le_bytes());
        }
        for level in wire.levels {
            bytes.push(u8::from(level.odd));
            bytes.extend((level.values.len() as u32).to_le_bytes());
            level.values.iter().for_each(|value| bytes.extend(value.to_bits().to_le_bytes()));
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new("quantiles", b'Q', bytes)?;
        let capacity = reader.u32()? as usize;
        let count = reader.count()?;
        let (over, under) = (reader.u64()?, reader.u64()?);
        // Every thinning moves ranks by the weight of one value of the many that it thins.
        reader.require(over <= 4 * count && under <= 4 * count, "its error is larger than its count")?;
        let range = if count > 0 { Some((reader.f64()?, reader.f64()?)) } else { None };
        reader.require(range.is_none_or(|(min, max)| min <= max), "its range is empty")?;
        let mut levels = Vec::new();
        while !reader.is_at_end() {
            let odd = reader.flag()?;
            let length = reader.u32()? as usize;
            levels.push(Level { values: reader.numbers(length)?, odd });
        }
        let wire = quantiles::Wire { capacity, levels, count, over, under, range };
        Self::try_from(wire).or_else(|_| reader.bad("its levels, count and range do not belong together"))
    }
}

impl State for Frequent<String> {
    fn to_bytes(&self) -> Vec<u8> {
        let wire = frequent::Wire::from(self.clone());
        let mut bytes = vec![b'F', VERSION];
        bytes.extend((wire.capacity as u32).to_le_bytes());
        bytes.extend(wire.error.to_le_bytes());
        for entry in wire.entries {
            bytes.extend(entry.hash.to_le_bytes());
            bytes.extend(entry.count.to_le_bytes());
            bytes.extend((entry.item.len() as u32).to_le_bytes());
            bytes.extend(entry.item.as_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new("frequent values", b'F', bytes)?;
        let capacity = reader.u32()? as usize;
        let error = reader.count()?;
        let mut entries = Vec::new();
        while !reader.is_at_end() {
            let (hash, count) = (reader.u64()?, reader.count()?);
            reader.require(count > 0, "it has a value that was not counted")?;
            let length = reader.u32()? as usize;
            let Ok(item) = std::str::from_utf8(reader.bytes(length)?) else {
                return reader.bad("it has a value that is no text");
            };
            entries.push(Entry { hash, count, item: item.to_owned() });
        }
        let wire = frequent::Wire { capacity, entries, error };
        Self::try_from(wire).or_else(|_| reader.bad("its values are too many, or one stands twice"))
    }
}

impl State for RowDigest {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![b'R', VERSION];
        bytes.extend(self.rows.to_le_bytes());
        bytes.extend(self.sum.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new("a digest of rows", b'R', bytes)?;
        let rows = reader.count()?;
        let sum = u128::from_le_bytes(reader.array()?);
        reader.require(rows > 0 || sum == 0, "it has a sum of no rows")?;
        reader.end()?;
        Ok(Self { rows, sum })
    }
}

/// Takes a state apart. Nothing is read beyond its end.
struct Reader<'a> {
    what: &'static str,
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Checks what every state begins with.
    fn new(what: &'static str, kind: u8, bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Self { what, bytes };
        let (letter, version) = (reader.byte()?, reader.byte()?);
        reader.require(letter == kind, "it is of another sketch")?;
        reader.require(version == VERSION, "its version is not known")?;
        Ok(reader)
    }

    fn bad<T>(&self, why: &'static str) -> Result<T> {
        Err(Error::Malformed { what: self.what, why })
    }

    fn require(&self, holds: bool, why: &'static str) -> Result<()> {
        if holds { Ok(()) } else { self.bad(why) }
    }

    fn is_at_end(&self) -> bool {
        self.bytes.is_empty()
    }

    fn end(&self) -> Result<()> {
        self.require(self.is_at_end(), "something stands after its end")
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.bytes)
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.bytes.split_at_checked(length) else {
            return self.bad("it is cut off");
        };
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn flag(&mut self) -> Result<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => self.bad("a flag is neither 0 nor 1"),
        }
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn f64(&mut self) -> Result<f64> {
        Ok(f64::from_bits(self.u64()?))
    }

    fn numbers(&mut self, length: usize) -> Result<Vec<f64>> {
        let words = self.bytes(length.saturating_mul(8))?.chunks_exact(8);
        words.map(|word| Reader { what: self.what, bytes: word }.f64()).collect()
    }

    /// A count of rows or values.
    fn count(&mut self) -> Result<u64> {
        let count = self.u64()?;
        self.require(count <= MOST, "its count is impossible")?;
        Ok(count)
    }
}
