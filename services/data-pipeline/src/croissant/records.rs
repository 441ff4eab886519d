//! The files of a version, and the records in them.

use contracts::registry::v1::{DatasetColumn, DatasetSplit};
use serde_json::{Value, json};

/// The name of a split's file beside the description.
pub fn file(split: &str) -> String {
    format!("{split}.parquet")
}

/// The file of a split.
pub fn object(split: &DatasetSplit, url: &str) -> Value {
    let name = file(&split.split);
    let place = if url.is_empty() { name.clone() } else { format!("{}/{name}", url.trim_end_matches('/')) };
    json!({
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "description": format!("{} rows of the {} split", split.rows, split.split),
        "contentUrl": place,
        "contentSize": format!("{} B", split.size_bytes),
        "encodingFormat": "application/x-parquet",
        "sha256": split.digest.trim_start_matches("sha256:"),
    })
}

/// The splits and what they are for.
pub fn splits(splits: &[DatasetSplit]) -> Value {
    let data = splits.iter().map(|split| {
        let meant = match split.split.as_str() {
            "train" => "cr:TrainingSplit",
            "validation" => "cr:ValidationSplit",
            _ => "cr:TestSplit",
        };
        json!({ "splits/name": split.split, "splits/url": meant })
    });
    json!({
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "description": "The splits of the dataset.",
        "dataType": "cr:Split",
        "key": { "@id": "splits/name" },
        "field": [
            { "@type": "cr:Field", "@id": "splits/name", "name": "name", "dataType": "sc:Text" },
            { "@type": "cr:Field", "@id": "splits/url", "name": "url", "dataType": ["sc:URL", "cr:Split"] },
        ],
        "data": data.collect::<Vec<_>>(),
    })
}

/// The rows of a split.
pub fn records(split: &DatasetSplit, columns: &[DatasetColumn]) -> Value {
    let (set, file) = (&split.split, file(&split.split));
    let mut own = String::from("split");
    while columns.iter().any(|column| column.name == own) {
        own.insert(0, '_');
    }
    let mut fields = vec![json!({
        "@type": "cr:Field",
        "@id": format!("{set}/{own}"),
        "name": own,
        "description": "The split of the row, by the name of its file.",
        "dataType": "sc:Text",
        "source": {
            "fileObject": { "@id": file },
            "extract": { "fileProperty": "filename" },
            "transform": { "regex": "^(train|validation|test)(?:\\.parquet)?$" },
        },
        "references": { "field": { "@id": "splits/name" } },
    })];
    fields.extend(columns.iter().map(|column| field(set, &file, column)));
    let keys =
        columns.iter().filter(|column| column.key).map(|column| json!({ "@id": id(set, &column.name) }));
    let keys: Vec<Value> = keys.collect();
    let mut made = json!({
        "@type": "cr:RecordSet",
        "@id": set,
        "name": set,
        "description": format!("The rows of the {set} split."),
        "field": fields,
    });
    if !keys.is_empty() {
        made["key"] = Value::Array(keys);
    }
    made
}

fn field(set: &str, file: &str, column: &DatasetColumn) -> Value {
    let kind = match column.r#type.as_str() {
        "float64" => "sc:Float",
        "int64" => "sc:Integer",
        "bool" => "sc:Boolean",
        "timestamp" => "sc:DateTime",
        _ => "sc:Text",
    };
    let mut told = vec![column.r#type.clone()];
    told.push(if column.nullable { "may be missing".into() } else { "never missing".into() });
    if column.sensitive {
        told.push("sensitive: names a group".into());
    }
    if column.derived {
        told.push("made from other columns".into());
    }
    json!({
        "@type": "cr:Field",
        "@id": id(set, &column.name),
        "name": column.name,
        "description": told.join(", "),
        "dataType": if column.label { json!([kind, "cr:Label"]) } else { json!(kind) },
        "source": { "fileObject": { "@id": file }, "extract": { "column": column.name } },
    })
}

/// The id of a column's field: its name without what an IRI does not take.
fn id(set: &str, column: &str) -> String {
    let mut made = format!("{set}/");
    for byte in column.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                made.push(char::from(byte))
            }
            byte => made.push_str(&format!("%{byte:02X}")),
        }
    }
    made
}
