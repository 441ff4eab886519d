//! What inspection reads and refuses, on models built here.
#![allow(clippy::unwrap_used)]

mod model;

use engine::inspect::proto::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, SparseTensorProto,
    StringStringEntryProto, TensorProto, TrainingInfoProto,
};
use engine::{Compatibility, DataType, Declared, Dim, InspectError, Limits, inspect};
use model::{FLOAT, add, endless, file, floats, model, node, subgraph, value};
use proptest::prelude::*;
use prost::Message;

fn reasons(model: &ModelProto) -> Vec<String> {
    match inspect(&file(model), &Limits::default()) {
        Ok(_) => Vec::new(),
        Err(error) => error.findings().into_iter().map(|finding| finding.reason).collect(),
    }
}

fn graph(model: &mut ModelProto) -> &mut GraphProto {
    model.graph.as_mut().unwrap()
}

fn external() -> TensorProto {
    let entry = StringStringEntryProto { key: "location".into(), value: "../../secret".into() };
    TensorProto {
        name: "w2".into(),
        data_type: FLOAT,
        dims: vec![1],
        data_location: 1,
        external_data: vec![entry],
        ..TensorProto::default()
    }
}

#[test]
fn it_reads_signature_and_parts() {
    let read = inspect(&file(&add()), &Limits::default()).unwrap();
    assert_eq!(read.nodes, 1);
    assert_eq!(read.parameters, 2);
    assert_eq!(read.operators["Add"], 1);
    assert_eq!(read.opsets[0].domain, "ai.onnx");
    let x = &read.signature.inputs[0];
    assert_eq!((x.name.as_str(), x.datatype), ("x", DataType::Fp32));
    assert_eq!(x.dims, Some(vec![Dim::Symbol("n".into()), Dim::Fixed(2)]));
    assert_eq!(x.to_string(), "x FP32[n,2]");
    let again: engine::ModelSignature =
        serde_json::from_str(&serde_json::to_string(&read.signature).unwrap()).unwrap();
    assert_eq!(again, read.signature);
}

#[test]
fn external_data_is_refused_wherever_it_is() {
    let mut main = add();
    graph(&mut main).initializer.push(external());
    let mut inner = endless();
    let body = graph(&mut inner).node[0].attribute[0].g.as_mut().unwrap();
    body.initializer.push(external());
    let mut attribute = add();
    let held =
        AttributeProto { name: "value".into(), t: Some(Box::new(external())), ..AttributeProto::default() };
    graph(&mut attribute).node[0].attribute.push(held.clone());
    let mut list = add();
    let tensors = AttributeProto { name: "v".into(), tensors: vec![external()], ..AttributeProto::default() };
    graph(&mut list).node[0].attribute.push(tensors);
    let mut sparse = add();
    let stored =
        SparseTensorProto { values: Some(external()), dims: vec![4], ..SparseTensorProto::default() };
    graph(&mut sparse).sparse_initializer.push(stored);
    let mut function = add();
    function.functions.push(FunctionProto {
        name: "F".into(),
        domain: "own".into(),
        node: vec![NodeProto { attribute: vec![held], ..node("Constant", &[], &["c"]) }],
        ..FunctionProto::default()
    });
    let mut training = add();
    let algorithm = GraphProto { initializer: vec![external()], ..GraphProto::default() };
    training
        .training_info
        .push(TrainingInfoProto { algorithm: Some(algorithm), ..TrainingInfoProto::default() });
    for (at, bad) in [main, inner, attribute, list, sparse, function, training].iter().enumerate() {
        assert!(reasons(bad).contains(&"EXTERNAL_DATA".to_owned()), "{at}: {:?}", reasons(bad));
    }
}

/// Also where only ONNX's newer fields or the defaults of a function hold a tensor.
#[test]
fn external_data_is_refused_in_sparse_attributes_defaults_and_inner_functions() {
    let sparse = |values: bool| {
        let (values, indices) = if values { (Some(external()), None) } else { (None, Some(external())) };
        SparseTensorProto { values, indices, dims: vec![4] }
    };
    let attribute = |values| AttributeProto {
        name: "sparse_value".into(),
        sparse_tensor: Some(Box::new(sparse(values))),
        ..AttributeProto::default()
    };
    let (mut one, mut list) = (add(), add());
    graph(&mut one).node[0].attribute.push(attribute(true));
    let tensors = vec![sparse(false)];
    let many = AttributeProto { name: "v".into(), sparse_tensors: tensors, ..AttributeProto::default() };
    graph(&mut list).node[0].attribute.push(many);
    let held = |inner: AttributeProto| FunctionProto {
        name: "F".into(),
        domain: "own".into(),
        attribute_proto: vec![inner],
        ..FunctionProto::default()
    };
    let mut default = add();
    default.functions.push(held(AttributeProto {
        name: "value".into(),
        t: Some(Box::new(external())),
        ..AttributeProto::default()
    }));
    let mut inner = add();
    let body = GraphProto { initializer: vec![external()], ..GraphProto::default() };
    let call = NodeProto { attribute: vec![subgraph("body", body)], ..node("If", &["c"], &["d"]) };
    inner.functions.push(FunctionProto { node: vec![call], ..held(AttributeProto::default()) });
    // Named outside although its values are inside: which of the two is read is the reader's choice.
    let mut both = add();
    let entry = StringStringEntryProto { key: "location".into(), value: "/etc/passwd".into() };
    graph(&mut both).initializer[0].external_data.push(entry);
    for (at, bad) in [one, list, default, inner, both].iter().enumerate() {
        assert!(reasons(bad).contains(&"EXTERNAL_DATA".to_owned()), "{at}: {:?}", reasons(bad));
    }
}

