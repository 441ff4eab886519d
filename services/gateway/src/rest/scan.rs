//! Reads JSON a token at a time. A tensor of a million numbers goes to its bytes without a tree in between, and every
//! number keeps all its digits until its type is known: a parser of `f64` alone may be one unit off (`serde_json` is).

use std::borrow::Cow;
use std::fmt;

/// Lists and objects inside each other at most.
const DEEPEST: usize = 64;

/// What is not JSON, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not JSON at byte {at}: {why}")]
pub struct NotJson {
    /// Offset in the text.
    pub at: usize,
    /// What is wrong there.
    pub why: &'static str,
}

/// Kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Null,
    Bool,
    Number,
    Text,
    List,
    Object,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool => "true or false",
            Self::Number => "a number",
            Self::Text => "a string",
            Self::List => "a list",
            Self::Object => "an object",
        })
    }
}

/// A place in a text.
#[derive(Debug, Clone)]
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// At the beginning of `bytes`.
    ///
    /// # Errors
    /// [`NotJson`] if they are not UTF-8.
    pub fn new(bytes: &'a [u8]) -> Result<Self, NotJson> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self::over(text)),
            Err(error) => Err(NotJson { at: error.valid_up_to(), why: "text that is not UTF-8" }),
        }
    }

    /// At the beginning of `text`.
    pub fn over(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The kind of the next value.
    ///
    /// # Errors
    /// [`NotJson`] if there is none.
    pub fn kind(&mut self) -> Result<Kind, NotJson> {
        self.space();
        match self.byte() {
            Some(b'n') => Ok(Kind::Null),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b'"') => Ok(Kind::Text),
            Some(b'[') => Ok(Kind::List),
            Some(b'{') => Ok(Kind::Object),
            Some(b'N' | b'I') => {
                self.bad("JSON has no NaN and no infinity; send such numbers as binary data")
            }
            Some(_) => self.bad("a value was expected"),
            None => self.bad("the text ends where a value was expected"),
        }
    }

    /// Takes `true`, `false` or `null`; null is none.
    ///
    /// # Errors
    /// [`NotJson`] if something else is there.
    pub fn literal(&mut self) -> Result<Option<bool>, NotJson> {
        self.space();
        for (word, value) in [("true", Some(true)), ("false", Some(false)), ("null", None)] {
            if self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        self.bad("a value was expected")
    }

    /// Takes a number and gives its digits as they stand.
    ///
    /// # Errors
    /// [`NotJson`] if none is there.
    pub fn number(&mut self) -> Result<&'a str, NotJson> {
        self.space();
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') && self.digits() == 0 {
            return self.bad("a digit was expected");
        }
        if self.take(b'.') && self.digits() == 0 {
            return self.bad("a digit was expected");
        }
        if self.take(b'e') || self.take(b'E') {
            let _sign = self.take(b'+') || self.take(b'-');
            if self.digits() == 0 {
                return self.bad("a digit was expected");
            }
        }
        Ok(&self.text[start..self.at])
    }

    /// Takes a string.
    ///
    /// # Errors
    /// [`NotJson`] if none is there, or it does not end.
    pub fn text(&mut self) -> Result<Cow<'a, str>, NotJson> {
        self.space();
        if !self.take(b'"') {
            return self.bad("a string was expected");
        }
        let plain = self.plain();
        if self.take(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut out = plain.to_owned();
        loop {
            if self.take(b'"') {
                return Ok(Cow::Owned(out));
            }
            if !self.take(b'\\') {
                return self.bad("a string without its end, or with a control character in it");
            }
            out.push(self.escaped()?);
            out.push_str(self.plain());
        }
    }

    /// Takes a list: `each` is called at every element and must take it.
    ///
    /// # Errors
    /// [`NotJson`] if none is there, and what `each` gives.
    pub fn list(&mut self, mut each: impl FnMut(&mut Self) -> Result<(), NotJson>) -> Result<(), NotJson> {
        self.begin(b'[', "a list was expected")?;
        let mut first = true;
        while self.more(&mut first, b']')? {
            each(self)?;
        }
        Ok(())
    }

    /// Takes an object: `each` is called at the value of every member, with its name, and must take it.
    ///
    /// # Errors
    /// As [`Scanner::list`].
    pub fn object(
        &mut self,
        mut each: impl FnMut(&mut Self, &str) -> Result<(), NotJson>,
    ) -> Result<(), NotJson> {
        self.begin(b'{', "an object was expected")?;
        let mut first = true;
        while self.more(&mut first, b'}')? {
            let name = self.text()?;
            self.begin(b':', "a colon was expected")?;
            each(self, &name)?;
        }
        Ok(())
    }

    /// Takes whatever value comes next and gives it as it stands.
    ///
    /// # Errors
    /// [`NotJson`] if it is none, or is nested too deeply.
    pub fn skip(&mut self) -> Result<&'a str, NotJson> {
        self.space();
        let start = self.at;
        self.skip_below(DEEPEST)?;
        Ok(&self.text[start..self.at])
    }

    /// Makes sure that nothing but space is left.
    ///
    /// # Errors
    /// [`NotJson`] if something is.
    pub fn end(&mut self) -> Result<(), NotJson> {
        self.space();
        if self.at == self.text.len() { Ok(()) } else { self.bad("something is left after the end") }
    }

    fn skip_below(&mut self, levels: usize) -> Result<(), NotJson> {
        match self.kind()? {
            Kind::Null | Kind::Bool => self.literal().map(|_| ()),
            Kind::Number => self.number().map(|_| ()),
            Kind::Text => self.text().map(|_| ()),
            Kind::List | Kind::Object if levels == 0 => self.bad("lists and objects nested too deeply"),
            Kind::List => self.list(|inner| inner.skip_below(levels - 1)),
            Kind::Object => self.object(|inner, _| inner.skip_below(levels - 1)),
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn bad<T>(&self, why: &'static str) -> Result<T, NotJson> {
        Err(NotJson { at: self.at, why })
    }

    fn space(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, wanted: u8) -> bool {
        let there = self.byte() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    fn begin(&mut self, wanted: u8, why: &'static str) -> Result<(), NotJson> {
        self.space();
        if self.take(wanted) { Ok(()) } else { self.bad(why) }
    }

    /// Whether another member comes; takes the comma before it, or the end of the list or object.
    fn more(&mut self, first: &mut bool, end: u8) -> Result<bool, NotJson> {
        self.space();
        if self.take(end) {
            return Ok(false);
        }
        if !std::mem::take(first) && !self.take(b',') {
            return self.bad("a comma or the end was expected");
        }
        Ok(true)
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.byte(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    /// Characters up to the next quote, backslash or control character.
    fn plain(&mut self) -> &'a str {
        let start = self.at;
        while !matches!(self.byte(), None | Some(b'"' | b'\\' | 0..0x20)) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn escaped(&mut self) -> Result<char, NotJson> {
        let character = match self.byte() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode();
            }
            _ => return self.bad("a backslash that escapes nothing"),
        };
        self.at += 1;
        Ok(character)
    }

    /// `XXXX` after `\u`, with the other half where it is one of a pair.
    fn unicode(&mut self) -> Result<char, NotJson> {
        let mut code = self.hex()?;
        if (0xd800..0xdc00).contains(&code) && self.take(b'\\') && self.take(b'u') {
            let low = self.hex()?.wrapping_sub(0xdc00);
            code = if low < 0x400 { 0x10000 + ((code - 0xd800) << 10) + low } else { u32::MAX };
        }
        char::from_u32(code).map_or_else(|| self.bad("half of a surrogate pair"), Ok)
    }

    fn hex(&mut self) -> Result<u32, NotJson> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).unwrap_or_default();
        let mut code = 0;
        for digit in digits {
            let Some(value) = char::from(*digit).to_digit(16) else {
                return self.bad("four hexadecimal digits were expected");
            };
            code = code * 16 + value;
        }
        if digits.is_empty() {
            return self.bad("four hexadecimal digits were expected");
        }
        self.at += 4;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(text: &str) -> Result<(), NotJson> {
        let mut scanner = Scanner::over(text);
        scanner.skip()?;
        scanner.end()
    }

    #[test]
    fn every_kind_of_value_is_taken() {
        let text = r#" { "a" : [1, -0.5e+3, true, null, "x\u00e9\ud83d\ude00\n\/"], "b": {}, "c": [] } "#;
        whole(text).unwrap();
        let mut seen = Vec::new();
        let mut scanner = Scanner::over(text);
        scanner
            .object(|scanner, name| {
                seen.push(format!("{name} {}", scanner.kind()?));
                scanner.skip().map(|_| ())
            })
            .unwrap();
        assert_eq!(seen, ["a a list", "b an object", "c a list"]);
        let word = Scanner::over(r#""x\u00e9\ud83d\ude00\n\/""#).text().unwrap().into_owned();
        assert_eq!(word, "xé😀\n/");
        assert_eq!(Scanner::over("-0.5e+3,").number().unwrap(), "-0.5e+3");
    }

    #[test]
    fn what_is_no_json_is_placed() {
        for (text, at) in [
            ("", 0),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("[01]", 2),
            ("[1.]", 3),
            ("{\"a\" 1}", 5),
            ("{a: 1}", 1),
            ("[NaN]", 1),
            ("\"a", 2),
            ("\"\u{1}\"", 1),
            ("\"\\x\"", 2),
            ("\"\\ud800\"", 7),
            ("\"\\u12\"", 3),
            ("[1] x", 4),
        ] {
            assert_eq!(whole(text).unwrap_err().at, at, "{text}");
        }
        assert_eq!(Scanner::new(b"[\xff]").unwrap_err().at, 1);
        assert!(whole(&"[".repeat(100_000)).is_err(), "depth is bounded");
    }

    proptest! {
        /// Texts are JSON here exactly where they are for serde_json, and strings mean the same.
        #[test]
        fn texts_are_json_where_serde_json_says_so(text in r#"[\[\]{}:, 01.eE+\-"\\unultrfase]{0,12}"#) {
            let known = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(whole(&text).is_ok(), known, "{}", text);
        }

        #[test]
        fn strings_come_back(text in any::<String>()) {
            let written = serde_json::to_string(&text).unwrap();
            let read = Scanner::over(&written).text().unwrap().into_owned();
            prop_assert_eq!(read, text);
        }

        /// What `serde_json` writes of any float is read as that float.
        #[test]
        fn numbers_come_back(number in any::<f64>()) {
            prop_assume!(number.is_finite());
            let written = serde_json::to_string(&number).unwrap();
            let read: f64 = Scanner::over(&written).number().unwrap().parse().unwrap();
            prop_assert_eq!(read.to_bits(), number.to_bits());
        }
    }
}
