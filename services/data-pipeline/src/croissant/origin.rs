//! Where a dataset comes from, and how it is named and cited.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use contracts::registry::v1::{DataSource, DatasetVersion};
use serde_json::{Value, json};

use super::Facts;

/// Licences of data that have a page of their own in the SPDX list.
const LICENCES: [&str; 16] = [
    "Apache-2.0",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-NC-4.0",
    "CC-BY-NC-ND-4.0",
    "CC-BY-NC-SA-4.0",
    "CC-BY-ND-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "CDLA-Permissive-1.0",
    "CDLA-Permissive-2.0",
    "CDLA-Sharing-1.0",
    "MIT",
    "ODbL-1.0",
    "PDDL-1.0",
];

/// Each licence of the sources once: the page of a known one, or its name.
pub fn licences(sources: &[DataSource]) -> Vec<Value> {
    let mut names: Vec<&str> =
        sources.iter().map(|source| source.license.trim()).filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    let one = |name: &str| match name {
        name if LICENCES.contains(&name) => json!(format!("https://spdx.org/licenses/{name}.html")),
        name if is_web(name) => json!(name),
        name => json!({ "@type": "sc:CreativeWork", "name": name }),
    };
    names.into_iter().map(one).collect()
}

/// Whether a text is an address on the web.
pub fn is_web(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty())
        && text.len() <= 2_000
        && text.chars().all(|letter| letter.is_ascii_graphic() && !matches!(letter, '"' | '<' | '>' | '\\'))
}

/// Where the dataset is told of: what was asked for, or the first source that is an address, or else its content by its
/// digest (RFC 6920).
pub fn address(facts: &Facts<'_>) -> String {
    if !facts.url.is_empty() {
        return facts.url.to_owned();
    }
    let known = facts.sources.iter().map(|source| source.origin.trim()).find(|origin| is_web(origin));
    known.map_or_else(|| named(&facts.version.manifest_digest), str::to_owned)
}

fn named(digest: &str) -> String {
    let bytes = hex::decode(digest.trim_start_matches("sha256:")).unwrap_or_default();
    format!("ni:///sha-256;{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// BibTeX of the version.
pub fn citation(title: &str, number: &str, makers: &[&String], version: &DatasetVersion) -> String {
    let clean = |text: &str| -> String {
        text.chars().filter(|letter| !matches!(letter, '{' | '}' | '\\')).collect()
    };
    let authors: Vec<String> = makers.iter().map(|name| clean(name)).collect();
    let year = version.create_time.map(|time| time.to_string()).unwrap_or_default();
    let year = year.split('-').next().filter(|year| !year.is_empty());
    let year = year.map_or(String::new(), |year| format!(", year = {{{year}}}"));
    format!(
        "@misc{{{}, title = {{{}}}, author = {{{}}}, version = {{{number}}}{year}, note = {{manifest {}}}}}",
        clean(&version.tag),
        clean(title),
        authors.join(" and "),
        version.manifest_digest
    )
}

/// A source as what the dataset is based on.
pub fn origin(source: &DataSource) -> Value {
    let name = if source.display_name.trim().is_empty() { &source.name } else { &source.display_name };
    let mut work = json!({ "@type": "sc:CreativeWork", "name": name });
    let origin = source.origin.trim();
    if is_web(origin) {
        work["url"] = json!(origin);
    } else if !origin.is_empty() {
        work["description"] = json!(origin);
    }
    work
}
