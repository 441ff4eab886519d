//! Raw columns of requests become the model's inputs, bit for bit those of the data.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray};
use features::preprocessing::Raw;
use features::{Fitted, Operation};

use super::*;

fn training() -> RecordBatch {
    let columns: [(&str, ArrayRef); 5] = [
        ("age", Arc::new(Float64Array::from(vec![Some(20.0), None, Some(50.0), Some(-0.0)]))),
        ("count", Arc::new(Int64Array::from(vec![1, 2, 3, 4]))),
        ("gaps", Arc::new(Int64Array::from(vec![Some(7), None, Some(9), Some(9)]))),
        ("job", Arc::new(StringArray::from(vec![Some("a"), Some("b"), Some("a"), None]))),
        ("member", Arc::new(BooleanArray::from(vec![true, false, true, false]))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap()
}

fn artifact() -> Preprocessing {
    let training = training();
    let operations = [
        Operation::FillMean("age".into()),
        Operation::Standardise("age".into()),
        Operation::FillMedian("gaps".into()),
        Operation::OneHot("job".into()),
    ];
    let fitted = Fitted::fit(&operations, &training).unwrap();
    let raw = Raw::of(&training).unwrap().with_missing_texts(|_| vec!["?".into()]);
    Preprocessing::new(raw, &fitted.steps, &BTreeSet::new(), |_| true).unwrap()
}

fn spec(name: &str, datatype: DataType, dims: Vec<Dim>) -> TensorSpec {
    TensorSpec { name: name.into(), datatype, dims: Some(dims) }
}

fn model(datatype: DataType, width: i64) -> ModelSignature {
    let rows = || Dim::Symbol("n".into());
    ModelSignature {
        inputs: vec![spec("x", datatype, vec![rows(), Dim::Fixed(width)])],
        optional_inputs: Vec::new(),
        outputs: vec![spec("y", DataType::Fp32, vec![rows()])],
    }
}

fn preprocessor(datatype: DataType, width: i64) -> Preprocessor {
    Preprocessor::new(&artifact(), &model(datatype, width), None).unwrap()
}

fn request() -> Vec<Tensor> {
    vec![
        Tensor::of("member", vec![2, 1], &[true, false]).unwrap(),
        Tensor::of("age", vec![2, 1], &[50.0, f64::NAN]).unwrap(),
        Tensor::of("count", vec![2, 1], &[1_i64, 2]).unwrap(),
        Tensor::of("gaps", vec![2, 1], &[f64::NAN, 8.0]).unwrap(),
        Tensor::of_text("job", vec![2, 1], &["never seen", " ? "]).unwrap(),
    ]
}

#[test]
fn callers_are_asked_for_raw_columns() {
    let before = preprocessor(DataType::Fp32, 6);
    let asked: Vec<String> = before.signature().inputs.iter().map(ToString::to_string).collect();
    let expected = [
        "age FP64[rows,1]",
        "count INT64[rows,1]",
        "gaps FP64[rows,1]",
        "job BYTES[rows,1]",
        "member BOOL[rows,1]",
    ];
    assert_eq!(asked, expected);
    assert_eq!(before.signature().outputs, model(DataType::Fp32, 6).outputs);
    let few = ModelInterface { feature_columns: vec!["job=b".into(), "age".into()], ..Default::default() };
    let before = Preprocessor::new(&artifact(), &model(DataType::Fp32, 2), Some(&few)).unwrap();
    let asked: Vec<&str> = before.signature().inputs.iter().map(|input| input.name.as_str()).collect();
    assert_eq!(asked, ["age", "job"], "no more than the model needs");
}

#[test]
fn a_request_gives_the_bits_of_the_data() {
    let tensors = preprocessor(DataType::Fp32, 6).apply(&request()).unwrap();
    assert_eq!((tensors.len(), tensors[0].name(), tensors[0].shape()), (1, "x", &[2, 6][..]));
    let rows: Vec<f32> = tensors[0].values().unwrap();
    let raw: [(&str, ArrayRef); 5] = [
        ("age", Arc::new(Float64Array::from(vec![Some(50.0), None]))),
        ("count", Arc::new(Int64Array::from(vec![1, 2]))),
        ("gaps", Arc::new(Int64Array::from(vec![None, Some(8)]))),
        ("job", Arc::new(StringArray::from(vec![Some("never seen"), None]))),
        ("member", Arc::new(BooleanArray::from(vec![true, false]))),
    ];
    let raw = RecordBatch::try_from_iter_with_nullable(raw.map(|(name, array)| (name, array, true))).unwrap();
    let stored = artifact().apply(&raw).unwrap();
    for (at, name) in ["age", "count", "gaps", "job=a", "job=b", "member"].into_iter().enumerate() {
        let values = Values::in_batch(&stored, name).unwrap();
        for row in 0..2 {
            let number = values.number(row).unwrap() as f32;
            assert_eq!(rows[row * 6 + at].to_bits(), number.to_bits(), "{name} of row {row}");
        }
    }
    let alone: Vec<Tensor> =
        request().iter().map(|tensor| tensor.split(&[1, 1]).unwrap().remove(1)).collect();
    let alone: Vec<f32> = preprocessor(DataType::Fp32, 6).apply(&alone).unwrap()[0].values().unwrap();
    assert_eq!(alone, rows[6..], "a row alone");
}

#[test]
fn every_column_that_cannot_be_taken_is_named() {
    let before = preprocessor(DataType::Fp32, 6);
    let mut request = request();
    request[1] = Tensor::of("age", vec![2, 1], &[f64::INFINITY, 1.0]).unwrap();
    request[3] = Tensor::of("gaps", vec![2, 1], &[1.0, 0.5]).unwrap();
    let bad = before.apply(&request).unwrap_err();
    let fields: Vec<&str> = bad.iter().map(|one| one.field.as_str()).collect();
    assert_eq!(fields, ["inputs[age].contents", "inputs[gaps].contents"]);
    assert!(
        bad[0].description.contains("row 0 is infinite") && bad[1].description.contains("row 1"),
        "{bad:?}"
    );
    let gone = before.apply(&request[..2]).unwrap_err();
    assert_eq!(gone.len(), 3, "{gone:?}");
    let whole = preprocessor(DataType::Int64, 6).apply(&self::request()).unwrap_err();
    assert!(whole[0].description.contains("column \"age\""), "a fraction is no whole number: {whole:?}");
}

#[test]
fn a_column_may_come_without_its_second_dimension() {
    let before = Arc::new(preprocessor(DataType::Fp32, 6));
    let flat = request().into_iter().map(|tensor| match tensor.data() {
        engine::TensorData::Raw(data) => {
            Tensor::raw(tensor.name(), tensor.datatype(), vec![2], data.clone()).unwrap()
        }
        engine::TensorData::Strings(texts) => Tensor::strings(tensor.name(), vec![2], texts.clone()).unwrap(),
    });
    assert_eq!(as_columns(Some(&before), flat.collect()), request());
    let other = vec![Tensor::of("x", vec![2], &[1_i64, 2]).unwrap()];
    assert_eq!(as_columns(None, other.clone()), other);
}

#[test]
fn a_model_that_the_columns_do_not_fill_is_refused() {
    let refused = |model: &ModelSignature| Preprocessor::new(&artifact(), model, None).unwrap_err();
    assert!(refused(&model(DataType::Fp32, 5)).contains("5 elements in a row, and 6 columns"));
    assert!(refused(&model(DataType::Fp16, 6)).contains("FP16"));
}