/// Bytes that a shape asks for and a file does not have would be those of somebody else.
#[test]
fn a_tensor_whose_bytes_are_not_those_of_its_shape_is_refused_whatever_its_type() {
    let raw = |data_type, dims: &[i64], bytes: usize| TensorProto {
        name: "t".into(),
        data_type,
        dims: dims.to_vec(),
        raw_data: Some(vec![1; bytes].into()),
        ..TensorProto::default()
    };
    let typed = |data_type, dims: &[i64]| TensorProto {
        name: "t".into(),
        data_type,
        dims: dims.to_vec(),
        ..TensorProto::default()
    };
    let (int4, string) = (22, model::STRING);
    let fits = [
        raw(FLOAT, &[2, 3], 24),
        raw(FLOAT, &[0, 3], 0),
        raw(FLOAT, &[], 4),
        raw(int4, &[3], 2),
        TensorProto { int32_data: vec![1, 2], ..typed(int4, &[3]) },
        TensorProto { string_data: vec!["a".into()], ..typed(string, &[1]) },
    ];
    let wrong = [
        raw(FLOAT, &[2, 3], 23),
        raw(FLOAT, &[2, 3], 25),
        raw(FLOAT, &[2, 3], 0),
        raw(FLOAT, &[0, 3], 4),
        raw(FLOAT, &[], 0),
        raw(FLOAT, &[-2, -3], 24),
        raw(FLOAT, &[1 << 32, 1 << 32], 0),
        raw(FLOAT, &[1 << 62], 0),
        raw(int4, &[3], 1),
        raw(string, &[4], 4),
        raw(99, &[1], 1),
        typed(FLOAT, &[1]),
        typed(string, &[1]),
        TensorProto { float_data: vec![1.0; 3], ..typed(FLOAT, &[2]) },
        TensorProto { int32_data: vec![1], ..typed(int4, &[3]) },
        TensorProto { int64_data: vec![1], ..typed(FLOAT, &[1]) },
        TensorProto { float_data: vec![1.0], ..raw(FLOAT, &[1], 4) },
        TensorProto { float_data: vec![1.0; 3], ..typed(14, &[2]) },
    ];
    let places = |tensor: &TensorProto| {
        let (mut main, mut attribute, mut inner) = (add(), add(), endless());
        graph(&mut main).initializer.push(tensor.clone());
        graph(&mut attribute).node[0].attribute.push(AttributeProto {
            name: "value".into(),
            t: Some(Box::new(tensor.clone())),
            ..AttributeProto::default()
        });
        graph(&mut inner).node[0].attribute[0].g.as_mut().unwrap().initializer.push(tensor.clone());
        [main, attribute, inner]
    };
    for tensor in &fits {
        for model in places(tensor) {
            assert!(reasons(&model).is_empty(), "{tensor:?}: {:?}", reasons(&model));
        }
    }
    for tensor in &wrong {
        for model in places(tensor) {
            assert_eq!(reasons(&model), ["TENSOR_SIZE"], "{tensor:?}");
        }
    }
}

#[test]
fn names_that_change_what_is_shown_are_refused_and_never_echoed() {
    for bad in ["x\u{202e}y", "x\n", "x\u{200b}", "\u{1b}[2J", &"x".repeat(257)] {
        let mut named = add();
        graph(&mut named).input[0].name = bad.into();
        graph(&mut named).node[0].input[0] = bad.into();
        let error = inspect(&file(&named), &Limits::default()).unwrap_err();
        assert_eq!(error.findings()[0].reason, "NAME");
        assert!(!error.to_string().chars().any(|c| c.is_control() || c == '\u{202e}'), "{error}");
    }
    let mut told = add();
    let value = "<script>\u{1b}[31m\n".to_owned() + &"A".repeat(300_000);
    told.metadata_props.push(StringStringEntryProto { key: "../../k\n".into(), value });
    let read = inspect(&file(&told), &Limits::default()).unwrap();
    let (key, value) = read.metadata.iter().next().unwrap();
    assert!(
        !key.contains('\n') && !value.contains(['<', '\u{1b}', '\n']) && value.len() < 200,
        "{key} {value}"
    );
}

