//! What a client of the gateway may ask, and what it is told when it asks wrongly.

use contracts::inference::model_infer_request::InferRequestedOutputTensor;
use contracts::inference::{ModelInferRequest, ModelMetadataRequest, ModelReadyRequest};
use tests::infer::{clean, label, request, text};
use tests::made::rows;
use tests::mesh::Mesh;
use tests::refusal::Answered;
use tonic::Code;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tensors_that_do_not_fit_are_refused_with_every_bad_field_and_the_mesh_serves_on() {
    let mesh = Mesh::start().await;
    let line = mesh.canary("fitted", "1.0.0").await;
    mesh.climb(&line, "first").await;
    let row = &rows(1, 1)[0];
    let mut client = line.by("client").inference();
    type Spoil = fn(&mut ModelInferRequest);
    let cases: [(&str, &str, Spoil); 9] = [
        ("wrong name", "x", |it| it.inputs[0].name = "y".into()),
        ("wrong width", "x", |it| it.inputs[0].shape = vec![1, 5]),
        ("negative size", "x", |it| it.inputs[0].shape = vec![-1, 4]),
        ("wrong rank", "x", |it| it.inputs[0].shape = vec![4]),
        ("wrong type", "x", |it| it.inputs[0].datatype = "INT64".into()),
        ("no type at all", "x", |it| it.inputs[0].datatype = "FLOAT".into()),
        ("bytes missing", "x", |it| it.raw_input_contents[0] = vec![0; 15].into()),
        ("no inputs", "x", |it| {
            it.inputs.clear();
            it.raw_input_contents.clear();
        }),
        ("an output that is not there", "nothing", |it| {
            it.outputs = vec![InferRequestedOutputTensor { name: "nothing".into(), ..Default::default() }];
        }),
    ];
    for (what, field, spoil) in cases {
        let mut asked = request("fitted", row);
        spoil(&mut asked);
        let refusal = client.model_infer(asked).await.expect_err(what);
        assert_eq!(refusal.code(), Code::InvalidArgument, "{what}: {refusal:?}");
        let fields: Vec<_> =
            runtime::status::field_violations(&refusal).into_iter().map(|bad| bad.field).collect();
        let named =
            fields.iter().any(|name| name.contains(field) || name.contains("inputs") || name.contains("raw"));
        assert!(named, "{what}: {fields:?} {}", refusal.message());
    }
    let mut key = request("fitted", row);
    key.parameters.insert("key".into(), text(&"k".repeat(2000)));
    client
        .model_infer(key)
        .await
        .refused(Code::InvalidArgument, "BAD_REQUEST")
        .bad_fields(&["parameters[key]"]);
    let unknown = client.model_infer(request("nobody", row)).await.expect_err("refused");
    assert_eq!(unknown.code(), Code::NotFound, "{unknown:?}");
    let mut version = request("fitted", row);
    version.model_version = "9.9.9".into();
    let off = client.model_infer(version).await.expect_err("refused");
    assert!([Code::NotFound, Code::FailedPrecondition].contains(&off.code()), "{off:?}");
    assert_eq!(clean(&line.by("client"), "fitted", 20).await.get("1.0.0"), Some(&20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_answer_says_which_version_it_came_from_and_keys_are_sticky() {
    let mesh = Mesh::start().await;
    let line = mesh.canary("sticky", "1.0.0").await;
    mesh.climb(&line, "first").await;
    mesh.next_canary(&line, "1.1.0", 2, "second").await;
    let mut client = line.by("client").inference();
    let asked = rows(3, 1).remove(0);
    let mut met = Vec::new();
    for user in 0..200 {
        let mut versions = Vec::new();
        for _ in 0..2 {
            let mut keyed = request("sticky", &asked);
            keyed.parameters.insert("key".into(), text(&format!("user-{user}")));
            let answer = client.model_infer(keyed).await.told();
            assert_eq!(label(&answer), Some(asked.label));
            versions.push(answer.model_version);
        }
        assert_eq!(versions[0], versions[1], "user-{user} changed versions");
        met.push(versions.remove(0));
    }
    let canary = |met: &[String]| met.iter().filter(|version| *version == "1.1.0").count();
    assert!((1..40).contains(&canary(&met)), "{}", canary(&met));
    mesh.climb_to(&line, "second", 25).await;
    mesh.serves(&line, "1.1.0").await;
    let mut kept = 0;
    mesh.until("the gateway follows the new share", || {
        let mut client = line.by("client").inference();
        let asked = asked.clone();
        async move {
            let mut canary = 0;
            for user in 0..200 {
                let mut keyed = request("sticky", &asked);
                keyed.parameters.insert("key".into(), text(&format!("user-{user}")));
                canary += usize::from(client.model_infer(keyed).await.told().model_version == "1.1.0");
            }
            (canary > 25).then_some(())
        }
    })
    .await;
    for (user, version) in met.iter().enumerate().filter(|(_, version)| *version == "1.1.0") {
        let mut keyed = request("sticky", &asked);
        keyed.parameters.insert("key".into(), text(&format!("user-{user}")));
        assert_eq!(
            &client.model_infer(keyed).await.told().model_version,
            version,
            "a key that met the canary stays"
        );
        kept += 1;
    }
    assert!(kept > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metadata_tells_the_signature_and_readiness_the_truth() {
    let mesh = Mesh::start().await;
    let line = mesh.canary("described", "1.0.0").await;
    mesh.climb(&line, "first").await;
    let mut client = line.by("client").inference();
    let request = ModelMetadataRequest { name: "described".into(), version: String::new() };
    let told = client.model_metadata(request).await.told();
    assert_eq!((told.inputs[0].name.as_str(), told.inputs[0].datatype.as_str()), ("x", "FP32"));
    assert_eq!(told.inputs[0].shape, [-1, 4]);
    let ready = |name: &str| ModelReadyRequest { name: name.into(), version: String::new() };
    assert!(client.model_ready(ready("described")).await.told().ready);
    let other = client.model_ready(ready("nobody")).await;
    assert!(other.is_err() || !other.told().ready);
}
