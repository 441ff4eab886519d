//! Any message of the contracts as JSON and back, by the descriptors that are built in.

use anyhow::Context;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};

/// Every type of the contracts.
///
/// # Errors
/// Never with the built-in descriptors.
pub fn pool() -> anyhow::Result<DescriptorPool> {
    Ok(DescriptorPool::decode(contracts::DESCRIPTORS)?)
}

/// A type by its full name, `wlp.registry.v1.ModelVersion`.
///
/// # Errors
/// If the contracts have no such type.
pub(crate) fn message_type(name: &str) -> anyhow::Result<MessageDescriptor> {
    pool()?.get_message_by_name(name).with_context(|| format!("the contracts have no {name}"))
}

/// A message as JSON in the standard mapping, names as in the contracts.
///
/// # Errors
/// If the bytes are no such message.
pub fn to_json(kind: MessageDescriptor, bytes: &[u8]) -> anyhow::Result<serde_json::Value> {
    let message = DynamicMessage::decode(kind, bytes)?;
    let options = SerializeOptions::new().use_proto_field_name(true).stringify_64_bit_integers(false);
    Ok(message.serialize_with_options(serde_json::value::Serializer, &options)?)
}

/// A message that was written as JSON; unknown fields are refused.
///
/// # Errors
/// If the text is no JSON or does not fit the type, with the place.
pub fn from_json<M: prost::Message + Default>(name: &str, text: &str) -> anyhow::Result<M> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let message = DynamicMessage::deserialize(message_type(name)?, &mut parser)?;
    parser.end()?;
    Ok(message.transcode_to()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::pipeline::v1::BuildPlan;
    use prost::Message;

    #[test]
    fn a_plan_goes_to_json_and_back() {
        let text = r#"{"label_column": "digit", "splits": {"train": 0.5, "test": 0.5}, "seed": 7}"#;
        let plan: BuildPlan = from_json("wlp.pipeline.v1.BuildPlan", text).expect("a plan");
        assert_eq!((plan.label_column.as_str(), plan.seed), ("digit", 7));
        let kind = message_type("wlp.pipeline.v1.BuildPlan").expect("a type");
        let json = to_json(kind, &plan.encode_to_vec()).expect("json");
        assert_eq!(json["label_column"], "digit");
    }

    #[test]
    fn a_misspelt_field_is_refused() {
        let refused = from_json::<BuildPlan>("wlp.pipeline.v1.BuildPlan", r#"{"label_colum": "x"}"#);
        assert!(refused.is_err());
    }
}
