//! Reading requests: every field is looked at, and all bad ones go into one answer.
//!
//! ```text
//! fn check(&self, fields: &mut Fields) {
//!     fields.name("name", &self.name, Project::FORM);
//!     fields.text("justification", &self.justification);
//!     fields.each("candidates", &self.candidates, |fields, at, one| fields.text(&format!("{at}.id"), &one.id));
//! }
//! ```

use contracts::name;
use contracts::page::Page;
use prost_types::{Duration as WireDuration, Timestamp};
use runtime::FieldViolation;

use crate::Error;

/// Bytes of a text at most.
pub const TEXT_BYTES: usize = 16 * 1024;
/// Bytes of a document at most.
pub const DOCUMENT_BYTES: usize = 64 * 1024;
/// Elements of a list or map at most.
pub const LIST_ITEMS: usize = 10_000;
/// Bytes of a request id at most; a UUID has 36.
const REQUEST_ID_BYTES: usize = 128;

/// Collects what is wrong with a request.
#[derive(Debug, Default)]
pub struct Fields {
    bad: Vec<FieldViolation>,
}

impl Fields {
    /// Notes that a field is wrong; `why` says what is taken.
    pub fn bad(&mut self, field: &str, why: impl Into<String>) {
        self.bad.push(FieldViolation::new(field, why));
    }

    /// Notes a bad field unless `holds`.
    pub fn require(&mut self, holds: bool, field: &str, why: &str) {
        if !holds {
            self.bad(field, why);
        }
    }

    /// A resource name of the form `models/{model}/versions/{version}`; required.
    pub fn name(&mut self, field: &str, value: &str, form: &str) {
        if let Err(bad) = name::parse(field, value, form) {
            self.bad(field, bad.description().to_string());
        }
    }

    /// As [`Fields::name`], but may be empty.
    pub fn optional_name(&mut self, field: &str, value: &str, form: &str) {
        if !value.is_empty() {
            self.name(field, value, form);
        }
    }

    /// An id that a create request proposes.
    pub fn id(&mut self, field: &str, value: &str) {
        if let Err(bad) = name::id(field, value) {
            self.bad(field, bad.description().to_string());
        }
    }

    /// A version number, `1.2.0`.
    pub fn version(&mut self, field: &str, value: &str) {
        if let Err(bad) = name::version(field, value) {
            self.bad(field, bad.description().to_string());
        }
    }

    /// `sha256:<64 hex>`; required.
    pub fn digest(&mut self, field: &str, value: &str) {
        self.require(name::is_digest(value), field, "required: sha256:<64 lower-case hexadecimal digits>");
    }

    /// As [`Fields::digest`], but may be empty.
    pub fn optional_digest(&mut self, field: &str, value: &str) {
        if !value.is_empty() {
            self.digest(field, value);
        }
    }

    /// A text that is not blank, of at most [`TEXT_BYTES`].
    pub fn text(&mut self, field: &str, value: &str) {
        self.require(!value.trim().is_empty(), field, "required");
        self.optional_text(field, value);
    }

    /// A text of at most [`TEXT_BYTES`], or nothing.
    pub fn optional_text(&mut self, field: &str, value: &str) {
        self.sized(field, value, TEXT_BYTES);
    }

    /// A text that is not blank, of at most [`DOCUMENT_BYTES`].
    pub fn document(&mut self, field: &str, value: &str) {
        self.require(!value.trim().is_empty(), field, "required");
        self.sized(field, value, DOCUMENT_BYTES);
    }

    fn sized(&mut self, field: &str, value: &str, most: usize) {
        if most < value.len() {
            self.bad(field, format!("{} bytes, at most {most} are taken", value.len()));
        }
        self.require(!value.contains('\0'), field, "must not contain NUL");
    }

    /// A list of at most [`LIST_ITEMS`]; `look` checks each element and is given its field, `candidates[3]`.
    pub fn each<T>(&mut self, field: &str, items: &[T], mut look: impl FnMut(&mut Self, &str, &T)) {
        if LIST_ITEMS < items.len() {
            return self.bad(field, format!("{} elements, at most {LIST_ITEMS} are taken", items.len()));
        }
        for (at, item) in items.iter().enumerate() {
            look(self, &format!("{field}[{at}]"), item);
        }
    }

    /// A list of texts, none blank.
    pub fn texts(&mut self, field: &str, items: &[String]) {
        self.each(field, items, |fields, at, text| fields.text(at, text));
    }

