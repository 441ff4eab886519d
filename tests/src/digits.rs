//! Makers of a story without Python: pictures of ten patterns by a seed, models for the fake engine that know the patterns.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use contracts::pipeline::v1::DrawAuditSampleRequest;
use contracts::registry::v1::*;
use engine::fake::{Behaviour, FakeEngine, Outputs};
use engine::{DataType, Dim, EngineError, ModelSignature, Tensor, TensorSpec};
use wlp::story::{Baseline, Comparison, Data, Makers, Measured, Score, Shortlist, Suite, Trained, Variant};

use crate::made::{Random, digest, digest_of, junit};
use crate::net::Net;

/// Pixels of a picture.
const PIXELS: usize = 64;
/// Brightest intensity.
const BRIGHTEST: f64 = 16.0;
/// Pictures made.
const PICTURES: usize = 1800;

/// Makes everything in this process.
pub struct Digits {
    net: Net,
    engine: FakeEngine,
    pictures: Mutex<Vec<Vec<f64>>>,
}

impl Digits {
    /// For a mesh whose models run on `engine`.
    pub fn new(net: &Net, engine: FakeEngine) -> Self {
        Self { net: net.clone(), engine, pictures: Mutex::default() }
    }
}

/// The pattern of a digit: each pixel dark or bright.
fn pattern(digit: usize) -> Vec<f64> {
    let mut random = Random::new(1000 + digit as u64);
    (0..PIXELS).map(|_| if random.share() < 0.5 { 2.0 } else { 13.0 }).collect()
}

/// The digit whose pattern is nearest.
fn nearest(picture: &[f64], patterns: &[Vec<f64>]) -> usize {
    let distance = |pattern: &[f64]| picture.iter().zip(pattern).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    let by = |(_, a): &(usize, f64), (_, b): &(usize, f64)| a.total_cmp(b);
    patterns.iter().map(|pattern| distance(pattern)).enumerate().min_by(by).map_or(0, |(digit, _)| digit)
}

fn picture(random: &mut Random, digit: usize) -> Vec<f64> {
    let noisy = |pixel: f64| (pixel + (random.share() * 5.0).floor() - 2.0).clamp(0.0, BRIGHTEST);
    pattern(digit).into_iter().map(noisy).collect()
}

/// What a picture can be read with: all patterns, a few pixels of them, kept pictures, brightness alone.
const CANDIDATES: [&str; 4] = ["nearest-pattern", "nearest-corner", "nearest-picture", "brightness"];

/// Pictures with their digits.
fn compared(seed: u64) -> Vec<(Vec<f64>, usize)> {
    let mut random = Random::new(seed);
    (0..300)
        .map(|_| {
            let digit = random.below(10);
            (picture(&mut random, digit), digit)
        })
        .collect()
}

fn share(pictures: &[(Vec<f64>, usize)], read: impl Fn(&[f64]) -> usize) -> f64 {
    pictures.iter().filter(|(picture, digit)| read(picture) == *digit).count() as f64 / pictures.len() as f64
}

/// Reads the pictures with a candidate and measures it.
fn measured(name: &str, pictures: &[(Vec<f64>, usize)]) -> Measured {
    let kept: Vec<(Vec<f64>, usize)> = match name {
        "nearest-picture" => compared(77),
        "nearest-corner" => (0..10).map(|digit| (pattern(digit)[..4].to_vec(), digit)).collect(),
        "brightness" => (0..10).map(|digit| (vec![pattern(digit).iter().sum()], digit)).collect(),
        _ => (0..10).map(|digit| (pattern(digit), digit)).collect(),
    };
    let (rows, digits): (Vec<_>, Vec<_>) = kept.into_iter().unzip();
    let read = |picture: &[f64]| {
        let sum = [picture.iter().sum()];
        digits[nearest(if name == "brightness" { &sum } else { picture }, &rows)]
    };
    let begun = std::time::Instant::now();
    let accuracy = share(pictures, read);
    let latency = begun.elapsed().as_secs_f64() * 1000.0 / pictures.len() as f64;
    let size = rows.iter().map(Vec::len).sum::<usize>() * size_of::<f64>();
    let score = |value, judgement| Score { value, basis: "pictures by a seed".into(), judgement };
    let scores = [
        ("task-performance", score(accuracy, false)),
        ("latency", score(-latency, false)),
        ("resource-requirements", score(-(size as f64), false)),
        ("privacy-locality", score(1.0, true)),
        ("cost", score(-latency, false)),
        ("maintainability", score(1.0, true)),
    ];
    Measured {
        candidate: name.into(),
        settings: String::new(),
        accuracy,
        latency_p50_ms: latency,
        latency_p95_ms: latency,
        size_bytes: size as u64,
        fit_cpu_s: 0.0,
        scores: scores.into_iter().map(|(name, score)| (name.to_owned(), score)).collect(),
    }
}

