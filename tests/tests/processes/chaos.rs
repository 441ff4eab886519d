//! `kill -9` of each service in the middle of the canary: no acknowledged write is lost, no answer is wrong, the rollout
//! goes on to 100 %.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use contracts::inference::model_infer_request::InferInputTensor;
use contracts::inference::{ModelInferRequest, ModelInferResponse};
use contracts::longrunning::GetOperationRequest;
use contracts::monitor::v1::{
    Feedback, ListFeedbackRequest, ReportObservationsRequest, SubmitFeedbackRequest, VersionObservation,
    feedback::Kind,
};
use contracts::pipeline::v1::{GetDataUploadRequest, UploadDataRequest};
use contracts::registry::v1::{
    CreateProjectRequest, GetProjectRequest, GetRolloutRequest, GetTreeHeadRequest, Project, rollout::State,
};
use tests::made::digest;
use tests::needs;
use tests::net::{By, Net};
use tests::otlp::Collector;
use tests::processes::Processes;
use tests::refusal::Answered;
use wlp::python::{Python, PythonMakers};
use wlp::reach::To;
use wlp::story::{self, Quiet, Story, Variant, names};

/// Real time that a killed service stays away.
const AWAY: Duration = Duration::from_millis(1500);

/// Pictures that are asked, over and over: a prime, so that whatever share of the requests is the canary's, each picture is.
const ASKED: usize = 199;

/// Everything that was acknowledged, kept here and nowhere else.
#[derive(Default)]
struct Acknowledged {
    projects: Mutex<Vec<Project>>,
    feedback: Mutex<Vec<Feedback>>,
    batches: Mutex<Vec<ReportObservationsRequest>>,
    uploads: Mutex<Vec<String>>,
    operations: Mutex<Vec<String>>,
    answered: AtomicU64,
    failed: Mutex<Vec<Failure>>,
}