    /// A map of texts: keys not blank.
    pub fn text_map<'a>(
        &mut self,
        field: &str,
        items: impl ExactSizeIterator<Item = (&'a String, &'a String)>,
    ) {
        if LIST_ITEMS < items.len() {
            return self.bad(field, format!("{} entries, at most {LIST_ITEMS} are taken", items.len()));
        }
        for (key, value) in items {
            self.text(&format!("{field} key"), key);
            self.optional_text(&format!("{field}[{}]", short(key)), value);
        }
    }

    /// A message that must be there; looked at by `look`.
    pub fn message<T>(&mut self, field: &str, value: Option<&T>, look: impl FnOnce(&mut Self, &T)) {
        match value {
            Some(message) => look(self, message),
            None => self.bad(field, "required"),
        }
    }

    /// A number of an enum that this version knows, and not the unspecified one.
    pub fn choice<E: TryFrom<i32>>(&mut self, field: &str, value: i32) {
        if value == 0 {
            self.bad(field, "required");
        } else {
            self.optional_choice::<E>(field, value);
        }
    }

    /// A number of an enum that this version knows, or the unspecified one.
    pub fn optional_choice<E: TryFrom<i32>>(&mut self, field: &str, value: i32) {
        if E::try_from(value).is_err() {
            self.bad(field, format!("{value} is no value of this enum"));
        }
    }

    /// A finite number.
    pub fn number(&mut self, field: &str, value: f64) {
        self.require(value.is_finite(), field, "must be a finite number");
    }

    /// A finite number of zero or more.
    pub fn non_negative(&mut self, field: &str, value: f64) {
        self.require(value.is_finite() && 0.0 <= value, field, "must be a finite number, zero or more");
    }

    /// A share, 0..=1.
    pub fn share(&mut self, field: &str, value: f64) {
        self.require((0.0..=1.0).contains(&value), field, "must be between 0 and 1");
    }

    /// A time between 1970 and 9999; required.
    pub fn time(&mut self, field: &str, value: Option<&Timestamp>) {
        self.require(value.is_some(), field, "required");
        self.optional_time(field, value);
    }

    /// A time between 1970 and 9999, or none.
    pub fn optional_time(&mut self, field: &str, value: Option<&Timestamp>) {
        let good = value.is_none_or(|time| contracts::time::from_wire(time).is_some());
        self.require(good, field, "must be a time between 1970 and 9999");
    }

    /// A duration of zero or more, or none.
    pub fn optional_duration(&mut self, field: &str, value: Option<&WireDuration>) {
        let good = value.is_none_or(|span| contracts::time::duration_from_wire(span).is_some());
        self.require(good, field, "must be a duration of zero or more");
    }

    /// An identifier that repeats a call safely, or none.
    pub fn request_id(&mut self, value: &str) {
        let plain = value.len() <= REQUEST_ID_BYTES && value.bytes().all(|byte| byte.is_ascii_graphic());
        self.require(plain, "request_id", "must be a UUID");
    }

    /// What a list request asks for.
    pub fn page(&mut self, size: i32, token: &str) -> Page {
        self.require(0 <= size, "page_size", "must be zero or more");
        Page::parse(size, token).unwrap_or_else(|bad| {
            self.bad("page_token", bad.to_string());
            Page { after: String::new(), size: 1 }
        })
    }

    /// Nothing was wrong.
    ///
    /// # Errors
    /// [`Error::BadRequest`] with every bad field.
    pub fn done(self) -> Result<(), Error> {
        if self.bad.is_empty() { Ok(()) } else { Err(Error::BadRequest(self.bad)) }
    }
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bad_field_is_named() {
        let mut fields = Fields::default();
        fields.name("name", "projects/..", "projects/{project}");
        fields.digest("digest", "sha256:zz");
        fields.text("text", " ");
        fields.number("number", f64::NAN);
        fields.share("share", 1.1);
        fields.time("time", Some(&Timestamp { seconds: -5, nanos: 0 }));
        fields.choice::<contracts::registry::v1::Phase>("phase", 99);
        fields.optional_text("long", &"a".repeat(TEXT_BYTES + 1));
        fields.page(-1, "forged");
        let Err(Error::BadRequest(bad)) = fields.done() else { panic!("nothing was noticed") };
        let named: Vec<_> = bad.iter().map(|one| one.field.as_str()).collect();
        let all =
            ["name", "digest", "text", "number", "share", "time", "phase", "long", "page_size", "page_token"];
        assert_eq!(named, all);
    }
}
