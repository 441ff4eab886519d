use super::*;
use crate::local::text::parse;

fn spec(name: &str, datatype: DataType, dims: &[Dim]) -> TensorSpec {
    TensorSpec { name: name.into(), datatype, dims: Some(dims.to_vec()) }
}

fn any(name: &str) -> Dim {
    Dim::Symbol(name.into())
}

/// x FP32[rows,4], text BYTES[rows,?] -> y FP32[rows,3], label INT64[rows]
fn file() -> ModelSignature {
    ModelSignature {
        inputs: vec![
            spec("x", DataType::Fp32, &[any("rows"), Dim::Fixed(4)]),
            spec("text", DataType::Bytes, &[Dim::Any(()), any("words")]),
        ],
        outputs: vec![
            spec("y", DataType::Fp32, &[any("rows"), Dim::Fixed(3)]),
            spec("label", DataType::Int64, &[any("rows")]),
        ],
        ..ModelSignature::default()
    }
}

fn completed(text: &str, signature: &ModelSignature) -> Result<Stated, Vec<FieldError>> {
    let loaded = Loaded { signature, batches: true, provider: Provider::Cpu };
    let mut config = parse(text).unwrap();
    config.name = "net".into();
    complete(&config, loaded, &Infer::default())
}

fn wrong(text: &str) -> Vec<String> {
    completed(text, &file()).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_without_a_configuration_speaks_for_itself() {
    let stated = completed("", &file()).unwrap();
    let config = &stated.config;
    assert_eq!(config.max_batch_size, 4096);
    assert!(matches!(config.scheduling_choice, Some(SchedulingChoice::DynamicBatching(_))));
    let inputs: Vec<_> =
        config.input.iter().map(|it| (it.data_type().as_str_name(), it.dims.clone())).collect();
    assert_eq!(inputs, [("TYPE_FP32", vec![4]), ("TYPE_STRING", vec![-1])]);
    assert_eq!(config.output[1].dims, [0_i64; 0]);
    assert_eq!((config.platform.as_str(), config.backend.as_str()), (PLATFORM, BACKEND));
    assert_eq!(config.instance_group[0].name, "net_0");
    assert_eq!(config.instance_group[0].kind(), Kind::Cpu);
    // One request has one number of rows, whatever the file calls them.
    assert_eq!(stated.signature.inputs[1].dims, Some(vec![any("rows"), any("words")]));
    assert_eq!(stated.signature.inputs[0].shape(), [-1, 4]);
}

#[test]
fn a_file_without_rows_is_not_batched() {
    let mut fixed = file();
    fixed.outputs[0].dims = Some(vec![Dim::Fixed(1), Dim::Fixed(3)]);
    let stated = completed("", &fixed).unwrap();
    assert_eq!((stated.config.max_batch_size, stated.is_batched()), (0, false));
    assert_eq!(stated.config.input[0].dims, [-1, 4]);
    assert!(stated.config.scheduling_choice.is_none());
    assert_eq!(stated.signature.outputs, fixed.outputs);
}

#[test]
fn a_configuration_narrows_what_the_file_leaves_open() {
    let text = "max_batch_size: 8
        input [ { name: \"text\" data_type: TYPE_STRING dims: [ 2 ] }, { name: \"x\" dims: [ -1 ] } ]
        output [ { name: \"y\" data_type: TYPE_FP32 dims: [ 3 ] } ]";
    let stated = completed(text, &file()).unwrap();
    assert_eq!(stated.signature.inputs[0].shape(), [-1, 2]);
    assert_eq!(stated.signature.inputs[1].shape(), [-1, 4]);
    assert_eq!(stated.signature.outputs.len(), 1, "the configuration has no label");
    assert_eq!(stated.config.input[1].data_type(), wire::DataType::TypeFp32);
    assert!(stated.config.scheduling_choice.is_none());
    let whole = "input [ { name: \"x\" dims: [ 2, 4 ] }, { name: \"text\" } ]";
    let stated = completed(whole, &file()).unwrap();
    assert_eq!((stated.signature.inputs[0].shape(), stated.config.max_batch_size), (vec![2, 4], 0));
}

#[test]
fn every_contradiction_of_the_file_is_named() {
    assert_eq!(
        wrong(
            "max_batch_size: 8 input [ { name: \"x\" data_type: TYPE_FP64 dims: [ 5 ] }, { name: \"z\" } ]"
        ),
        [
            "input[z]: the file has no such input, it has x, text",
            "input[text]: is missing, the file requires text BYTES[?,words]",
            "input[x].data_type: TYPE_FP64, the file has TYPE_FP32",
            "input[x].dims: 5 where the file has 4 (x FP32[rows,4])",
        ]
    );
    let dims = wrong(
        "max_batch_size: 8 output [ { name: \"y\" dims: [ -1, 3 ] }, { name: \"label\" dims: [ 0 ] } ]",
    );
    assert_eq!(
        dims,
        [
            "output[y].dims: [-1, 3], required 1 dimensions behind the rows (y FP32[rows,3])",
            "output[label].dims: 0, required 1 or more, or -1 for any size",
        ]
    );
    assert_eq!(
        wrong("input [ { name: \"x\" optional: true }, { name: \"text\" }, { name: \"text\" } ]"),
        ["input[text]: is given twice", "input[x].optional: the file requires this input"]
    );
    let mut fixed = file();
    fixed.inputs[0].dims = Some(vec![Dim::Fixed(1), Dim::Fixed(4)]);
    let bad = completed("max_batch_size: 8", &fixed).unwrap_err();
    assert_eq!(bad.len(), 1);
    assert!(bad[0].to_string().contains("first dimension is none of rows"), "{}", bad[0]);
}

#[test]
fn a_file_without_a_rank_takes_what_the_configuration_says() {
    let mut open = file();
    open.inputs[0].dims = None;
    let text = "max_batch_size: 8 input [ { name: \"x\" dims: [ 4 ] }, { name: \"text\" } ]";
    assert_eq!(completed(text, &open).unwrap().signature.inputs[0].shape(), [-1, 4]);
    assert_eq!(completed("", &open).unwrap().signature.inputs[0].dims, None);
}

#[test]
fn every_type_has_its_number() {
    for known in DataType::ALL {
        assert_eq!(datatype(number(known).into()), Some(known));
    }
    assert_eq!(datatype(0), None);
}

#[test]
fn a_tensor_may_have_another_shape_for_callers() {
    let config = "max_batch_size: 4
        input [ { name: \"x\" dims: [ 2, 2 ] reshape { shape: [ 4 ] } }, { name: \"text\" } ]
        output [ { name: \"label\" dims: [ 1 ] reshape { shape: [ ] } } ]";
    let stated = completed(config, &file()).unwrap();
    assert_eq!(stated.signature.inputs[0].shape(), [-1, 2, 2]);
    assert_eq!(stated.signature.outputs[0].shape(), [-1, 1]);
    let of = |output: &str| wrong(&format!("max_batch_size: 4 output [ {{ {output} }} ]")).join("; ");
    let text = of("name: \"y\" dims: [ 4 ] reshape { shape: [ 3 ] }");
    assert_eq!(text, "output[y].dims: [4] with reshape [3]: not the same number of elements");
    assert!(of("name: \"y\" dims: [ 4 ] reshape { shape: [ 4 ] }").contains("4 where the file has 3"));
    assert!(of("name: \"y\" reshape { shape: [ 3 ] }").contains("every size must be there"));
    assert!(of("name: \"y\" dims: [ -1 ] reshape { shape: [ 3 ] }").contains("every size must be there"));
    let text = of("name: \"y\" dims: [ 1 ] reshape { shape: [ ] }");
    assert!(text.contains("reshape [], required 1 dimensions"), "{text}");
}

#[test]
fn controls_and_states_are_not_for_callers() {
    let mut with = file();
    with.inputs.push(spec("start", DataType::Int32, &[any("rows"), Dim::Fixed(1)]));
    with.inputs.push(spec("sum", DataType::Fp32, &[any("rows"), Dim::Fixed(3)]));
    let sequences = "sequence_batching {
        control_input [ { name: \"start\" control [ { int32_false_true: [ 0, 1 ] } ] } ]
        state [ { input_name: \"sum\" output_name: \"y\" } ] }";
    let stated = completed(sequences, &with).unwrap();
    let names = |specs: &[TensorSpec]| specs.iter().map(|spec| spec.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&stated.signature.inputs), ["x", "text"]);
    assert_eq!(names(&stated.signature.outputs), ["label"]);
    let listed = format!("{sequences} output [ {{ name: \"y\" }} ]");
    assert_eq!(names(&completed(&listed, &with).unwrap().signature.outputs), ["y"]);
    let given =
        format!("{sequences} input [ {{ name: \"x\" }}, {{ name: \"text\" }}, {{ name: \"start\" }} ]");
    let bad = completed(&given, &with).unwrap_err();
    assert_eq!(bad[0].to_string(), "input[start]: is a control or a state: no client gives it");
    assert_eq!(bad.len(), 1);
}