/// An inference without an answer.
#[derive(Debug)]
struct Failure {
    sent: Instant,
    ended: Instant,
    why: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_service_is_killed_in_the_middle_of_the_canary_and_nothing_acknowledged_is_lost() {
    if !needs::onnx_runtime() {
        return;
    }
    let (collector, address) = Collector::start(true).await;
    let Some(mut processes) = Processes::start(Some(address)).await else { return };
    let python = match Python::ensure().await {
        Ok(python) => python,
        Err(error) => return needs::missing(&format!("Python for the makers: {error:#}")),
    };
    let work = processes.folder().join("work");
    std::fs::create_dir_all(&work).expect("a folder");
    let makers = PythonMakers::new(python, work.clone(), processes.reach()).expect("makers");
    let story = Story::new(processes.reach(), Arc::new(makers), processes.pace(), Arc::new(Quiet), work);
    let pictures = first_version_in_production(&story)
        .await
        .unwrap_or_else(|error| panic!("{error:#}\n{:#?}", story.outcomes()));

    let (version, trained) = story::register(&story, Variant::Retrained, "1.1.0").await.expect("registered");
    let release = story::release(&story, version, Variant::Retrained, &trained).await.expect("released");
    let rollout = story::prepare(&story, &release.version, &release.evaluation).await.expect("prepared");

    let truth = truth(&processes.net(), &pictures).await;
    let (acknowledged, stop) = (Arc::new(Acknowledged::default()), Arc::new(AtomicBool::new(false)));
    let writers = write(&processes.net(), &acknowledged, &stop);
    let readers = ask(&processes.net(), truth, &acknowledged, &stop);
    let climb = story::climb(&story, &release.version, &rollout);
    let chaos = chaos(&mut processes, &rollout);
    let (climbed, away) = tokio::join!(climb, chaos);
    stop.store(true, Ordering::Relaxed);
    for writer in writers.into_iter().chain(readers) {
        writer.await.expect("a writer");
    }
    inference_went_on(&acknowledged, away);
    climbed.unwrap_or_else(|error| panic!("{error:#}"));

    let by = processes.net().by("auditor");
    let now = by.rollouts().get_rollout(GetRolloutRequest { name: rollout }).await.told();
    assert_eq!((now.state(), now.traffic_percent), (State::Succeeded, 100));
    read_back(&processes.net(), &acknowledged).await;
    assert!(processes.alive(), "nobody ended by itself");
    whole_traces(&collector);
    processes.stop().await;
}

/// The gateway serves on whoever else is away: requests fail only while it is away itself, from its kill until it says that it
/// is ready.
fn inference_went_on(acknowledged: &Acknowledged, (killed, ready): (Instant, Instant)) {
    let answered = acknowledged.answered.load(Ordering::Relaxed);
    let failed = acknowledged.failed.lock().expect("a lock");
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    failed.iter().for_each(|one| *reasons.entry(&one.why).or_default() += 1);
    println!(
        "{answered} answers, all right; failed while the gateway was away for {:.1} s: {reasons:?}",
        ready.duration_since(killed).as_secs_f64()
    );
    assert!(answered > 0, "nothing was answered: {reasons:?}");
    let stray: Vec<_> = failed.iter().filter(|one| one.ended < killed || ready < one.sent).collect();
    assert!(stray.is_empty(), "the gateway was there (killed {killed:?}, ready {ready:?}): {stray:?}");
}

/// The story until the first version has all traffic; the pictures of the data.
async fn first_version_in_production(story: &Story) -> anyhow::Result<Vec<Vec<f32>>> {
    story::plan_and_data(story).await?;
    story::first_release(story).await?;
    let data = story.makers.export_data().await?;
    anyhow::ensure!(story.as_expected(), "{:#?}", story.outcomes());
    let text = String::from_utf8(data.clean)?;
    let pictures = text.lines().skip(1).step_by(9).take(ASKED);
    Ok(pictures.map(|line| line.split(',').take(64).filter_map(|cell| cell.parse().ok()).collect()).collect())
}

fn request(picture: &[f32]) -> ModelInferRequest {
    let bytes: Vec<u8> = picture.iter().flat_map(|pixel| pixel.to_le_bytes()).collect();
    let input = InferInputTensor {
        name: "pixels".into(),
        datatype: "FP32".into(),
        shape: vec![1, picture.len() as i64],
        ..InferInputTensor::default()
    };
    ModelInferRequest {
        model_name: names::ENDPOINT.into(),
        inputs: vec![input],
        raw_input_contents: vec![bytes.into()],
        ..ModelInferRequest::default()
    }
}

/// Answers by version, told by the staging and the production endpoint while everybody is there.
type Truth = Vec<(Vec<f32>, BTreeMap<String, Option<i64>>)>;

async fn truth(net: &Net, pictures: &[Vec<f32>]) -> Truth {
    let by = net.by("qa-engineer");
    let mut all = Vec::new();
    for picture in pictures {
        let mut known = BTreeMap::new();
        for endpoint in [names::ENDPOINT.to_owned(), format!("{}-staging", names::ENDPOINT)] {
            let asked = ModelInferRequest { model_name: endpoint, ..request(picture) };
            let answer = by.inference().model_infer(asked).await.told();
            known.insert(answer.model_version.clone(), tests::infer::label(&answer));
        }
        all.push((picture.clone(), known));
    }
    all
}

fn right(answer: &ModelInferResponse, known: &BTreeMap<String, Option<i64>>) -> bool {
    let label = tests::infer::label(answer);
    label.is_some() && known.get(&answer.model_version).is_none_or(|truth| *truth == label)
}

/// Clients that ask on while services come and go: an answer is right or it is none.
fn ask(
    net: &Net,
    truth: Truth,
    to: &Arc<Acknowledged>,
    stop: &Arc<AtomicBool>,
) -> Vec<tokio::task::JoinHandle<()>> {
    let (client, to, stop) = (net.by("client"), to.clone(), stop.clone());
    vec![tokio::spawn(async move {
        for (picture, known) in truth.iter().cycle() {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            let sent = Instant::now();
            match client.inference().model_infer(request(picture)).await {
                Ok(answer) => {
                    let answer = answer.into_inner();
                    assert!(right(&answer, known), "{known:?}: {answer:?}");
                    to.answered.fetch_add(1, Ordering::Relaxed);
                }
                Err(status) => {
                    let why =
                        runtime::status::reason(&status).unwrap_or_else(|| format!("{:?}", status.code()));
                    let failure = Failure { sent, ended: Instant::now(), why };
                    to.failed.lock().expect("a lock").push(failure);
                }
            }
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
    })]
}

/// Writers that write on while services come and go, and keep what was acknowledged.
fn write(net: &Net, to: &Arc<Acknowledged>, stop: &Arc<AtomicBool>) -> Vec<tokio::task::JoinHandle<()>> {
    let writer = |number: usize| {
        let (net, to, stop) = (net.clone(), to.clone(), stop.clone());
        tokio::spawn(async move {
            let mut turn = 0_u64;
            while !stop.load(Ordering::Relaxed) {
                turn += 1;
                match number {
                    0 => project(&net.by("ml-lead"), &to, turn).await,
                    1 => feedback(&net.by("client"), &to, turn).await,
                    2 => observations(&net.by("gateway"), &to, turn).await,
                    3 => upload(&net.by("data-engineer"), &to, turn).await,
                    _ => operation(&net.by("qa-engineer"), &to, turn).await,
                }
                let pause = if number == 4 { 1500 } else { 60 };
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        })
    };
    (0..5).map(writer).collect()
}

async fn project(by: &By, to: &Acknowledged, turn: u64) {
    let task = contracts::common::v1::Task::BinaryClassification.into();
    let project = Project { display_name: format!("number {turn}"), task, ..Project::default() };
    let request = CreateProjectRequest {
        project_id: format!("written-{turn}"),
        project: Some(project),
        request_id: uuid::Uuid::new_v4().to_string(),
    };
    if let Ok(made) = by.projects().create_project(request).await {
        to.projects.lock().expect("a lock").push(made.into_inner());
    }
}

async fn feedback(by: &By, to: &Acknowledged, turn: u64) {
    let feedback = Feedback {
        deployment: names::DEPLOYMENT.into(),
        kind: Kind::UserFeedback.into(),
        text: format!("number {turn}"),
        ..Feedback::default()
    };
    let request =
        SubmitFeedbackRequest { feedback: Some(feedback), request_id: uuid::Uuid::new_v4().to_string() };
    if let Ok(made) = by.feedback().submit_feedback(request).await {
        to.feedback.lock().expect("a lock").push(made.into_inner());
    }
}

async fn observations(by: &By, to: &Acknowledged, turn: u64) {
    let observation = VersionObservation {
        deployment: "deployments/elsewhere".into(),
        version: "models/elsewhere/versions/1.0.0".into(),
        start_time: Some(contracts::time::to_wire(std::time::SystemTime::now())),
        requests: 1,
        rows: 1,
        ..VersionObservation::default()
    };
    let request = ReportObservationsRequest {
        gateway: "written".into(),
        batch_id: format!("batch-{turn}"),
        observations: vec![observation],
        samples: Vec::new(),
    };
    if by
        .observations()
        .report_observations(request.clone())
        .await
        .is_ok_and(|answer| !answer.into_inner().duplicate)
    {
        to.batches.lock().expect("a lock").push(request);
    }
}

async fn upload(by: &By, to: &Acknowledged, turn: u64) {
    let bytes = format!("number\n{turn}\n").into_bytes();
    let message = UploadDataRequest {
        digest: digest(&bytes),
        size_bytes: bytes.len() as u64,
        offset: 0,
        chunk: bytes.clone().into(),
    };
    if by
        .uploads()
        .upload_data(tokio_stream::once(message))
        .await
        .is_ok_and(|made| made.into_inner().complete)
    {
        to.uploads.lock().expect("a lock").push(digest(&bytes));
    }
}

async fn operation(by: &By, to: &Acknowledged, turn: u64) {
    let request = contracts::evaluator::v1::EvaluateModelVersionRequest {
        model_version: format!("{}/versions/1.0.0", names::MODEL),
        dataset_version: names::DATASET_VERSION.into(),
        evaluation_id: format!("again-{turn}"),
        request_id: uuid::Uuid::new_v4().to_string(),
        plan: Some(contracts::evaluator::v1::EvaluationPlan {
            label_column: "digit".into(),
            attack_rows: 1,
            latency_requests: 10,
            ..Default::default()
        }),
    };
    if let Ok(operation) = by.evaluator().evaluate_model_version(request).await {
        to.operations.lock().expect("a lock").push(operation.into_inner().name);
    }
}

/// Kills each service once the canary takes traffic, and starts it again. From when until when the gateway was away.
async fn chaos(processes: &mut Processes, rollout: &str) -> (Instant, Instant) {
    let by = processes.net().by("auditor");
    tests::facts::eventually("the canary takes traffic", || async {
        let now =
            by.rollouts().get_rollout(GetRolloutRequest { name: rollout.into() }).await.ok()?.into_inner();
        (now.state() == State::Running).then_some(())
    })
    .await;
    for to in [To::Monitor, To::Registry, To::DataPipeline, To::Evaluator] {
        away(processes, to).await;
    }
    away(processes, To::Gateway).await
}

/// Kills a service and starts it again: when it was killed, and when it was ready.
async fn away(processes: &mut Processes, to: To) -> (Instant, Instant) {
    tokio::time::sleep(AWAY).await;
    let killed = Instant::now();
    processes.kill(to);
    tokio::time::sleep(AWAY).await;
    processes.spawn(to);
    processes.ready(to).await;
    (killed, Instant::now())
}

async fn read_back(net: &Net, acknowledged: &Acknowledged) {
    let by = net.by("auditor");
    let projects = acknowledged.projects.lock().expect("a lock").clone();
    for project in &projects {
        let request = GetProjectRequest { name: project.name.clone() };
        assert_eq!(&by.projects().get_project(request).await.told(), project);
    }
    let mut stored = BTreeMap::new();
    let mut token = String::new();
    loop {
        let request =
            ListFeedbackRequest { page_size: 1000, page_token: token, deployment: names::DEPLOYMENT.into() };
        let page = by.feedback().list_feedback(request).await.told();
        stored.extend(page.feedback.into_iter().map(|one| (one.name.clone(), one)));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let feedback = acknowledged.feedback.lock().expect("a lock").clone();
    for one in &feedback {
        assert_eq!(stored.get(&one.name), Some(one), "{} is lost", one.name);
    }
    let batches = acknowledged.batches.lock().expect("a lock").clone();
    for batch in &batches {
        let again = net.by("gateway").observations().report_observations(batch.clone()).await.told();
        assert!(again.duplicate, "batch {} is lost", batch.batch_id);
    }
    let uploads = acknowledged.uploads.lock().expect("a lock").clone();
    for digest in &uploads {
        let request = GetDataUploadRequest { digest: digest.clone() };
        assert!(
            net.by("data-engineer").uploads().get_data_upload(request).await.told().complete,
            "{digest} is lost"
        );
    }
    let operations = acknowledged.operations.lock().expect("a lock").clone();
    for name in &operations {
        let request = GetOperationRequest { name: name.clone() };
        assert_eq!(
            &net.by("qa-engineer").operations("evaluator").get_operation(request).await.told().name,
            name
        );
    }
    let counts = [projects.len(), feedback.len(), batches.len(), uploads.len(), operations.len()];
    println!("read back: {counts:?} projects, feedback, observations, uploads, operations");
    assert!(counts.iter().all(|count| *count > 2), "{counts:?}");
    let head = by.audit().get_tree_head(GetTreeHeadRequest { size: 0 }).await.told();
    assert!(head.size > projects.len() as u64);
}

/// Some trace runs from the gateway through the monitor or the registry, over TCP.
fn whole_traces(collector: &Collector) {
    let inferences = collector.traces_with("inference.GRPCInferenceService/ModelInfer");
    assert!(!inferences.is_empty(), "no inference was traced");
    let stages = ["admit", "route", "queue", "batch", "run"];
    let whole = inferences.iter().any(|trace| {
        let spans = collector.trace(trace);
        stages.iter().all(|stage| spans.iter().any(|span| span.name == *stage))
    });
    assert!(whole, "no inference shows all its stages");
    let crossing =
        collector.traces_with("wlp.registry.v1.RolloutService/AdvanceRollout").into_iter().any(|trace| {
            let spans = collector.trace(&trace);
            ["monitor", "registry"].iter().all(|service| spans.iter().any(|span| span.service == *service))
        });
    assert!(crossing, "no trace shows the monitor advancing the rollout in the registry");
}
