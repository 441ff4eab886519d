//! Reading requests: every field is looked at, and all bad ones go into one answer.

use contracts::name;
use contracts::pipeline::v1::{BuildDatasetVersionRequest, BuildPlan, DataFormat};
use features::Kind;
use runtime::FieldViolation;

use crate::Error;
use crate::plan;

/// Bytes of a text at most.
const TEXT_BYTES: usize = 16 * 1024;
/// Elements of a list at most.
const LIST_ITEMS: usize = 10_000;
/// Bytes of a request id at most; a UUID has 36.
const REQUEST_ID_BYTES: usize = 128;
/// Rows of an audit sample at most.
pub const SAMPLE_ROWS: u32 = 100_000;
/// Copies of augmentation at most.
const COPIES: u32 = 16;

/// Form of a version's name.
pub const VERSION: &str = "datasets/{dataset}/versions/{version}";

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

    /// A resource name of the form `datasets/{dataset}`; required.
    pub fn name(&mut self, field: &str, value: &str, form: &str) {
        if let Err(bad) = name::parse(field, value, form) {
            self.bad(field, bad.description().to_string());
        }
    }

    /// `sha256:<64 hex>`; required.
    pub fn digest(&mut self, field: &str, value: &str) {
        self.require(name::is_digest(value), field, "required: sha256:<64 lower-case hexadecimal digits>");
    }

    /// A text of at most [`TEXT_BYTES`], or nothing.
    pub fn optional_text(&mut self, field: &str, value: &str) {
        self.require(value.len() <= TEXT_BYTES, field, "is longer than 16 KiB");
        self.require(!value.contains('\0'), field, "must not contain NUL");
    }

    /// A text that is not blank.
    pub fn text(&mut self, field: &str, value: &str) {
        self.require(!value.trim().is_empty(), field, "required");
        self.optional_text(field, value);
    }

    /// A list of at most [`LIST_ITEMS`].
    pub fn each<T>(&mut self, field: &str, items: &[T], mut look: impl FnMut(&mut Self, &str, &T)) {
        if LIST_ITEMS < items.len() {
            return self.bad(field, format!("{} elements, at most {LIST_ITEMS} are taken", items.len()));
        }
        for (at, item) in items.iter().enumerate() {
            look(self, &format!("{field}[{at}]"), item);
        }
    }

    /// A number of an enum that this version knows, and not the unspecified one.
    pub fn choice<E: TryFrom<i32>>(&mut self, field: &str, value: i32) {
        self.require(
            value != 0 && E::try_from(value).is_ok(),
            field,
            "required: one of the values of this enum",
        );
    }

    /// A finite number of zero or more.
    pub fn non_negative(&mut self, field: &str, value: f64) {
        self.require(value.is_finite() && 0.0 <= value, field, "must be a finite number, zero or more");
    }

    /// A share, 0..=1.
    pub fn share(&mut self, field: &str, value: f64) {
        self.require((0.0..=1.0).contains(&value), field, "must be between 0 and 1");
    }

    /// An identifier that repeats a call safely, or none.
    pub fn request_id(&mut self, value: &str) {
        let plain = value.len() <= REQUEST_ID_BYTES && value.bytes().all(|byte| byte.is_ascii_graphic());
        self.require(plain, "request_id", "must be a UUID");
    }

    /// Nothing was wrong.
    ///
    /// # Errors
    /// [`Error::BadRequest`] with every bad field.
    pub fn done(self) -> Result<(), Error> {
        if self.bad.is_empty() { Ok(()) } else { Err(Error::BadRequest(self.bad)) }
    }
}