#[test]
fn foreign_operators_are_refused_and_own_functions_are_not() {
    let mut foreign = add();
    graph(&mut foreign).node[0].domain = "com.evil".into();
    assert_eq!(reasons(&foreign), ["CUSTOM_DOMAIN"]);
    foreign.functions.push(FunctionProto {
        name: "Add".into(),
        domain: "com.evil".into(),
        input: vec!["a".into(), "b".into()],
        output: vec!["c".into()],
        node: vec![node("Add", &["a", "b"], &["c"])],
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        ..FunctionProto::default()
    });
    assert!(reasons(&foreign).is_empty());
    let mut context = add();
    graph(&mut context).node[0] =
        NodeProto { domain: "com.microsoft".into(), ..node("EPContext", &["x"], &["y"]) };
    assert_eq!(reasons(&context), ["FORBIDDEN_OPERATOR"]);
}

/// Each function calls the one before ten times: ten lines of text become ten thousand million nodes.
#[test]
fn functions_that_expand_without_end_are_refused() {
    let mut bomb = add();
    for level in 0..10 {
        let op = if level == 0 { "Identity".to_owned() } else { format!("F{}", level - 1) };
        let domain = if level == 0 { String::new() } else { "own".into() };
        let call =
            |at: usize| NodeProto { domain: domain.clone(), ..node(&op, &["a"], &[&format!("v{at}")]) };
        bomb.functions.push(FunctionProto {
            name: format!("F{level}"),
            domain: "own".into(),
            node: (0..10).map(call).collect(),
            ..FunctionProto::default()
        });
    }
    graph(&mut bomb).node[0] = NodeProto { domain: "own".into(), ..node("F9", &["x"], &["y"]) };
    assert_eq!(reasons(&bomb), ["TOO_MANY_NODES"]);
    bomb.functions[0].node[0] = NodeProto { domain: "own".into(), ..node("F9", &["a"], &["v0"]) };
    assert_eq!(reasons(&bomb), ["RECURSIVE_FUNCTION"]);
}

#[test]
fn limits_are_kept_before_anything_is_built() {
    let chain = |count: usize| {
        let names: Vec<String> = (0..=count).map(|at| format!("v{at}")).collect();
        model(GraphProto {
            node: (0..count).map(|at| node("Neg", &[&names[at]], &[&names[at + 1]])).collect(),
            input: vec![value("v0", FLOAT, &[1])],
            output: vec![value(&names[count], FLOAT, &[1])],
            ..GraphProto::default()
        })
    };
    assert!(reasons(&chain(50_000)).is_empty());
    let many = inspect(&file(&chain(50_001)), &Limits::default()).unwrap_err();
    assert!(matches!(many, InspectError::TooMany { what: "nodes", limit: 50_000 }), "{many}");
    // Two bytes each: empty attributes inside one node.
    let mut inner = [0x2a, 0].repeat(3_000_000);
    for tag in [0x0a, 0x3a] {
        let mut outer = vec![tag];
        prost::encode_length_delimiter(inner.len(), &mut outer).unwrap();
        outer.append(&mut inner);
        inner = outer;
    }
    let many = inspect(&inner.into(), &Limits::default()).unwrap_err();
    assert!(matches!(many, InspectError::TooMany { what: "messages", .. }), "{many}");
    let mut nested = add();
    for _ in 0..40 {
        let mut outer = node("If", &["c"], &["y"]);
        outer.attribute.push(subgraph("then_branch", nested.graph.take().unwrap()));
        nested.graph = Some(GraphProto { node: vec![outer], ..GraphProto::default() });
    }
    let deep = inspect(&file(&nested), &Limits::default()).unwrap_err();
    assert!(matches!(deep, InspectError::TooDeep { .. }), "{deep}");
}

#[test]
fn every_reason_is_told_at_once() {
    let mut bad = add();
    graph(&mut bad).initializer[0].dims = vec![3];
    graph(&mut bad).node.push(node("Neg", &["nowhere"], &["y"]));
    assert_eq!(reasons(&bad), ["TENSOR_SIZE", "DUPLICATE_VALUE", "UNDEFINED_VALUE"]);
}

