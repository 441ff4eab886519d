//! `data` of a JSON tensor as the protocol's raw bytes: nested or flat, row-major, every number checked against its type.

use engine::{DataType, Element};

use super::scan::{Kind, NotJson, Scanner};

/// Wrong elements of one tensor that are named; more are counted.
const NAMED: usize = 4;
/// Lists inside each other at most: dimensions of a tensor, with room to spare.
const DEEPEST: usize = 16;

/// Raw bytes of the elements in `data`, which is one JSON value. Empty for the types that travel as binary data only.
///
/// # Errors
/// What is wrong with the elements, by their place in row-major order.
pub fn raw(data: &str, datatype: DataType, count: usize) -> Result<Vec<u8>, String> {
    let put = writer(datatype).ok_or_else(|| format!("{datatype} travels as binary data only"))?;
    let mut scanner = Scanner::over(data);
    let found = scanner.kind().map_err(|error| error.to_string())?;
    if found != Kind::List {
        return Err(format!("is {found}, required {}", Kind::List));
    }
    // No element is shorter than a digit and a comma, so that a huge shape reserves no more than its text allows.
    let likely = count.min(data.len() / 2 + 1);
    let mut elements = Elements {
        put,
        count,
        seen: 0,
        out: Vec::with_capacity(likely * datatype.size().unwrap_or(8)),
        wrong: Vec::new(),
        more_wrong: 0,
    };
    elements.list(&mut scanner, DEEPEST).map_err(|error| error.to_string())?;
    elements.done()
}

/// Appends the bytes of one element, or says why it is none.
type Put = fn(&Given<'_>, &mut Vec<u8>) -> Result<(), String>;

/// An element as it stands.
enum Given<'a> {
    Bool(bool),
    Number(&'a str),
    Text(&'a str),
    Other(Kind),
}

impl std::fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            // A number may have any length; its beginning tells enough.
            Self::Number(digits) => f.write_str(&digits[..digits.len().min(32)]),
            Self::Text(_) => write!(f, "{}", Kind::Text),
            Self::Other(kind) => write!(f, "{kind}"),
        }
    }
}

fn writer(datatype: DataType) -> Option<Put> {
    let put: Put = match datatype {
        DataType::Bool => boolean,
        DataType::Uint8 => number::<u8>,
        DataType::Uint16 => number::<u16>,
        DataType::Uint32 => number::<u32>,
        DataType::Uint64 => number::<u64>,
        DataType::Int8 => number::<i8>,
        DataType::Int16 => number::<i16>,
        DataType::Int32 => number::<i32>,
        DataType::Int64 => number::<i64>,
        DataType::Fp32 => number::<f32>,
        DataType::Fp64 => number::<f64>,
        DataType::Bytes => text,
        DataType::Fp16 | DataType::Bf16 => return None,
    };
    Some(put)
}

fn boolean(given: &Given<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    match given {
        Given::Bool(value) => value.put(out),
        other => return Err(format!("is {other}, required {}", Kind::Bool)),
    }
    Ok(())
}

/// A type whose values are written as JSON numbers.
trait Numeric: Element {
    /// The value of a JSON number, if the type has it.
    fn of(digits: &str) -> Option<Self>;
}

macro_rules! numeric {
    ($($whole:ty)+) => {$(
        impl Numeric for $whole {
            fn of(digits: &str) -> Option<Self> {
                digits.parse().ok()
            }
        }
    )+};
}
numeric!(u8 u16 u32 u64 i8 i16 i32 i64);

impl Numeric for f32 {
    fn of(digits: &str) -> Option<Self> {
        digits.parse().ok().filter(|value: &Self| value.is_finite())
    }
}

impl Numeric for f64 {
    fn of(digits: &str) -> Option<Self> {
        digits.parse().ok().filter(|value: &Self| value.is_finite())
    }
}

fn number<T: Numeric>(given: &Given<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    match given {
        Given::Number(digits) => match T::of(digits) {
            Some(value) => value.put(out),
            None => return Err(format!("is {given}, which is no {}", T::DATATYPE)),
        },
        other => return Err(format!("is {other}, required {}", Kind::Number)),
    }
    Ok(())
}

