//! A version that is served with a preprocessing is evaluated with it.

use std::collections::BTreeSet;

use super::*;
use arrow::array::ArrayRef;
use features::preprocessing::Raw;
use features::{Fitted, Operation, Preprocessing};

/// `a` and `b` after these operations.
fn preprocessing(operations: &[Operation]) -> Bytes {
    let column = |values: Vec<f64>| Arc::new(Float64Array::from(values)) as ArrayRef;
    let training =
        RecordBatch::try_from_iter([("a", column(vec![-1.0, 1.0])), ("b", column(vec![0.0, 6.0]))]).unwrap();
    let fitted = Fitted::fit(operations, &training).unwrap();
    let raw = Raw::of(&training).unwrap();
    let made = Preprocessing::new(raw, &fitted.steps, &BTreeSet::new(), |_| true).unwrap();
    made.json().into_bytes().into()
}

/// The accuracy of a version with that preprocessing over rows whose dataset version has those transforms.
async fn evaluated(of_version: &Bytes, of_rows: &Bytes) -> Result<f64, String> {
    let digest = |bytes: &Bytes| Digest::of(bytes).to_string();
    let mesh = Mesh::made(
        |engine| Arc::new(engine),
        |version, dataset| {
            version.preprocessing_digest = digest(of_version);
            dataset.transform_digest = digest(of_rows);
        },
    )
    .await;
    for bytes in [of_version, of_rows] {
        mesh.told.artifacts.lock().unwrap().insert(digest(bytes), bytes.clone());
    }
    mesh.service.tasks().start();
    let asked = mesh.ask("first", "r1").await.unwrap();
    let ended = mesh.end(&asked.name).await;
    match &ended.result {
        Some(operation::Result::Error(status)) => Err(status.message.clone()),
        _ => Ok(value(&response(&ended), "accuracy")),
    }
}

/// With every `a` between 0.5 and 0.6 the model says 1 of every row, and half of them are.
#[tokio::test]
async fn raw_rows_are_transformed_once_and_transformed_ones_not_again() {
    let (clip, none) = (preprocessing(&[Operation::ClipTo("a".into(), 0.5, 0.6)]), preprocessing(&[]));
    let raw = evaluated(&clip, &none).await.unwrap();
    assert!((raw - 0.5).abs() < 1e-12, "{raw}");
    let own = evaluated(&clip, &clip).await.unwrap();
    assert!((own - 0.9).abs() < 1e-12, "the rows are what it made: {own}");
    let other = preprocessing(&[Operation::Robust("a".into())]);
    let refused = evaluated(&clip, &other).await.unwrap_err();
    assert!(refused.contains("transformed a itself"), "{refused}");
}