fn signature() -> ModelSignature {
    let rows = || Dim::Symbol("rows".into());
    let spec = |name: &str, datatype, dims| TensorSpec { name: name.into(), datatype, dims: Some(dims) };
    ModelSignature {
        inputs: vec![spec("pixels", DataType::Fp32, vec![rows(), Dim::Fixed(PIXELS as i64)])],
        outputs: vec![
            spec("label", DataType::Int64, vec![rows()]),
            spec("scores", DataType::Fp32, vec![rows(), Dim::Fixed(10)]),
        ],
        ..ModelSignature::default()
    }
}

/// What a variant does: `worse` is wrong on three pictures of ten, `fragile` fails on what is brighter than the scanner.
fn behaviour(variant: Variant) -> Behaviour {
    let patterns: Vec<_> = (0..10).map(pattern).collect();
    let outputs: Outputs = Arc::new(move |_, inputs| {
        let bad = |error: engine::TensorError| EngineError::ModelFault(error.to_string());
        let input = inputs.first().ok_or_else(|| EngineError::ModelFault("no input".into()))?;
        let values = input.to_f64().map_err(bad)?;
        let (mut labels, mut scores) = (Vec::new(), Vec::new());
        for row in values.chunks(PIXELS) {
            if variant == Variant::Fragile && row.iter().any(|pixel| *pixel > BRIGHTEST) {
                return Err(EngineError::ModelFault("index 40 is out of bounds of the table".into()));
            }
            let mut digit = nearest(row, &patterns);
            let seed = row
                .iter()
                .fold(5_u64, |seed, pixel| seed.wrapping_mul(31).wrapping_add(pixel.round() as u64));
            if variant == Variant::Worse && Random::new(seed).share() < 0.3 {
                digit = (digit + 1) % 10;
            }
            labels.push(digit as i64);
            scores.extend((0..10).map(|at| if at == digit { 0.91_f32 } else { 0.01 }));
        }
        let rows = labels.len() as i64;
        Ok(vec![
            Tensor::of("label", vec![rows], &labels).map_err(bad)?,
            Tensor::of("scores", vec![rows, 10], &scores).map_err(bad)?,
        ])
    });
    Behaviour { outputs: Some(outputs), ..Behaviour::default() }
}

#[async_trait]
impl Makers for Digits {
    async fn export_data(&self) -> anyhow::Result<Data> {
        let mut random = Random::new(42);
        let rows: Vec<Vec<f64>> = (0..PICTURES)
            .map(|_| {
                // drawn by lot: a canary takes every twentieth request and must see all digits
                let digit = random.below(10);
                let mut row = picture(&mut random, digit);
                row.push(digit as f64);
                row
            })
            .collect();
        let header: Vec<_> =
            (0..PIXELS).map(|at| format!("pixel_{at}")).chain(["digit".to_owned()]).collect();
        let (mut clean, mut dirty) = (header.join(",") + "\n", header.join(",") + "\n");
        for (at, row) in rows.iter().enumerate() {
            let cells: Vec<String> = row.iter().map(ToString::to_string).collect();
            clean += &(cells.join(",") + "\n");
            let spoiled: Vec<_> = cells
                .iter()
                .enumerate()
                .map(|(column, cell)| match (at * 7 + column * 3) % 10 {
                    0 if column < PIXELS => "?".to_owned(),
                    1 if at % 20 == 0 && column == 3 => "99".to_owned(),
                    _ => cell.clone(),
                })
                .collect();
            let line = spoiled.join(",") + "\n";
            dirty += &line;
            if at % 12 == 0 {
                dirty += &line;
            }
        }
        *self.pictures.lock().unwrap_or_else(PoisonError::into_inner) = rows;
        Ok(Data { clean: clean.into_bytes(), dirty: dirty.into_bytes() })
    }

