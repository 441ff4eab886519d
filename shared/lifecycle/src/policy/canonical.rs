//! The one byte form of a policy's content, whatever its comments, order of keys and line breaks.

use std::fmt::Write;

use serde_norway::Value;
use sha2::{Digest, Sha256};

/// `sha256:<64 hex>` of the canonical form of a YAML value: JSON with sorted keys and no blanks.
pub(super) fn digest(value: &Value) -> String {
    let mut text = String::new();
    write_value(value, &mut text);
    format!("sha256:{}", hex::encode(Sha256::digest(text.as_bytes())))
}

fn write_value(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => write_number(number, out),
        Value::String(text) => write_text(text, out),
        Value::Sequence(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_value(item, out);
            }
            out.push(']');
        }
        Value::Mapping(entries) => {
            let mut sorted: Vec<(String, &Value)> = entries
                .iter()
                .map(|(key, value)| {
                    let mut text = String::new();
                    write_value(key, &mut text);
                    (text, value)
                })
                .collect();
            sorted.sort_by(|left, right| left.0.cmp(&right.0));
            out.push('{');
            for (at, (key, value)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                out.push_str(&key);
                out.push(':');
                write_value(value, out);
            }
            out.push('}');
        }
        Value::Tagged(tagged) => {
            write_text(&tagged.tag.to_string(), out);
            write_value(&tagged.value, out);
        }
    }
}

/// `1` and `1.0` are the same number, so they are the same bytes.
fn write_number(number: &serde_norway::Number, out: &mut String) {
    let whole = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9e15);
    // writing to a String cannot fail
    let _ = match (whole, number.as_f64()) {
        (Some(whole), _) => write!(out, "{}", whole as i64),
        (None, Some(float)) => write!(out, "{float:?}"),
        (None, None) => write!(out, "{number}"),
    };
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            control if control.is_control() => {
                let _ = write!(out, "\\u{:04x}", control as u32);
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
}
