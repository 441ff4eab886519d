//! A model for the tests of this module, on the provider that the suite runs on.

use prost::Message;

use super::instance::Instance;
use super::{library, load};
use crate::inspect::proto::{ModelProto, NodeProto};
use crate::{DataType, Dim, LoadOptions, ModelSignature, Provider, ProviderPolicy, Tensor, TensorSpec};

const NAMES: [(&str, &str); 3] = [("x", "y"), ("t", "u"), ("b", "c")];

/// y = -x, u = t, c = not b, over any number of rows.
pub fn model() -> (Vec<u8>, ModelSignature) {
    let spec = |name: &str, datatype| TensorSpec {
        name: name.into(),
        datatype,
        dims: Some(vec![Dim::Any(()), Dim::Fixed(2)]),
    };
    let kinds = [DataType::Fp32, DataType::Bytes, DataType::Bool];
    let signature = ModelSignature {
        inputs: NAMES.iter().zip(kinds).map(|((name, _), kind)| spec(name, kind)).collect(),
        outputs: NAMES.iter().zip(kinds).map(|((_, name), kind)| spec(name, kind)).collect(),
        ..ModelSignature::default()
    };
    let mut model = ModelProto::decode(crate::fake::model(&signature, 1)).expect("a model");
    let graph = model.graph.as_mut().expect("a graph");
    graph.initializer.clear();
    for ((from, to), op) in NAMES.iter().zip(["Neg", "Identity", "Not"]) {
        let (input, output) = (vec![(*from).into()], vec![(*to).into()]);
        graph.node.push(NodeProto { op_type: op.into(), input, output, ..NodeProto::default() });
    }
    (model.encode_to_vec(), signature)
}

/// The provider that the suite runs on: `WLP_TEST_PROVIDER`, by default the processors.
pub fn provider() -> Provider {
    match std::env::var("WLP_TEST_PROVIDER").as_deref() {
        Ok("cuda") => Provider::Cuda,
        Ok("tensorrt") => Provider::TensorRt,
        Ok("cpu") | Err(_) => Provider::Cpu,
        Ok(other) => panic!("WLP_TEST_PROVIDER={other}"),
    }
}

/// Loaded on that provider; `None` where ONNX Runtime is not installed.
pub fn loaded() -> Option<Instance> {
    let environment = match library::environment() {
        Ok((environment, _)) => environment,
        Err(error) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{error}");
            println!("skipped: {error}");
            return None;
        }
    };
    let (file, signature) = model();
    let policy = ProviderPolicy { preferred: vec![provider()], ..ProviderPolicy::default() };
    let options = LoadOptions { provider: policy, ..LoadOptions::default() };
    let (instances, _) =
        load::load(&environment, &file, &signature, "sha256:00", &options).expect("a session");
    instances.into_iter().next()
}

/// A request of so many rows.
pub fn rows(count: i64, from: u8) -> Vec<Tensor> {
    let shape = || vec![count, 2];
    let all: Vec<u8> = (0..2 * count as u8).map(|at| at + from).collect();
    let floats: Vec<f32> = all.iter().map(|at| f32::from(*at) / 3.0).collect();
    let texts: Vec<String> = all.iter().map(|at| format!("text {at}")).collect();
    // Any byte but 0 is true: a device must not see which.
    let bits = Tensor::raw("b", DataType::Bool, shape(), all.iter().map(|at| at % 3).collect()).unwrap();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    vec![Tensor::of("x", shape(), &floats).unwrap(), Tensor::of_text("t", shape(), &texts).unwrap(), bits]
}
