//! Every method of the contracts, from the descriptors, and messages made of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};

/// A method, and which of the five serve it.
#[derive(Debug, Clone)]
pub struct Method {
    /// `/package.Service/Method`
    pub path: String,
    /// Full name of the request message, with a leading dot.
    pub request: String,
    /// The services that serve it.
    pub served_by: Vec<&'static str>,
}

/// Every method of the contracts.
///
/// # Panics
/// If the descriptors are none.
pub fn all() -> Vec<Method> {
    let mut found = Vec::new();
    for file in &set().file {
        for service in &file.service {
            let full = format!("{}.{}", file.package(), service.name());
            found.extend(service.method.iter().map(|method| Method {
                path: format!("/{full}/{}", method.name()),
                request: method.input_type().to_owned(),
                served_by: servers(file.package()),
            }));
        }
    }
    found
}

fn set() -> FileDescriptorSet {
    FileDescriptorSet::decode(contracts::DESCRIPTORS).expect("descriptors")
}

fn servers(package: &str) -> Vec<&'static str> {
    match package {
        "wlp.registry.v1" => vec!["registry"],
        "wlp.pipeline.v1" => vec!["data-pipeline"],
        "wlp.evaluator.v1" => vec!["evaluator"],
        "wlp.gateway.v1" | "inference" => vec!["gateway"],
        "wlp.monitor.v1" => vec!["monitor"],
        "google.longrunning" => vec!["data-pipeline", "evaluator"],
        other => panic!("nobody serves {other}"),
    }
}

/// Makes messages of any type from its descriptor.
#[derive(Debug)]
pub struct Messages(BTreeMap<String, DescriptorProto>);

/// Chooses the values of a made message.
pub trait Choice {
    /// Whether the field is set at all.
    fn set(&mut self) -> bool;
    /// A text for it.
    fn text(&mut self) -> String;
    /// An integer for it; enums and booleans too.
    fn integer(&mut self) -> u64;
    /// A floating-point number for it.
    fn number(&mut self) -> f64;
}

impl Messages {
    /// Of the contracts.
    pub fn new() -> Self {
        let mut known = BTreeMap::new();
        for file in set().file {
            for message in &file.message_type {
                keep(&mut known, &format!(".{}", file.package()), message.clone());
            }
        }
        Self(known)
    }

    /// A message of that type, `depth` messages deep.
    pub fn make(&self, name: &str, choice: &mut dyn Choice, depth: usize) -> Bytes {
        let mut out = Vec::new();
        if let Some(message) = self.0.get(name) {
            for field in message.field.iter().filter(|field| !field.type_name().ends_with("Struct")) {
                if choice.set() {
                    self.field(field, choice, depth, &mut out);
                }
            }
        }
        out.into()
    }

    fn field(&self, field: &FieldDescriptorProto, choice: &mut dyn Choice, depth: usize, out: &mut Vec<u8>) {
        let number = field.number().unsigned_abs();
        let mut bytes = |payload: &[u8]| {
            encode_key(number, WireType::LengthDelimited, out);
            encode_varint(payload.len() as u64, out);
            out.extend_from_slice(payload);
        };
        match field.r#type() {
            Type::String | Type::Bytes => bytes(choice.text().as_bytes()),
            Type::Message if depth > 0 => bytes(&self.make(field.type_name(), choice, depth - 1)),
            Type::Message | Type::Group => {}
            Type::Double => {
                encode_key(number, WireType::SixtyFourBit, out);
                out.extend_from_slice(&choice.number().to_le_bytes());
            }
            Type::Float => {
                encode_key(number, WireType::ThirtyTwoBit, out);
                out.extend_from_slice(&(choice.number() as f32).to_le_bytes());
            }
            Type::Fixed64 | Type::Sfixed64 => {
                encode_key(number, WireType::SixtyFourBit, out);
                out.extend_from_slice(&choice.integer().to_le_bytes());
            }
            Type::Fixed32 | Type::Sfixed32 => {
                encode_key(number, WireType::ThirtyTwoBit, out);
                out.extend_from_slice(&(choice.integer() as u32).to_le_bytes());
            }
            _ => {
                encode_key(number, WireType::Varint, out);
                encode_varint(choice.integer(), out);
            }
        }
    }
}

impl Default for Messages {
    fn default() -> Self {
        Self::new()
    }
}

fn keep(known: &mut BTreeMap<String, DescriptorProto>, scope: &str, message: DescriptorProto) {
    let name = format!("{scope}.{}", message.name());
    for nested in message.nested_type.clone() {
        keep(known, &name, nested);
    }
    known.insert(name, message);
}
