//! Traffic: clients that classify digits, as many at a time as real ones would.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

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
/// Reason of the gateway for what the canary of a first version does not take: there is nothing else to give it to.
const UNROUTED: &str = "NO_STABLE_VERSION";
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

/// A picture of the data and the digit that was meant.
#[derive(Debug, Clone, Default, PartialEq)]
struct Picture {
    pixels: Vec<f32>,
    digit: Option<i64>,
}

/// How a burst came out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Burst {
    /// Answers by version.
    pub answered: BTreeMap<String, u64>,
    /// Refusals and failures by code and reason.
    pub failed: BTreeMap<String, u64>,
    /// Answers to pictures as the data has them, compared with the digit that was meant.
    pub compared: u64,
    /// Of them, those that are right.
    pub right: u64,
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

    /// Requests without an answer although a version was there to give one.
    pub fn faults(&self) -> u64 {
        self.failures() - self.failed.get(UNROUTED).copied().unwrap_or_default()
    }

    /// Share of the compared answers that are right; none without any.
    pub fn accuracy(&self) -> Option<f64> {
        (0 < self.compared).then(|| self.right as f64 / self.compared as f64)
    }

    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        (self.compared, self.right) = (self.compared + other.compared, self.right + other.right);
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
    pictures: Mutex<Arc<Vec<Picture>>>,
    next: AtomicUsize,
    total: Mutex<Burst>,
    first_fault: Mutex<Option<Instant>>,
}

