//! Reading requests: every field is looked at, and all bad ones go into one answer.

use contracts::name;
use contracts::page::Page;
use prost_types::Timestamp;
use runtime::FieldViolation;

use crate::Error;

/// Bytes of a text at most.
const TEXT_BYTES: usize = 16 * 1024;
/// Elements of a list at most.
pub const LIST_ITEMS: usize = 10_000;
/// Bytes of an id of the caller's own (gateway, batch, request) at most.
const TOKEN_BYTES: usize = 128;

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

    /// A resource name of one of the forms; required.
    pub fn name(&mut self, field: &str, value: &str, forms: &[&str]) {
        if !forms.iter().any(|form| name::parse(field, value, form).is_ok()) {
            let shown: String = value.chars().take(80).collect();
            self.bad(field, format!("{shown:?} is not of the form {}", forms.join(" or ")));
        }
    }

    /// As [`Fields::name`], but may be empty.
    pub fn optional_name(&mut self, field: &str, value: &str, forms: &[&str]) {
        if !value.is_empty() {
            self.name(field, value, forms);
        }
    }

    /// A model version by its name or by the procedure's id (`credit-v1.2.0`); gives the name.
    pub fn version(&mut self, field: &str, value: &str) -> String {
        name::model_version(field, value).unwrap_or_else(|bad| {
            self.bad(field, bad.description().to_string());
            String::new()
        })
    }

    /// An id that a create request proposes.
    pub fn id(&mut self, field: &str, value: &str) {
        self.require(
            name::is_id(value),
            field,
            "[a-z0-9-], 1 to 63 characters, not starting or ending with -",
        );
    }

    /// An id that the caller chose; visible ASCII, not empty.
    pub fn token(&mut self, field: &str, value: &str) {
        let plain = value.len() <= TOKEN_BYTES && value.bytes().all(|byte| byte.is_ascii_graphic());
        self.require(!value.is_empty() && plain, field, "required: at most 128 visible ASCII characters");
    }

    /// An id that the caller may leave out.
    pub fn optional_token(&mut self, field: &str, value: &str) {
        if !value.is_empty() {
            self.token(field, value);
        }
    }

    /// A text that is not blank, of at most 16 KiB.
    pub fn text(&mut self, field: &str, value: &str) {
        self.require(!value.trim().is_empty(), field, "required");
        self.optional_text(field, value);
    }

    /// A text of at most 16 KiB, or nothing.
    pub fn optional_text(&mut self, field: &str, value: &str) {
        if TEXT_BYTES < value.len() {
            self.bad(field, format!("{} bytes, at most {TEXT_BYTES} are taken", value.len()));
        }
        self.require(!value.contains('\0'), field, "must not contain NUL");
    }

    /// `sha256:<64 hex>`, or nothing.
    pub fn optional_digest(&mut self, field: &str, value: &str) {
        let good = value.is_empty() || name::is_digest(value);
        self.require(good, field, "required: sha256:<64 lower-case hexadecimal digits>");
    }

    /// A list of at most [`LIST_ITEMS`]; `look` checks each element and is given its field, `labels[3]`.
    pub fn each<T>(&mut self, field: &str, items: &[T], mut look: impl FnMut(&mut Self, &str, &T)) {
        if LIST_ITEMS < items.len() {
            return self.bad(field, format!("{} elements, at most {LIST_ITEMS} are taken", items.len()));
        }
        for (at, item) in items.iter().enumerate() {
            look(self, &format!("{field}[{at}]"), item);
        }
    }

    /// A share, 0..=1, or none.
    pub fn optional_share(&mut self, field: &str, value: Option<f64>) {
        self.require(
            value.is_none_or(|share| (0.0..=1.0).contains(&share)),
            field,
            "must be between 0 and 1",
        );
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

    /// A time between 1970 and 9999, or none.
    pub fn optional_time(&mut self, field: &str, value: Option<&Timestamp>) {
        let good = value.is_none_or(|time| contracts::time::from_wire(time).is_some());
        self.require(good, field, "must be a time between 1970 and 9999");
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

/// Forms of the names that the monitor meets.
pub mod form {
    /// A deployment.
    pub const DEPLOYMENT: &str = "deployments/{deployment}";
    /// A model version.
    pub const VERSION: &str = "models/{model}/versions/{version}";
    /// A rollout.
    pub const ROLLOUT: &str = "deployments/{deployment}/rollouts/{rollout}";
}

/// A request about a version, in one deployment or (`""`) in any: both names, in full.
///
/// # Errors
/// [`Error::BadRequest`] with what is wrong with either, and with what `more` finds.
pub fn version_in(
    version: &str,
    deployment: &str,
    more: impl FnOnce(&mut Fields),
) -> Result<(String, String), Error> {
    let deployment = deployment_name(deployment);
    let mut fields = Fields::default();
    let version = fields.version("version", version);
    fields.optional_name("deployment", &deployment, &[form::DEPLOYMENT]);
    more(&mut fields);
    fields.done()?;
    Ok((version, deployment))
}

/// The resource name of a deployment that was named in full or by its id alone, as a gateway's clients do.
pub fn deployment_name(text: &str) -> String {
    if text.is_empty() || text.contains('/') { text.to_owned() } else { format!("deployments/{text}") }
}
