//! Small ONNX models, built here from the messages of the format, and where the tests run them.
#![allow(dead_code, missing_docs)]

use bytes::Bytes;
use engine::inspect::proto::{
    AttributeProto, Dimension, DimensionValue, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TensorType, TypeProto, TypeValue, ValueInfoProto,
};
use engine::{LoadOptions, Provider, ProviderPolicy};
use prost::Message;

/// Where the tests run: `WLP_TEST_PROVIDER`, which is `cpu` where it is not set, `cuda` or `tensorrt`.
pub fn provider() -> Provider {
    match std::env::var("WLP_TEST_PROVIDER").as_deref() {
        Ok("cuda") => Provider::Cuda,
        Ok("tensorrt") => Provider::TensorRt,
        Ok("cpu") | Err(_) => Provider::Cpu,
        Ok(other) => panic!("WLP_TEST_PROVIDER={other}: cpu, cuda or tensorrt"),
    }
}

/// Runs there, but for models of which a device takes no node, as those of text alone.
pub fn options() -> LoadOptions {
    let preferred = vec![provider(), Provider::Cpu];
    let provider = ProviderPolicy { preferred, allow_fallback: true, ..ProviderPolicy::default() };
    LoadOptions { provider, ..LoadOptions::default() }
}

pub const FLOAT: i32 = 1;
pub const INT64: i32 = 7;
pub const STRING: i32 = 8;
pub const BOOL: i32 = 9;

/// A value; `-1` is the symbol `n`.
pub fn value(name: &str, elem_type: i32, dims: &[i64]) -> ValueInfoProto {
    let dim = |size: &i64| Dimension {
        value: Some(if *size < 0 { DimensionValue::Param("n".into()) } else { DimensionValue::Value(*size) }),
    };
    let shape = Some(TensorShapeProto { dim: dims.iter().map(dim).collect() });
    let kind = TypeProto { value: Some(TypeValue::Tensor(TensorType { elem_type, shape })) };
    ValueInfoProto { name: name.into(), r#type: Some(kind) }
}

pub fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    NodeProto { op_type: op.into(), input: owned(inputs), output: owned(outputs), ..NodeProto::default() }
}

pub fn floats(name: &str, dims: &[i64], values: &[f32]) -> TensorProto {
    let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: FLOAT,
        raw_data: Some(raw.into()),
        ..TensorProto::default()
    }
}

pub fn int(name: &str, value: i64) -> TensorProto {
    TensorProto { name: name.into(), data_type: INT64, int64_data: vec![value], ..TensorProto::default() }
}

pub fn truth(name: &str) -> TensorProto {
    TensorProto { name: name.into(), data_type: BOOL, int32_data: vec![1], ..TensorProto::default() }
}

pub fn subgraph(name: &str, graph: GraphProto) -> AttributeProto {
    AttributeProto { name: name.into(), r#type: 5, g: Some(Box::new(graph)), ..AttributeProto::default() }
}

pub fn model(graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: 8,
        producer_name: "engine-tests".into(),
        graph: Some(GraphProto { name: "g".into(), ..graph }),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        ..ModelProto::default()
    }
}

pub fn file(model: &ModelProto) -> Bytes {
    model.encode_to_vec().into()
}

/// y = x + w, x and y `[n, 2]`.
pub fn add() -> ModelProto {
    model(GraphProto {
        node: vec![node("Add", &["x", "w"], &["y"])],
        initializer: vec![floats("w", &[2], &[10.0, 20.0])],
        input: vec![value("x", FLOAT, &[-1, 2])],
        output: vec![value("y", FLOAT, &[-1, 2])],
        ..GraphProto::default()
    })
}

/// y = x of one type.
pub fn identity(elem_type: i32) -> ModelProto {
    model(GraphProto {
        node: vec![node("Identity", &["x"], &["y"])],
        input: vec![value("x", elem_type, &[-1])],
        output: vec![value("y", elem_type, &[-1])],
        ..GraphProto::default()
    })
}