impl Load {
    /// Takes the pictures of a CSV file: `pixel_*` columns first, `digit` somewhere after them.
    ///
    /// # Errors
    /// If a cell is no number.
    pub fn take(&self, csv: &[u8]) -> anyhow::Result<()> {
        let text = std::str::from_utf8(csv)?;
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap_or_default().split(',').map(str::trim).collect();
        let pixels = header.iter().filter(|name| name.starts_with("pixel_")).count();
        let digit = header.iter().position(|name| *name == "digit");
        let mut pictures = Vec::new();
        for line in lines.filter(|line| !line.trim().is_empty()) {
            let cells: Result<Vec<f32>, _> = line.split(',').map(|cell| cell.trim().parse()).collect();
            let cells = cells?;
            let digit = digit.and_then(|place| cells.get(place)).map(|digit| *digit as i64);
            pictures.push(Picture { pixels: cells.into_iter().take(pixels).collect(), digit });
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
        *lock(&self.first_fault) = None;
    }

    /// When the first request failed since [`Load::restart`].
    pub fn first_fault(&self) -> Option<Instant> {
        *lock(&self.first_fault)
    }

    /// Sends a burst to the production endpoint.
    ///
    /// # Errors
    /// If the client has no key.
    pub async fn burst(&self, actors: &Actors, shape: Shape) -> anyhow::Result<Burst> {
        if shape == Shape::Silent || lock(&self.pictures).is_empty() {
            return Ok(Burst::default());
        }
        let sent = Instant::now();
        let burst = self.send(actors, "client", super::names::ENDPOINT, BURST, shape).await?;
        lock(&self.total).add(&burst);
        if 0 < burst.faults() {
            lock(&self.first_fault).get_or_insert(sent);
        }
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
            let Picture { pixels, digit } = picture(&pictures, number, shape);
            let request = request(endpoint, number, pixels);
            async move { (client.model_infer(request).await.map(tonic::Response::into_inner), digit) }
        });
        let answers: Vec<(Result<ModelInferResponse, Status>, Option<i64>)> =
            sent.buffer_unordered(AT_A_TIME).collect().await;
        let mut burst = Burst::default();
        for (answer, digit) in answers {
            if let (Ok(answer), Some(digit)) = (&answer, digit) {
                burst.compared += 1;
                burst.right += u64::from(label(answer) == Some(digit));
            }
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

/// The digit of an answer to one picture.
fn label(answer: &ModelInferResponse) -> Option<i64> {
    let place = answer.outputs.iter().position(|output| output.name == "label")?;
    if let Some(contents) =
        answer.outputs[place].contents.as_ref().filter(|one| !one.int64_contents.is_empty())
    {
        return contents.int64_contents.first().copied();
    }
    let bytes = answer.raw_output_contents.get(place)?.get(..8)?;
    Some(i64::from_le_bytes(bytes.try_into().ok()?))
}

/// Whether picture `number` of a saturated load is: six of ten, spread by the golden ratio. A split without keys gives a
/// canary every twentieth request (at 25 %, every fourth), so that a rule on the last digits of the number might leave it
/// none; this way each such sequence has its six of ten.
fn saturated(number: usize) -> bool {
    let share = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32; // of 2^32
    share * 10 < 6 << 32
}

/// Picture `number` of the load; the same number gives the same picture. What is changed has no digit that was meant.
fn picture(pictures: &[Picture], number: usize, shape: Shape) -> Picture {
    let mut picture = pictures.get(number % pictures.len().max(1)).cloned().unwrap_or_default();
    match shape {
        Shape::Saturated if saturated(number) => {
            for pixel in picture.pixels.iter_mut().skip(number % 7).step_by(21) {
                *pixel = SATURATED;
            }
            picture.digit = None;
        }
        Shape::Inverted => {
            picture.pixels.iter_mut().for_each(|pixel| *pixel = BRIGHTEST - *pixel);
            picture.digit = None;
        }
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
    use contracts::inference::model_infer_response::InferOutputTensor;

    fn pictures() -> Vec<Picture> {
        vec![Picture { pixels: vec![1.0; 64], digit: Some(3) }]
    }

    #[test]
    fn six_of_ten_pictures_are_saturated() {
        let hurt =
            |number: &usize| picture(&pictures(), *number, Shape::Saturated).pixels.contains(&SATURATED);
        let count = (0..1000).filter(hurt).count();
        assert!((595..=605).contains(&count), "{count}");
        let inverted = picture(&pictures(), 3, Shape::Inverted);
        assert_eq!(inverted, Picture { pixels: vec![15.0; 64], digit: None });
    }

    /// A canary at 5 % gets every twentieth picture, at 25 % every fourth, from wherever the split began.
    #[test]
    fn every_sequence_that_a_canary_gets_is_saturated_as_the_whole_is() {
        for stride in [4, 20] {
            for residue in 0..stride {
                for start in 0..100 {
                    let got = (start..start + 10).map(|turn| residue + stride * turn);
                    let hurt = got.filter(|number| saturated(*number)).count();
                    assert!((4..=8).contains(&hurt), "{stride} {residue} {start}: {hurt} of 10");
                }
            }
        }
    }

    #[test]
    fn pictures_come_with_the_digit_that_was_meant() {
        let load = Load::default();
        load.take(b"pixel_0,pixel_1,digit\n1,2,7\n3,4,8\n").expect("taken");
        let taken = lock(&load.pictures).clone();
        assert_eq!(taken[1], Picture { pixels: vec![3.0, 4.0], digit: Some(8) });
        assert!(load.take(b"pixel_0\nx\n").is_err());
    }

    #[test]
    fn an_answer_is_read_from_its_raw_bytes() {
        let output = |name: &str| InferOutputTensor { name: name.into(), ..Default::default() };
        let answer = ModelInferResponse {
            outputs: vec![output("scores"), output("label")],
            raw_output_contents: vec![vec![0; 40].into(), 7_i64.to_le_bytes().to_vec().into()],
            ..Default::default()
        };
        assert_eq!(label(&answer), Some(7));
        assert_eq!(label(&ModelInferResponse::default()), None);
    }

    #[test]
    fn what_a_first_canary_does_not_take_is_no_fault() {
        let failed = BTreeMap::from([(UNROUTED.to_owned(), 19), ("MODEL_FAULT".to_owned(), 2)]);
        let burst = Burst { failed, compared: 4, right: 3, ..Burst::default() };
        assert_eq!((burst.failures(), burst.faults(), burst.accuracy()), (21, 2, Some(0.75)));
    }
}
