//! What a model says of itself: metadata and configuration.

use contracts::inference as wire;
use contracts::inference::model_instance_group::Kind;
use contracts::inference::model_metadata_response::TensorMetadata;
use engine::{DataType, ModelSignature, Provider, TensorSpec};

const PLATFORM: &str = "onnxruntime_onnx";

/// Metadata of an endpoint as one of its versions has it.
pub fn metadata(
    endpoint: &str,
    versions: Vec<String>,
    signature: &ModelSignature,
) -> wire::ModelMetadataResponse {
    let one = |spec: &TensorSpec| TensorMetadata {
        name: spec.name.clone(),
        datatype: spec.datatype.name().to_owned(),
        shape: spec.shape(),
    };
    wire::ModelMetadataResponse {
        name: endpoint.to_owned(),
        versions,
        platform: PLATFORM.into(),
        inputs: signature.inputs.iter().chain(&signature.optional_inputs).map(one).collect(),
        outputs: signature.outputs.iter().map(one).collect(),
    }
}

/// Configuration in Triton's form. `max_batch_size` is 0: every dimension stands in `dims`, the first one included.
pub fn config(endpoint: &str, signature: &ModelSignature, provider: Provider) -> wire::ModelConfig {
    let input = |spec: &TensorSpec, optional| wire::ModelInput {
        name: spec.name.clone(),
        data_type: number(spec.datatype).into(),
        dims: spec.shape(),
        optional,
        ..wire::ModelInput::default()
    };
    let output = |spec: &TensorSpec| wire::ModelOutput {
        name: spec.name.clone(),
        data_type: number(spec.datatype).into(),
        dims: spec.shape(),
        ..wire::ModelOutput::default()
    };
    let kind = match provider {
        Provider::Cpu => Kind::Cpu,
        Provider::Cuda | Provider::TensorRt => Kind::Gpu,
    };
    let group = wire::ModelInstanceGroup {
        name: endpoint.to_owned(),
        kind: kind.into(),
        count: 1,
        ..Default::default()
    };
    wire::ModelConfig {
        name: endpoint.to_owned(),
        platform: PLATFORM.into(),
        backend: "onnxruntime".into(),
        input: signature
            .inputs
            .iter()
            .map(|spec| input(spec, false))
            .chain(signature.optional_inputs.iter().map(|spec| input(spec, true)))
            .collect(),
        output: signature.outputs.iter().map(output).collect(),
        instance_group: vec![group],
        ..wire::ModelConfig::default()
    }
}

/// The number of a type in a configuration.
pub fn number(datatype: DataType) -> wire::DataType {
    match datatype {
        DataType::Bool => wire::DataType::TypeBool,
        DataType::Uint8 => wire::DataType::TypeUint8,
        DataType::Uint16 => wire::DataType::TypeUint16,
        DataType::Uint32 => wire::DataType::TypeUint32,
        DataType::Uint64 => wire::DataType::TypeUint64,
        DataType::Int8 => wire::DataType::TypeInt8,
        DataType::Int16 => wire::DataType::TypeInt16,
        DataType::Int32 => wire::DataType::TypeInt32,
        DataType::Int64 => wire::DataType::TypeInt64,
        DataType::Fp16 => wire::DataType::TypeFp16,
        DataType::Bf16 => wire::DataType::TypeBf16,
        DataType::Fp32 => wire::DataType::TypeFp32,
        DataType::Fp64 => wire::DataType::TypeFp64,
        DataType::Bytes => wire::DataType::TypeString,
    }
}
