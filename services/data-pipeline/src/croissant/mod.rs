//! A version as a Croissant 1.1 description: JSON-LD that other tools read to find the files, check them and load the rows.
//!
//! Everything in it is from records; a property without a record is left out. Source: the Croissant format specification 1.1 and
//! its RAI vocabulary 1.0 (MLCommons).

mod context;
mod origin;
mod records;
mod responsible;
#[cfg(test)]
mod tests;

pub use origin::is_web;

use contracts::registry::v1::{DataSource, Dataset, DatasetVersion};
use serde_json::{Map, Value, json};

/// Media type of the description.
pub const MEDIA_TYPE: &str = "application/ld+json; profile=\"http://mlcommons.org/croissant/1.1\"";

/// What the description is made from.
pub struct Facts<'a> {
    /// The dataset, with the notes of its owner.
    pub dataset: &'a Dataset,
    /// Where the data comes from.
    pub sources: &'a [DataSource],
    /// The version as the registry has it.
    pub version: &'a DatasetVersion,
    /// Where the files lie and are described: an `http` address, or nothing. Without it the files are named as they lie beside
    /// the description.
    pub url: &'a str,
}

/// Writes the description. The same records give the same bytes.
pub fn write(facts: &Facts<'_>) -> String {
    let Facts { dataset, sources, version, .. } = facts;
    let title = [&dataset.display_name, &dataset.name].into_iter().find(|it| !it.trim().is_empty());
    let title = title.cloned().unwrap_or_default();
    let number = version.name.rsplit('/').next().unwrap_or_default();
    let makers = if version.contributors.is_empty() {
        vec![&version.built_by]
    } else {
        version.contributors.iter().collect()
    };
    let people = makers.iter().map(|name| json!({ "@type": "sc:Person", "name": name }));
    let mut all = Map::new();
    let mut put = |name: &str, value: Value| {
        if !is_nothing(&value) {
            all.insert(name.to_owned(), value);
        }
    };
    put("@context", context::context());
    put("@type", json!("sc:Dataset"));
    put(
        "conformsTo",
        json!(["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]),
    );
    put("name", json!(title));
    put("description", json!(dataset.description.trim()));
    put("license", Value::Array(origin::licences(sources)));
    put("url", json!(origin::address(facts)));
    put("version", json!(number));
    put("datePublished", json!(version.create_time.map(|time| time.to_string())));
    put("creator", Value::Array(people.collect()));
    put("citeAs", json!(origin::citation(&title, number, &makers, version)));
    put("isBasedOn", Value::Array(sources.iter().map(origin::origin).collect()));
    put(
        "distribution",
        Value::Array(version.splits.iter().map(|split| records::object(split, facts.url)).collect()),
    );
    let sets = std::iter::once(records::splits(&version.splits));
    let sets = sets.chain(version.splits.iter().map(|split| records::records(split, &version.columns)));
    put("recordSet", Value::Array(sets.collect()));
    for (name, value) in responsible::responsible(facts) {
        put(name, value);
    }
    format!("{:#}\n", Value::Object(all))
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(all) => all.is_empty(),
        _ => false,
    }
}
