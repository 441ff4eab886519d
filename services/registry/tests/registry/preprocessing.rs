//! §5.3, §6: a version is served with the transforms that its training data was made with, or it is not made.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::desk::*;
use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use contracts::registry::v1::*;
use features::preprocessing::Raw;
use features::{Fitted, Operation, Preprocessing};
use storage::Digest;
use tonic::Code;

/// `width` columns, the first of them standardised; `first` is among what is fitted.
fn preprocessing(width: usize, first: f64) -> Vec<u8> {
    let column = |at: usize| -> (String, ArrayRef, bool) {
        (format!("c{at}"), Arc::new(Float64Array::from(vec![first, 2.0, 3.0])), true)
    };
    let training = RecordBatch::try_from_iter_with_nullable((0..width).map(column)).expect("a batch");
    let fitted = Fitted::fit(&[Operation::Standardise("c0".into())], &training).expect("fitted");
    let raw = Raw::of(&training).expect("raw columns");
    let made = Preprocessing::new(raw, &fitted.steps, &BTreeSet::new(), |_| true).expect("an artifact");
    made.json().into_bytes()
}

/// A completed run on data whose transforms are `bytes`.
async fn trained(desk: &Desk, number: &str, bytes: &[u8]) -> String {
    let data = DatasetVersion { transform_digest: Digest::of(bytes).to_string(), ..clean_data() };
    let draft = desk.draft_data(number, data).await.expect("a version");
    assert_eq!(desk.release(&draft.name, 0).await.state(), dataset_version::State::Ready);
    let mut run = whole_run();
    run.training_data.as_mut().expect("data").dataset_version = draft.name;
    let id = format!("of-{}", number.replace('.', "-"));
    desk.start_run(&id, run).await.expect("a run");
    let series = ["train/loss", "validation/accuracy", "system/cpu_percent", "checkpoint"];
    desk.log(&id, &series).await.expect("points");
    let complete = CompleteTrainingRunRequest { name: format!("trainingRuns/{id}"), ..Default::default() };
    desk.runs("ml-engineer").complete_training_run(complete).await.expect("completed");
    id
}

#[tokio::test]
async fn only_the_transforms_of_the_training_data_are_served() {
    let desk = Desk::with_data().await;
    desk.model().await;
    let (own, other) = (preprocessing(4, 1.0), preprocessing(4, 1.5));
    let run = trained(&desk, "1.0.1", &own).await;
    desk.upload(&onnx(4, 1)).await.expect("a model");
    let model = Digest::of(&onnx(4, 1)).to_string();
    let ask = |number: &str, preprocessing: &[u8]| {
        let mut request = desk.version_request(number, &model, &run);
        let version = request.model_version.as_mut().expect("a version");
        version.preprocessing_digest = Digest::of(preprocessing).to_string();
        request
    };
    let create = async |request| desk.models("ml-engineer").create_model_version(request).await;

    let absent = create(ask("1.0.0", &own)).await.expect_err("nobody uploaded it");
    assert_eq!(absent.code(), Code::NotFound);
    desk.upload(&own).await.expect("an upload");
    desk.upload(&other).await.expect("an upload");
    let refused = create(ask("1.0.0", &other)).await.expect_err("other transforms");
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::FailedPrecondition, "PREPROCESSING_MISMATCH")
    );
    for part in ["§5.3, §6", &Digest::of(&own).to_string(), &Digest::of(&other).to_string()] {
        assert!(findings(&refused)[0].contains(part), "{part}: {:?}", findings(&refused));
    }
    let made = create(ask("1.0.0", &own)).await.expect("the same transforms").into_inner();
    assert_eq!(made.preprocessing_digest, Digest::of(&own).to_string());

    let low =
        create(desk.version_request("1.0.1", &model, &run)).await.expect_err("callers send other inputs");
    assert_eq!(reason(&low), "VERSION_BUMP_TOO_LOW");
    create(desk.version_request("2.0.0", &model, &run)).await.expect("a major");
}

#[tokio::test]
async fn what_is_no_preprocessing_or_does_not_fill_the_model_is_refused() {
    let desk = Desk::with_data().await;
    desk.model().await;
    desk.upload(&onnx(4, 1)).await.expect("a model");
    let model = Digest::of(&onnx(4, 1)).to_string();
    for (number, bytes, why) in [
        ("1.0.1", preprocessing(3, 1.0), "4 elements in a row, and 3 columns"),
        ("1.0.2", b"{}".to_vec(), "not a preprocessing"),
    ] {
        let run = trained(&desk, number, &bytes).await;
        desk.upload(&bytes).await.expect("an upload");
        let mut request = desk.version_request("1.0.0", &model, &run);
        let version = request.model_version.as_mut().expect("a version");
        version.preprocessing_digest = Digest::of(&bytes).to_string();
        let refused = desk.models("ml-engineer").create_model_version(request).await.expect_err("a misfit");
        assert_eq!(bad_fields(&refused), ["model_version.preprocessing_digest"]);
        assert!(refused.message().contains(why), "{}", refused.message());
    }
}