fn text(given: &Given<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    let Given::Text(text) = given else { return Err(format!("is {given}, required {}", Kind::Text)) };
    let length = u32::try_from(text.len()).map_err(|_| "is longer than 4 GiB".to_owned())?;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

struct Elements {
    put: Put,
    count: usize,
    seen: usize,
    out: Vec<u8>,
    wrong: Vec<String>,
    more_wrong: usize,
}

impl Elements {
    fn list(&mut self, scanner: &mut Scanner<'_>, levels: usize) -> Result<(), NotJson> {
        let mut too_deep = false;
        scanner.list(|inner| {
            match inner.kind()? {
                Kind::List if levels == 0 => {
                    too_deep = true;
                    inner.skip()?;
                }
                Kind::List => self.list(inner, levels - 1)?,
                Kind::Text => {
                    let text = inner.text()?;
                    self.take(&Given::Text(&text));
                }
                Kind::Number => {
                    let digits = inner.number()?;
                    self.take(&Given::Number(digits));
                }
                Kind::Bool | Kind::Null => {
                    let given = inner.literal()?.map_or(Given::Other(Kind::Null), Given::Bool);
                    self.take(&given);
                }
                Kind::Object => {
                    inner.skip()?;
                    self.take(&Given::Other(Kind::Object));
                }
            }
            Ok(())
        })?;
        if too_deep {
            self.note(format!("more than {DEEPEST} lists inside each other"));
        }
        Ok(())
    }

    /// One more element; those that the shape has no room for are only counted.
    fn take(&mut self, given: &Given<'_>) {
        if self.seen < self.count
            && let Err(why) = (self.put)(given, &mut self.out)
        {
            self.note(format!("element {} {why}", self.seen));
        }
        self.seen += 1;
    }

    fn note(&mut self, why: String) {
        if self.wrong.len() < NAMED {
            self.wrong.push(why);
        } else {
            self.more_wrong += 1;
        }
    }

    fn done(mut self) -> Result<Vec<u8>, String> {
        if self.more_wrong > 0 {
            self.wrong.push(format!("and {} more", self.more_wrong));
        }
        if self.seen != self.count {
            self.wrong.push(format!("{} elements, the shape needs {}", self.seen, self.count));
        }
        if self.wrong.is_empty() { Ok(self.out) } else { Err(self.wrong.join("; ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::Tensor;

    #[test]
    fn nested_and_flat_data_of_every_type_are_the_same_bytes() {
        let two = |datatype, data: &str| raw(data, datatype, 2).unwrap();
        assert_eq!(two(DataType::Bool, "[true, false]"), [1, 0]);
        assert_eq!(two(DataType::Uint8, "[[0], [255]]"), [0, 255]);
        assert_eq!(two(DataType::Int8, "[-128, 127]"), [0x80, 0x7f]);
        assert_eq!(two(DataType::Uint16, "[1, 65535]"), [1, 0, 255, 255]);
        assert_eq!(two(DataType::Int16, "[-1, 2]"), [255, 255, 2, 0]);
        let long = two(DataType::Uint64, "[18446744073709551615, 9007199254740993]");
        assert_eq!(long[..8], u64::MAX.to_le_bytes());
        assert_eq!(long[8..], 9_007_199_254_740_993_u64.to_le_bytes(), "no digit is lost");
        assert_eq!(two(DataType::Int64, "[-9223372036854775808, 0]")[..8], i64::MIN.to_le_bytes());
        assert_eq!(two(DataType::Int32, "[[[7]], [[8]]]"), [7, 0, 0, 0, 8, 0, 0, 0]);
        assert_eq!(two(DataType::Uint32, "[4294967295, 0]")[..4], [255; 4]);
        assert_eq!(two(DataType::Fp32, "[0.1, 3]")[..4], 0.1_f32.to_le_bytes());
        assert_eq!(two(DataType::Fp64, "[0.1, -2e-3]")[..8], 0.1_f64.to_le_bytes());
        let texts = two(DataType::Bytes, r#"["", "\u00e9!"]"#);
        let tensor = Tensor::from_wire("x", DataType::Bytes, vec![2], texts.into()).unwrap();
        assert_eq!(tensor.elements().unwrap()[1], "é!".as_bytes());
        assert!(raw("[]", DataType::Fp32, 0).unwrap().is_empty());
    }

    #[test]
    fn what_does_not_fit_is_named_by_its_place() {
        let why = |datatype, count, data: &str| raw(data, datatype, count).unwrap_err();
        assert_eq!(
            why(DataType::Uint8, 3, "[1, 256, -1]"),
            "element 1 is 256, which is no UINT8; element 2 is -1, which is no UINT8"
        );
        assert_eq!(why(DataType::Int32, 1, "[1.5]"), "element 0 is 1.5, which is no INT32");
        assert_eq!(why(DataType::Fp32, 1, "[1e39]"), "element 0 is 1e39, which is no FP32");
        assert_eq!(why(DataType::Fp64, 1, "[null]"), "element 0 is null, required a number");
        assert_eq!(why(DataType::Bytes, 1, "[5]"), "element 0 is 5, required a string");
        assert_eq!(why(DataType::Bool, 1, "[{}]"), "element 0 is an object, required true or false");
        assert_eq!(why(DataType::Int8, 2, "[[1]]"), "1 elements, the shape needs 2");
        assert_eq!(why(DataType::Int8, 1, "[1, 2, \"x\"]"), "3 elements, the shape needs 1");
        assert_eq!(why(DataType::Fp16, 1, "[1]"), "FP16 travels as binary data only");
        assert_eq!(why(DataType::Fp32, 1, "5"), "is a number, required a list");
        let many = why(DataType::Int8, 9, "[999, 999, 999, 999, 999, 999, 999, 999, 999]");
        assert!(many.ends_with("element 3 is 999, which is no INT8; and 5 more"), "{many}");
    }

    #[test]
    fn a_huge_shape_reserves_no_more_than_its_text_allows() {
        assert!(raw("[1]", DataType::Fp64, usize::MAX / 16).unwrap_err().starts_with("1 elements"));
    }
}