/// y = the row of a table of three that i names; another i fails inside the graph on the processors. A device looks at no i.
pub fn gather() -> ModelProto {
    model(GraphProto {
        node: vec![node("Gather", &["table", "i"], &["y"])],
        initializer: vec![floats("table", &[3], &[1.0, 2.0, 3.0])],
        input: vec![value("i", INT64, &[-1])],
        output: vec![value("y", FLOAT, &[-1])],
        ..GraphProto::default()
    })
}

/// y = x through nine layers 256 wide: quick for a row, not for tens of thousands of them, and never by their values.
pub fn wide() -> ModelProto {
    let mut node = vec![self::node("MatMul", &["x", "first"], &["h0"])];
    for layer in 0..8 {
        let (from, to) =
            (format!("h{layer}"), if layer == 7 { "y".into() } else { format!("h{}", layer + 1) });
        node.push(self::node("MatMul", &[&from, "next"], &[&to]));
    }
    model(GraphProto {
        node,
        initializer: vec![
            floats("first", &[1, 256], &[0.01; 256]),
            floats("next", &[256, 256], &vec![0.001; 256 * 256]),
        ],
        input: vec![value("x", FLOAT, &[-1, 1])],
        output: vec![value("y", FLOAT, &[-1, 256])],
        ..GraphProto::default()
    })
}

/// Adds to x for ever.
pub fn endless() -> ModelProto {
    let body = GraphProto {
        name: "body".into(),
        node: vec![node("Identity", &["go"], &["go_on"]), node("Add", &["v", "v"], &["v_next"])],
        input: vec![value("turn", INT64, &[]), value("go", BOOL, &[]), value("v", FLOAT, &[1])],
        output: vec![value("go_on", BOOL, &[]), value("v_next", FLOAT, &[1])],
        ..GraphProto::default()
    };
    let mut turns = node("Loop", &["turns", "yes", "x"], &["y"]);
    turns.attribute.push(subgraph("body", body));
    model(GraphProto {
        node: vec![turns],
        initializer: vec![int("turns", 1 << 62), truth("yes")],
        input: vec![value("x", FLOAT, &[1])],
        output: vec![value("y", FLOAT, &[1])],
        ..GraphProto::default()
    })
}

/// y = x - the largest value of the whole batch: rows depend on each other, which no signature says.
pub fn mixes_rows() -> ModelProto {
    model(GraphProto {
        node: vec![node("ReduceMax", &["x"], &["m"]), node("Sub", &["x", "m"], &["y"])],
        input: vec![value("x", FLOAT, &[-1, 2])],
        output: vec![value("y", FLOAT, &[-1, 2])],
        ..GraphProto::default()
    })
}

/// y = x + noise: never the same twice.
pub fn noisy() -> ModelProto {
    model(GraphProto {
        node: vec![node("RandomNormalLike", &["x"], &["e"]), node("Add", &["x", "e"], &["y"])],
        input: vec![value("x", FLOAT, &[-1, 2])],
        output: vec![value("y", FLOAT, &[-1, 2])],
        ..GraphProto::default()
    })
}

/// y = x, after as many turns of a loop as the largest k of the batch says.
pub fn slow() -> ModelProto {
    let body = GraphProto {
        name: "body".into(),
        node: vec![node("Identity", &["go"], &["go_on"]), node("Mul", &["v", "one"], &["v_next"])],
        initializer: vec![floats("one", &[1], &[1.0])],
        input: vec![value("turn", INT64, &[]), value("go", BOOL, &[]), value("v", FLOAT, &[-1])],
        output: vec![value("go_on", BOOL, &[]), value("v_next", FLOAT, &[-1])],
        ..GraphProto::default()
    };
    let mut largest = node("ReduceMax", &["k"], &["turns"]);
    largest.attribute.push(AttributeProto { name: "keepdims".into(), r#type: 2, i: 0, ..Default::default() });
    let mut turns = node("Loop", &["turns", "yes", "x"], &["y"]);
    turns.attribute.push(subgraph("body", body));
    model(GraphProto {
        node: vec![largest, turns],
        initializer: vec![truth("yes")],
        input: vec![value("x", FLOAT, &[-1]), value("k", INT64, &[-1])],
        output: vec![value("y", FLOAT, &[-1])],
        ..GraphProto::default()
    })
}
