//! Traffic: clients that classify digits, as many at a time as real ones would.

mod burst;
mod pictures;
mod protocol;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use contracts::inference::ModelInferResponse;
use futures::StreamExt;
use tonic::Status;

pub use burst::Burst;
pub use pictures::Shape;

use super::Actors;
use pictures::{Picture, picture};
use protocol::{label, request};

/// Requests of a burst.
const BURST: usize = 40;
/// Of them at a time.
const AT_A_TIME: usize = 8;

/// Pictures to send, and what came of all requests so far.
#[derive(Default)]
pub struct Load {
    pictures: Mutex<Arc<Vec<Picture>>>,
    next: AtomicUsize,
    total: Mutex<Burst>,
}

impl Load {
    /// Takes the pictures of a CSV file: `pixel_*` columns first, `digit` somewhere after them.
    ///
    /// # Errors
    /// If a cell is no number.
    pub fn take(&self, csv: &[u8]) -> anyhow::Result<()> {
        *lock(&self.pictures) = Arc::new(pictures::read(csv)?);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_come_with_the_digit_that_was_meant() {
        let load = Load::default();
        load.take(b"pixel_0,pixel_1,digit\n1,2,7\n3,4,8\n").expect("taken");
        let taken = lock(&load.pictures).clone();
        assert_eq!(taken[1], Picture { pixels: vec![3.0, 4.0], digit: Some(8) });
        assert!(load.take(b"pixel_0\nx\n").is_err());
    }
}
