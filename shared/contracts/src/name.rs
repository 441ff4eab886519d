//! Resource names (AIP-122): `models/{model}/versions/1.2.0`. A name is parsed before anything else looks at it.

use std::fmt;

/// The longest id.
pub const LONGEST_ID: usize = 63;

/// A name that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {name:?} is not of the form {form}")]
pub struct BadName {
    /// Field of the request.
    pub field: String,
    /// What was sent, cut at 80 characters.
    pub name: String,
    /// What is taken.
    pub form: String,
}

/// Whether `id` is made of `a-z`, `0-9` and inner `-`, 1 to 63 characters long.
pub fn is_id(id: &str) -> bool {
    let bytes = id.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !bytes.is_empty()
        && bytes.len() <= LONGEST_ID
        && bytes.iter().all(|byte| plain(byte) || *byte == b'-')
        && bytes.first().is_some_and(plain)
        && bytes.last().is_some_and(plain)
}

/// Whether `version` is `major.minor.patch` without leading zeros.
pub fn is_version(version: &str) -> bool {
    let number = |part: &str| {
        !part.is_empty()
            && part.len() <= 9
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let parts: Vec<_> = version.split('.').collect();
    parts.len() == 3 && parts.into_iter().all(number)
}

/// Checks an id that a create request proposes.
pub fn id(field: &str, id: &str) -> Result<String, BadName> {
    if is_id(id) {
        Ok(id.to_owned())
    } else {
        Err(bad(field, id, "[a-z0-9-], 1 to 63 characters, not starting or ending with -"))
    }
}

/// Checks a version number that a create request proposes.
pub fn version(field: &str, version: &str) -> Result<String, BadName> {
    if is_version(version) { Ok(version.to_owned()) } else { Err(bad(field, version, "major.minor.patch")) }
}

/// Parses `name` by a form such as `models/{model}/versions/{version}` and gives the variable parts in order. `{version}`
/// takes a version number, everything else in braces an id.
pub fn parse(field: &str, name: &str, form: &str) -> Result<Vec<String>, BadName> {
    let wrong = || bad(field, name, form);
    let (given, wanted): (Vec<_>, Vec<_>) = (name.split('/').collect(), form.split('/').collect());
    if given.len() != wanted.len() {
        return Err(wrong());
    }
    let mut parts = Vec::new();
    for (part, want) in given.into_iter().zip(wanted) {
        match want {
            "{version}" if is_version(part) => parts.push(part.to_owned()),
            "{version}" => return Err(wrong()),
            want if want.starts_with('{') && is_id(part) => parts.push(part.to_owned()),
            want if want == part => {}
            _ => return Err(wrong()),
        }
    }
    Ok(parts)
}

fn bad(field: &str, name: &str, form: &str) -> BadName {
    BadName { field: field.to_owned(), name: name.chars().take(80).collect(), form: form.to_owned() }
}

/// The procedure's id of a version, `{model}-v{major}.{minor}.{patch}`.
pub fn model_id(model: &str, version: &str) -> String {
    format!("{model}-v{version}")
}

/// Reads either a resource name of a version or the procedure's id of one, and gives the resource name.
pub fn model_version(field: &str, text: &str) -> Result<String, BadName> {
    if let Some((model, version)) = text.rsplit_once("-v")
        && is_id(model)
        && is_version(version)
    {
        return Ok(format!("models/{model}/versions/{version}"));
    }
    parse(field, text, "models/{model}/versions/{version}").map(|_| text.to_owned())
}

/// The parent of a nested name: `models/m` of `models/m/versions/1.0.0`.
pub fn parent(name: &str) -> &str {
    let mut cuts = name.rmatch_indices('/').map(|(at, _)| at);
    let _ = cuts.next();
    cuts.next().map_or("", |at| &name[..at])
}

/// The last part of a name.
pub fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Whether `digest` is `sha256:` and 64 lower-case hexadecimal digits.
pub fn is_digest(digest: &str) -> bool {
    digest.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    })
}

impl BadName {
    /// The form without the field, for a field violation's description.
    pub fn description(&self) -> impl fmt::Display + '_ {
        format!("{:?} is not of the form {}", self.name, self.form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_names_are_refused() {
        let long = "a".repeat(64);
        for id in [
            "",
            "..",
            ".",
            "a/b",
            "A",
            "-a",
            "a-",
            "a b",
            "a\0",
            "%2e",
            "а",
            "a_b",
            &long,
            "../../etc/passwd",
        ] {
            assert!(!is_id(id), "{id:?}");
        }
        assert!(is_id("summarizer") && is_id("a") && is_id("0-0"));
    }

    #[test]
    fn a_version_has_one_form() {
        for version in ["1", "1.2", "01.2.3", "1.2.3.4", "1.2.x", "1.2.-3", "1.2.3-rc1", "1.2.1000000000"] {
            assert!(!is_version(version), "{version}");
        }
        assert!(is_version("0.1.0") && is_version("1.20.3"));
    }

    #[test]
    fn both_forms_of_a_version_name_are_taken() {
        assert_eq!(model_version("v", "llama-3-1-v1.2.0").as_deref(), Ok("models/llama-3-1/versions/1.2.0"));
        assert_eq!(model_version("v", "models/a/versions/1.2.0").as_deref(), Ok("models/a/versions/1.2.0"));
        assert!(model_version("v", "models/a/versions/latest").is_err());
        assert_eq!(parent("models/a/versions/1.2.0"), "models/a");
        assert_eq!(last("models/a/versions/1.2.0"), "1.2.0");
    }

    proptest! {
        /// No text makes the parsers panic, and what they take is made of what they promise.
        #[test]
        fn parsing_is_total(text in ".{0,100}") {
            if let Ok(parts) = parse("name", &text, "models/{model}/versions/{version}") {
                prop_assert!(is_id(&parts[0]) && is_version(&parts[1]));
            }
            let _ = model_version("name", &text);
            let _ = parent(&text);
        }
    }
}
