//! §6.2, §6.3: five blocks, series, heartbeats, techniques.

use std::time::Duration;

use contracts::registry::v1::*;
use tests::facts::eventually;
use tests::mesh::Alone;
use tests::refusal::Answered;
use tonic::Code;

#[tokio::test]
async fn a_run_without_one_of_its_blocks_does_not_complete() {
    type Cut = fn(&mut TrainingRun);
    let cuts: [(&str, Cut); 5] = [
        ("hyperparameters", |it| it.hyperparameters.clear()),
        ("training", |it| it.training_data.as_mut().expect("data").sampling.clear()),
        ("compute", |it| it.compute.as_mut().expect("compute").device_type.clear()),
        ("seeds", |it| it.seeds.clear()),
        ("checkpoint", |it| it.checkpointing = None),
    ];
    let mesh = Alone::start().await;
    let line = mesh.line("blocks");
    line.plan().await;
    line.data_ready().await;
    for (at, (word, cut)) in cuts.into_iter().enumerate() {
        let mut record = line.run_record();
        cut(&mut record);
        let id = format!("cut-{at}");
        line.open_run(&id, record).await;
        let request =
            CompleteTrainingRunRequest { name: line.run(&id), ..CompleteTrainingRunRequest::default() };
        let status = line.by("ml-engineer").runs().complete_training_run(request).await.expect_err("refused");
        assert_eq!(status.code(), Code::FailedPrecondition, "{word}: {status:?}");
        assert!(status.message().to_lowercase().contains(word), "{word}: {}", status.message());
    }
}

#[tokio::test]
async fn each_technique_has_fields_of_its_own() {
    let mesh = Alone::start().await;
    let line = mesh.line("technique");
    line.plan().await;
    line.data_ready().await;
    let fields = ["rank", "alpha", "target_modules", "base_digest"];
    for left_out in fields {
        let given = fields.iter().filter(|field| **field != left_out);
        let record = TrainingRun {
            technique: Technique::Lora.into(),
            technique_fields: given.map(|&field| (field.to_owned(), "8".to_owned())).collect(),
            ..line.run_record()
        };
        let id = format!("without-{}", left_out.replace('_', "-"));
        let request = CreateTrainingRunRequest {
            training_run_id: line.run(&id).replace("trainingRuns/", ""),
            training_run: Some(record),
            request_id: String::new(),
        };
        let mut runs = line.by("ml-engineer").runs();
        let refused = match runs.create_training_run(request).await {
            Err(status) => status,
            Ok(_) => {
                let request = CompleteTrainingRunRequest { name: line.run(&id), ..Default::default() };
                runs.complete_training_run(request).await.expect_err("refused")
            }
        };
        assert!(refused.message().contains(left_out), "{left_out}: {refused:?}");
    }
}

#[tokio::test]
async fn a_run_that_falls_silent_is_failed() {
    let mesh = Alone::start().await;
    let line = mesh.line("silent");
    line.plan().await;
    line.data_ready().await;
    line.open_run("lost", line.run_record()).await;
    let name = line.run("lost");
    let failed = eventually("the run failed", || {
        mesh.clock.advance(Duration::from_secs(60));
        let (by, name) = (line.by("auditor"), name.clone());
        async move {
            let run = by.runs().get_training_run(GetTrainingRunRequest { name }).await.told();
            (run.state() == training_run::State::Failed).then_some(run)
        }
    })
    .await;
    assert!(!failed.failure.is_empty(), "{failed:?}");
    let point = MetricPoint { metric: "train/loss".into(), ..MetricPoint::default() };
    let late =
        LogTrainingMetricsRequest { name: failed.name, points: vec![point], request_id: String::new() };
    let status = line.by("ml-engineer").runs().log_training_metrics(late).await.expect_err("refused");
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
}

#[tokio::test]
async fn metrics_come_back_as_they_were_logged_page_by_page() {
    let mesh = Alone::start().await;
    let line = mesh.line("series");
    line.plan().await;
    line.data_ready().await;
    line.open_run("long", line.run_record()).await;
    let point =
        |step| MetricPoint { metric: "train/loss".into(), step, value: 1.0 / (step + 1) as f64, time: None };
    let messages: Vec<_> = (0..5)
        .map(|part| StreamTrainingMetricsRequest {
            name: line.run("long"),
            points: (0..50).map(|at| point(part * 50 + at)).collect(),
            ..StreamTrainingMetricsRequest::default()
        })
        .collect();
    let run =
        line.by("ml-engineer").runs().stream_training_metrics(tokio_stream::iter(messages)).await.told();
    assert_eq!(run.points, 250);
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let request = ListTrainingMetricsRequest {
            name: line.run("long"),
            metric: "train/loss".into(),
            page_size: 40,
            page_token: token,
        };
        let page = line.by("auditor").runs().list_training_metrics(request).await.told();
        seen.extend(page.points.into_iter().map(|point| point.step));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, (0..250).collect::<Vec<_>>());
}