    async fn audit(&self, dataset_version: &str, rows: u32) -> anyhow::Result<String> {
        let by = self.net.by("qa-engineer");
        let request = DrawAuditSampleRequest { name: dataset_version.into(), rows, seed: 5 };
        let sample = by.reads().draw_audit_sample(request).await?.into_inner();
        let truth = self.pictures.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut wrong = 0;
        for row in &sample.rows {
            let source = truth.get(row.source_row as usize);
            let differs = |(column, text): (&String, &String)| {
                let at = match column.strip_prefix("pixel_") {
                    Some(number) => number.parse().ok(),
                    None => (column == "digit").then_some(PIXELS),
                };
                at.is_some_and(|at: usize| text.parse().ok() != source.and_then(|row| row.get(at).copied()))
            };
            wrong += u64::from(sample.columns.iter().zip(&row.values).any(differs));
        }
        let audit = DatasetAudit {
            sample_digest: sample.digest,
            rows: sample.rows.len() as u64,
            cells: (sample.rows.len() * (PIXELS + 1)) as u64,
            wrong_rows: wrong,
            method: "each cell against the seed".into(),
            ..DatasetAudit::default()
        };
        let request = RecordDatasetAuditRequest {
            name: dataset_version.into(),
            audit: Some(audit),
            ..Default::default()
        };
        by.datasets().record_dataset_audit(request).await?;
        Ok(format!("{} rows, {wrong} wrong", sample.rows.len()))
    }

    async fn compare(&self, seed: u64, on: Option<Shortlist<'_>>) -> anyhow::Result<Comparison> {
        let pictures = compared(seed);
        let names: Vec<_> = match on {
            Some(on) => {
                CANDIDATES.into_iter().filter(|name| on.candidates.iter().any(|one| one == name)).collect()
            }
            None => CANDIDATES.to_vec(),
        };
        Ok(Comparison {
            data: on.map_or("pictures by a seed", |on| on.dataset_version).into(),
            split: "other pictures than those that are kept".into(),
            seed,
            sample_size: pictures.len() as u64,
            baseline: Baseline { candidate: "always 0".into(), accuracy: share(&pictures, |_| 0) },
            candidates: names.into_iter().map(|name| measured(name, &pictures)).collect(),
        })
    }

    fn candidate(&self) -> &'static str {
        CANDIDATES[0]
    }

    async fn train(&self, variant: Variant, dataset_version: &str, project: &str) -> anyhow::Result<Trained> {
        let by = self.net.by("ml-engineer");
        let id = format!("digits-{}", variant.name());
        let run = TrainingRun {
            project: project.into(),
            technique: Technique::FromScratch.into(),
            hyperparameters: BTreeMap::from([("patterns".to_owned(), "10".to_owned())]),
            search_strategy: "none: nothing is searched".into(),
            training_data: Some(TrainingData {
                dataset_version: dataset_version.into(),
                splits: vec!["train".into()],
                sampling: "every row once".into(),
            }),
            compute: Some(ComputeResources {
                device_type: "cpu".into(),
                device_count: 1,
                duration: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
            }),
            seeds: BTreeMap::from([("patterns".to_owned(), 1000)]),
            checkpointing: Some(Checkpointing {
                frequency: "at the end".into(),
                location: "the artifact".into(),
                interval: None,
            }),
            experiment_tracker: "wlp".into(),
            code_digest: digest_of("digits"),
            ..TrainingRun::default()
        };
        let request =
            CreateTrainingRunRequest { training_run_id: id, training_run: Some(run), ..Default::default() };
        let run = by.runs().create_training_run(request).await?.into_inner().name;
        let point = |metric: &str| MetricPoint { metric: metric.into(), step: 0, value: 0.5, time: None };
        let points =
            ["train/loss", "validation/accuracy", "system/cpu_percent", "checkpoint"].map(point).into();
        by.runs()
            .log_training_metrics(LogTrainingMetricsRequest {
                name: run.clone(),
                points,
                ..Default::default()
            })
            .await?;
        by.runs()
            .complete_training_run(CompleteTrainingRunRequest { name: run.clone(), ..Default::default() })
            .await?;
        let bytes = engine::fake::model(&signature(), variant as i64);
        let artifact_digest = digest(&bytes);
        let upload = UploadArtifactRequest {
            digest: artifact_digest.clone(),
            size_bytes: bytes.len() as u64,
            offset: 0,
            media_type: "application/onnx".into(),
            chunk: bytes.to_vec().into(),
        };
        by.artifacts().upload_artifact(tokio_stream::once(upload)).await?;
        self.engine.set(artifact_digest.clone(), behaviour(variant));
        Ok(Trained { run, artifact_digest, validation_accuracy: 1.0, search: "nothing searched".into() })
    }

    async fn test(&self, _: Variant, suite: Suite, _: &Trained, _: &str) -> anyhow::Result<Vec<u8>> {
        let count = if suite == Suite::Unit { 8 } else { 3 };
        Ok(junit(count, 0).into_bytes())
    }

    fn test_tool(&self) -> (String, String) {
        ("pytest".into(), "9.2.0".into())
    }
}