/// Looks at every field of a build request that can be judged without the data.
pub fn build(fields: &mut Fields, request: &BuildDatasetVersionRequest) {
    fields.name("parent", &request.parent, "datasets/{dataset}");
    if !request.version.is_empty()
        && let Err(bad) = name::version("version", &request.version)
    {
        fields.bad("version", bad.description().to_string());
    }
    fields.request_id(&request.request_id);
    fields.require(!request.inputs.is_empty(), "inputs", "required");
    fields.require(request.inputs.len() <= 1000, "inputs", "at most 1000 are taken");
    fields.each("inputs", &request.inputs, |fields, at, input| {
        fields.name(&format!("{at}.data_source"), &input.data_source, "dataSources/{data_source}");
        if input.uri.is_empty() || !input.digest.is_empty() {
            fields.digest(&format!("{at}.digest"), &input.digest);
        }
        fields.optional_text(&format!("{at}.uri"), &input.uri);
        let known = DataFormat::try_from(input.format).is_ok();
        fields.require(known, &format!("{at}.format"), "must be one of the values of this enum");
    });
    match &request.plan {
        None => fields.bad("plan", "required"),
        Some(plan) => build_plan(fields, plan),
    }
}

/// Looks at every field of a plan.
pub fn build_plan(fields: &mut Fields, plan: &BuildPlan) {
    fields.each("plan.columns", &plan.columns, |fields, at, rule| {
        fields.text(&format!("{at}.name"), &rule.name);
        let known = rule.r#type.is_empty() || Kind::parse(&rule.r#type).is_some();
        fields.require(known, &format!("{at}.type"), "must be float64, int64, utf8, bool or timestamp");
        for (name, bound) in [("min", rule.min), ("max", rule.max)] {
            fields.require(
                bound.is_none_or(f64::is_finite),
                &format!("{at}.{name}"),
                "must be a finite number",
            );
        }
        let ordered = rule.min.zip(rule.max).is_none_or(|(min, max)| min <= max);
        fields.require(ordered, &format!("{at}.max"), "must not be below min");
        fields.each(&format!("{at}.allowed_values"), &rule.allowed_values, |fields, at, text| {
            fields.optional_text(at, text)
        });
        fields.optional_text(&format!("{at}.pattern"), &rule.pattern);
    });
    fields.optional_text("plan.label_column", &plan.label_column);
    fields.optional_text("plan.event_time_column", &plan.event_time_column);
    for (field, texts) in [
        ("plan.favourable_labels", &plan.favourable_labels),
        ("plan.group_columns", &plan.group_columns),
        ("plan.missing_markers", &plan.missing_markers),
        ("plan.key_columns", &plan.key_columns),
    ] {
        fields.each(field, texts, |fields, at, text| fields.optional_text(at, text));
    }
    let favourable = plan.favourable_labels.is_empty() || !plan.label_column.is_empty();
    fields.require(favourable, "plan.favourable_labels", "need a label_column");
    fields.each("plan.cross_rules", &plan.cross_rules, |fields, at, rule| {
        let known = ["<", "<=", "==", ">=", ">"].contains(&rule.comparator.as_str());
        fields.require(known, &format!("{at}.comparator"), "must be <, <=, ==, >= or >");
        fields.non_negative(&format!("{at}.tolerance"), rule.tolerance);
    });
    plan::check_work(fields, plan);
    if let Some(augmentation) = &plan.augmentation {
        fields.non_negative("plan.augmentation.noise", augmentation.noise);
        fields.require(augmentation.copies <= COPIES, "plan.augmentation.copies", "at most 16 are taken");
        fields.optional_text("plan.augmentation.not_applicable_reason", &augmentation.not_applicable_reason);
        let both = augmentation.copies > 0 && !augmentation.not_applicable_reason.is_empty();
        fields.require(
            !both,
            "plan.augmentation.not_applicable_reason",
            "must be empty where copies are asked for",
        );
    }
    if let Some(splits) = &plan.splits {
        let shares = [("train", splits.train), ("validation", splits.validation), ("test", splits.test)];
        for (name, share) in shares {
            fields.share(&format!("plan.splits.{name}"), share);
        }
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        fields.require((sum - 1.0).abs() < 1e-9, "plan.splits", "the three shares must sum to 1");
        fields.require(splits.train > 0.0, "plan.splits.train", "must be above 0");
        plan::check_splits(fields, plan, splits);
    }
    fields.each("plan.group_reference", &plan.group_reference, |fields, at, reference| {
        fields.share(&format!("{at}.share"), reference.share);
        let known = plan.group_columns.contains(&reference.column);
        fields.require(known, &format!("{at}.column"), "must be one of group_columns");
    });
}