#[test]
fn digests_tell_names_weights_and_structure_apart() {
    let read = |model: &ModelProto| inspect(&file(model), &Limits::default()).unwrap();
    let two = |first: &str, second: &str, w: [f32; 2], v: [f32; 2], swapped: bool| {
        let mut nodes = vec![node("Mul", &["x", first], &["m"]), node("Add", &["m", second], &["y"])];
        if swapped {
            nodes.reverse();
        }
        model(GraphProto {
            node: nodes,
            initializer: vec![floats(first, &[2], &w), floats(second, &[2], &v)],
            input: vec![value("x", FLOAT, &[-1, 2])],
            output: vec![value("y", FLOAT, &[-1, 2])],
            ..GraphProto::default()
        })
    };
    let base = read(&two("w", "v", [1.0, 2.0], [3.0, 4.0], false));
    let renamed = read(&two("a", "b", [1.0, 2.0], [3.0, 4.0], true));
    assert_eq!(base.topology_digest, renamed.topology_digest);
    assert_eq!(base.weights_digest, renamed.weights_digest);
    assert_eq!(base.io_digest, renamed.io_digest);
    let trained = read(&two("w", "v", [1.0, 2.5], [3.0, 4.0], false));
    assert_eq!(base.topology_digest, trained.topology_digest);
    assert_ne!(base.weights_digest, trained.weights_digest);
    // The same numbers in the other places are other weights.
    let moved = read(&two("w", "v", [3.0, 4.0], [1.0, 2.0], false));
    assert_ne!(base.weights_digest, moved.weights_digest);
    let mut other = two("w", "v", [1.0, 2.0], [3.0, 4.0], false);
    graph(&mut other).node[0].op_type = "Div".into();
    assert_ne!(base.topology_digest, read(&other).topology_digest);
    let mut wider = two("w", "v", [1.0, 2.0], [3.0, 4.0], false);
    graph(&mut wider).output.push(value("m", FLOAT, &[-1, 2]));
    let wider = read(&wider);
    assert_ne!(base.io_digest, wider.io_digest);
    assert!(matches!(wider.signature.compare(&base.signature), Compatibility::Compatible(_)));
    assert!(matches!(base.signature.compare(&wider.signature), Compatibility::Breaking(_)));
    assert_eq!(base.signature.compare(&renamed.signature), Compatibility::Same);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    /// Whatever happens to the bytes of a model, inspection answers.
    #[test]
    fn damaged_files_are_answered(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
                                  cut in any::<prop::sample::Index>()) {
        let mut bytes = endless().encode_to_vec();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= value;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        let _ = inspect(&bytes.into(), &Limits::default());
    }
}

/// Each of many subgraphs sees every value around it; the cost is their sum, not their product.
#[test]
fn many_subgraphs_in_a_wide_graph_are_read_quickly() {
    let branch = || GraphProto { output: vec![value("x", FLOAT, &[1])], ..GraphProto::default() };
    let names: Vec<String> = (0..24_000).map(|at| format!("v{at}")).collect();
    let branches = names.iter().map(|name| {
        let mut choose = node("If", &["c"], &[name]);
        choose.attribute.push(subgraph("then_branch", branch()));
        choose.attribute.push(subgraph("else_branch", branch()));
        choose
    });
    let wide = model(GraphProto {
        node: branches.collect(),
        input: vec![value("c", model::BOOL, &[]), value("x", FLOAT, &[1])],
        output: vec![value("v0", FLOAT, &[1])],
        ..GraphProto::default()
    });
    let start = std::time::Instant::now();
    assert!(reasons(&wide).is_empty());
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
}

/// A size costs a file nothing, and whoever makes or sends such a tensor gigabytes.
#[test]
fn an_input_that_no_request_can_bring_is_refused() {
    for dims in [&[1 << 40][..], &[1 << 40, 1 << 40], &[-1, 1 << 31, 4]] {
        let mut large = add();
        graph(&mut large).input[0] = value("x", FLOAT, dims);
        assert_eq!(reasons(&large), ["INPUT_SIZE"], "{dims:?}");
    }
    let mut fits = add();
    graph(&mut fits).input[0] = value("x", FLOAT, &[-1, 64 << 20]);
    assert!(reasons(&fits).is_empty());
}

/// What can be told of an input that cannot be read is checked like the others.
#[test]
fn every_wrong_field_is_named_also_beside_what_cannot_be_read() {
    let signature = inspect(&file(&add()), &Limits::default()).unwrap().signature;
    let declared = |name, datatype, shape| Declared { name, datatype, shape };
    let wrong = signature.faults(
        [
            declared("x", None, Some(&[1, 3][..])),
            declared("x", Some(DataType::Fp32), None),
            declared("other", None, None),
        ],
        &["y".into(), "z".into(), "z2".into()],
    );
    let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    assert_eq!(
        wrong,
        [
            "inputs[x].shape: dimension 1 is 3, required 2 (x FP32[n,2])",
            "inputs[x]: given more than once",
            "inputs[other]: the model has no such input",
            "outputs[z]: the model has no such output, it has y",
            "outputs[z2]: the model has no such output",
        ]
    );
}
