//! The terms that a description uses: the JSON-LD context of the specification.

use serde_json::{Map, Value, json};

/// Terms of the vocabulary that a description uses without a prefix.
const TERMS: [&str; 35] = [
    "annotation",
    "arrayShape",
    "citeAs",
    "column",
    "containedIn",
    "equivalentProperty",
    "excludes",
    "extract",
    "field",
    "fileProperty",
    "fileObject",
    "fileSet",
    "format",
    "includes",
    "isArray",
    "isLiveDataset",
    "jsonPath",
    "key",
    "md5",
    "parentField",
    "path",
    "recordSet",
    "references",
    "regex",
    "readLines",
    "repeated",
    "replace",
    "samplingRate",
    "sdVersion",
    "separator",
    "source",
    "subField",
    "transform",
    "unArchive",
    "value",
];

/// The context.
pub fn context() -> Value {
    let mut context = Map::new();
    for term in TERMS {
        context.insert(term.to_owned(), json!(format!("cr:{term}")));
    }
    let spaces = [
        ("@language", "en"),
        ("@vocab", "https://schema.org/"),
        ("sc", "https://schema.org/"),
        ("cr", "http://mlcommons.org/croissant/"),
        ("rai", "http://mlcommons.org/croissant/RAI/"),
        ("dct", "http://purl.org/dc/terms/"),
        ("conformsTo", "dct:conformsTo"),
    ];
    context.extend(spaces.map(|(name, value)| (name.to_owned(), json!(value))));
    for (name, value) in [
        ("data", json!({ "@id": "cr:data", "@type": "@json" })),
        ("dataType", json!({ "@id": "cr:dataType", "@type": "@vocab" })),
        ("examples", json!({ "@id": "cr:examples", "@type": "@json" })),
        ("name", json!({ "@container": "@language" })),
        ("description", json!({ "@container": "@language" })),
    ] {
        context.insert(name.to_owned(), value);
    }
    Value::Object(context)
}
