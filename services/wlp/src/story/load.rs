//! Traffic: clients that classify digits, as many at a time as real ones would.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use contracts::inference::model_infer_request::InferInputTensor;
use contracts::inference::{ModelInferRequest, ModelInferResponse};
use futures::StreamExt;
use tonic::Status;

use super::Actors;

/// Requests of a burst.
const BURST: usize = 40;
/// Of them at a time.
const AT_A_TIME: usize = 8;
/// An intensity that no scanner of the data set gives.
const SATURATED: f32 = 40.0;
/// Brightest intensity of the data set.
const BRIGHTEST: f32 = 16.0;

/// What the pictures of a burst look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// No requests at all.
    Silent,
    /// Pictures of the data set.
    Clean,
    /// The same, six of ten with a few saturated pixels.
    Saturated,
    /// The same as negatives.
    Inverted,
}

/// How a burst came out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Burst {
    /// Answers by version.
    pub answered: BTreeMap<String, u64>,
    /// Refusals and failures by code and reason.
    pub failed: BTreeMap<String, u64>,
}

impl Burst {
    /// Answers of all versions.
    pub fn answers(&self) -> u64 {
        self.answered.values().sum()
    }

    /// Requests without an answer.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        for (sum, part) in [(&mut self.answered, &other.answered), (&mut self.failed, &other.failed)] {
            for (name, count) in part {
                *sum.entry(name.clone()).or_default() += count;
            }
        }
    }
}

impl fmt::Display for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.answered.iter().chain(&self.failed);
        let parts: Vec<_> = parts.map(|(name, count)| format!("{name}: {count}")).collect();
        write!(f, "{}", if parts.is_empty() { "no requests".to_owned() } else { parts.join(", ") })
    }
}

/// Pictures to send, and what came of all requests so far.
#[derive(Default)]
pub struct Load {
    pictures: Mutex<Arc<Vec<Vec<f32>>>>,
    next: AtomicUsize,
    total: Mutex<Burst>,
}

impl Load {
    /// Takes the pictures of a CSV file, `pixel_*` columns first.
    ///
    /// # Errors
    /// If a cell is no number.
    pub fn take(&self, csv: &[u8]) -> anyhow::Result<()> {
        let text = std::str::from_utf8(csv)?;
        let mut lines = text.lines();
        let pixels =
            lines.next().unwrap_or_default().split(',').filter(|name| name.starts_with("pixel_")).count();
        let mut pictures = Vec::new();
        for line in lines.filter(|line| !line.trim().is_empty()) {
            let cells: Result<Vec<f32>, _> =
                line.split(',').take(pixels).map(|cell| cell.trim().parse()).collect();
            pictures.push(cells?);
        }
        anyhow::ensure!(!pictures.is_empty(), "no pictures in the data");
        *lock(&self.pictures) = Arc::new(pictures);
        Ok(())
    }

    /// What came of all requests so far.
    pub fn total(&self) -> Burst {
        lock(&self.total).clone()
    }

    /// Forgets what came so far, so that a part of the story can be counted.
    pub fn restart(&self) {
        *lock(&self.total) = Burst::default();
    }

    /// Sends a burst to the production endpoint.
    ///
    /// # Errors
    /// If the client has no key.
    pub async fn burst(&self, actors: &Actors, shape: Shape) -> anyhow::Result<Burst> {
        if shape == Shape::Silent || lock(&self.pictures).is_empty() {
            return Ok(Burst::default());
        }
        let burst = self.send(actors, "client", super::names::ENDPOINT, BURST, shape).await?;
        lock(&self.total).add(&burst);
        Ok(burst)
    }

    /// Sends requests to an endpoint as a principal.
    ///
    /// # Errors
    /// If the principal has no key.
    pub async fn send(
        &self,
        actors: &Actors,
        who: &str,
        endpoint: &str,
        requests: usize,
        shape: Shape,
    ) -> anyhow::Result<Burst> {
        let client = actors.infer(who)?;
        let pictures = lock(&self.pictures).clone();
        let first = self.next.fetch_add(requests, Ordering::Relaxed);
        let sent = futures::stream::iter(first..first + requests).map(|number| {
            let mut client = client.clone();
            let picture = picture(&pictures, number, shape);
            let request = request(endpoint, number, picture);
            async move { client.model_infer(request).await.map(tonic::Response::into_inner) }
        });
        let answers: Vec<Result<ModelInferResponse, Status>> =
            sent.buffer_unordered(AT_A_TIME).collect().await;
        let mut burst = Burst::default();
        for answer in answers {
            let (table, name) = match answer {
                Ok(answer) => (&mut burst.answered, answer.model_version),
                Err(status) => (&mut burst.failed, reason(&status)),
            };
            *table.entry(name).or_default() += 1;
        }
        Ok(burst)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn reason(status: &Status) -> String {
    runtime::status::reason(status).unwrap_or_else(|| crate::refusal::code(status))
}

/// Picture `number` of the load; the same number gives the same picture.
fn picture(pictures: &[Vec<f32>], number: usize, shape: Shape) -> Vec<f32> {
    let mut picture = pictures.get(number % pictures.len().max(1)).cloned().unwrap_or_default();
    match shape {
        Shape::Saturated if number % 10 < 6 => {
            for pixel in picture.iter_mut().skip(number % 7).step_by(21) {
                *pixel = SATURATED;
            }
        }
        Shape::Inverted => picture.iter_mut().for_each(|pixel| *pixel = BRIGHTEST - *pixel),
        Shape::Silent | Shape::Clean | Shape::Saturated => {}
    }
    picture
}

/// One picture as a request of the Open Inference Protocol.
fn request(endpoint: &str, number: usize, picture: Vec<f32>) -> ModelInferRequest {
    let shape = vec![1, picture.len() as i64];
    let bytes: Vec<u8> = picture.into_iter().flat_map(f32::to_le_bytes).collect();
    let input =
        InferInputTensor { name: "pixels".into(), datatype: "FP32".into(), shape, ..Default::default() };
    ModelInferRequest {
        model_name: endpoint.to_owned(),
        id: format!("picture-{number}"),
        inputs: vec![input],
        raw_input_contents: vec![bytes.into()],
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_of_ten_pictures_are_saturated() {
        let pictures = vec![vec![1.0; 64]];
        let hurt =
            (0..1000).filter(|number| picture(&pictures, *number, Shape::Saturated).contains(&SATURATED));
        assert_eq!(hurt.count(), 600);
        assert_eq!(picture(&pictures, 3, Shape::Inverted), vec![15.0; 64]);
    }

    #[test]
    fn pictures_come_from_the_pixel_columns() {
        let load = Load::default();
        load.take(b"pixel_0,pixel_1,digit\n1,2,7\n3,4,8\n").expect("taken");
        assert_eq!(**lock(&load.pictures), vec![vec![1.0, 2.0], vec![3.0, 4.0]]);
        assert!(load.take(b"pixel_0\nx\n").is_err());
    }
}
