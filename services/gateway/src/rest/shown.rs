//! Answers as JSON by their descriptors, in the form of Triton's HTTP front end: fields by their proto names, 64-bit numbers
//! as numbers, enums by name.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use serde_json::Value;
use tonic::Status;

static DESCRIPTORS: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(contracts::DESCRIPTORS).ok());

/// `message`, which is an `inference.{name}`, with every field that it has, also those at their defaults.
///
/// # Errors
/// INTERNAL if it is not.
pub fn whole(name: &str, message: &impl Message) -> Result<Value, Status> {
    written(name, message, false)
}

/// As [`whole`], without fields at their defaults.
///
/// # Errors
/// As [`whole`].
pub fn brief(name: &str, message: &impl Message) -> Result<Value, Status> {
    written(name, message, true)
}

fn written(name: &str, message: &impl Message, skip_defaults: bool) -> Result<Value, Status> {
    let options = SerializeOptions::new()
        .stringify_64_bit_integers(false)
        .use_proto_field_name(true)
        .skip_default_fields(skip_defaults);
    let descriptor =
        DESCRIPTORS.as_ref().and_then(|all| all.get_message_by_name(&format!("inference.{name}")));
    let bytes = message.encode_to_vec();
    let dynamic = descriptor.and_then(|descriptor| DynamicMessage::decode(descriptor, bytes.as_slice()).ok());
    let json = dynamic.and_then(|it| it.serialize_with_options(serde_json::value::Serializer, &options).ok());
    json.ok_or_else(|| Status::internal("the answer cannot be written as JSON"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::inference as wire;
    use serde_json::json;

    #[test]
    fn a_configuration_is_written_as_triton_writes_it() {
        let input = wire::ModelInput {
            name: "x".into(),
            data_type: wire::DataType::TypeFp32.into(),
            dims: vec![-1, 4],
            ..wire::ModelInput::default()
        };
        let config = wire::ModelConfig { name: "scorer".into(), input: vec![input], ..Default::default() };
        let shown = whole("ModelConfig", &config).unwrap();
        assert_eq!(shown["input"][0]["data_type"], "TYPE_FP32");
        assert_eq!(shown["input"][0]["dims"], json!([-1, 4]));
        assert_eq!(shown["input"][0]["optional"], json!(false));
        assert_eq!((&shown["max_batch_size"], &shown["output"]), (&json!(0), &json!([])));
        assert_eq!(shown.get("optimization"), None, "a message that is not there is left out");
        assert!(whole("Nothing", &config).is_err());
    }

    #[test]
    fn every_answer_of_the_protocol_has_its_descriptor() {
        for name in [
            "ServerMetadataResponse",
            "ModelMetadataResponse",
            "ModelConfig",
            "ModelStatisticsResponse",
            "RepositoryIndexResponse.ModelIndex",
            "SystemSharedMemoryStatusResponse.RegionStatus",
            "CudaSharedMemoryStatusResponse.RegionStatus",
        ] {
            assert_eq!(brief(name, &wire::ServerLiveRequest {}).unwrap(), json!({}), "{name}");
        }
    }
}
