//! Who moves the clock of the mesh.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use runtime::Clock;
use runtime::clock::ClockFile;

/// Virtual seconds in a real one while nothing has to soak.
const WALK: f64 = 1.0;
/// Virtual seconds in a real one while a canary soaks: the ladder's ninety minutes in three quarters of a minute.
const RUN: f64 = 120.0;
/// Every reader looks at a clock file within this real time.
const LOOK: Duration = Duration::from_millis(125);
/// Real time of a step.
const STEP: Duration = Duration::from_millis(60);

/// Moves the clock of a mesh.
#[async_trait]
pub trait Pace: Send + Sync {
    /// The virtual time.
    fn now(&self) -> SystemTime;
    /// Lets a little time pass.
    async fn step(&self);
    /// Time runs while something has to soak, or walks again.
    async fn hurry(&self, run: bool) -> anyhow::Result<()>;
    /// Jumps over a notice period.
    async fn leap(&self, by: Duration) -> anyhow::Result<()>;
}

/// A clock file that one or more processes follow.
pub struct FilePace {
    path: PathBuf,
    clock: Clock,
    run: f64,
}

impl FilePace {
    /// Writes a clock file that shows the present time and walks.
    ///
    /// # Errors
    /// Of the file system.
    pub fn create(path: PathBuf) -> anyhow::Result<Self> {
        ClockFile::starting_at(SystemTime::now(), WALK).save(&path)?;
        let clock = Clock::file(&path)?;
        Ok(Self { path, clock, run: RUN })
    }

    /// Runs at another speed, in virtual seconds in a real one: a machine that is busy keeps up with a slower one.
    #[must_use]
    pub fn running_at(mut self, speed: f64) -> Self {
        self.run = speed;
        self
    }

    /// The clock, for a mesh in this process.
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    async fn set(&self, leap: Duration, speed: f64) -> anyhow::Result<()> {
        // A reader goes on at the old speed until it looks. Where time slows down it would be ahead by then and fall back:
        // the new time begins where the last reader can be.
        let late = LOOK.mul_f64((self.clock.speed() - speed).max(0.0));
        ClockFile::starting_at(self.clock.now() + leap + late, speed).save(&self.path)?;
        tokio::time::sleep(LOOK * 2).await;
        Ok(())
    }
}

#[async_trait]
impl Pace for FilePace {
    fn now(&self) -> SystemTime {
        self.clock.now()
    }

    async fn step(&self) {
        tokio::time::sleep(STEP).await;
    }

    async fn hurry(&self, run: bool) -> anyhow::Result<()> {
        self.set(Duration::ZERO, if run { self.run } else { WALK }).await
    }

    async fn leap(&self, by: Duration) -> anyhow::Result<()> {
        let speed = self.clock.speed();
        self.set(by, speed).await
    }
}

/// A clock that stands until it is moved: each step is so much virtual time, and a moment for the loops of the mesh.
pub struct ManualPace {
    clock: Clock,
    step: Duration,
}

impl ManualPace {
    /// Moves `clock` by `step` each time.
    pub fn new(clock: Clock, step: Duration) -> Self {
        Self { clock, step }
    }
}

#[async_trait]
impl Pace for ManualPace {
    fn now(&self) -> SystemTime {
        self.clock.now()
    }

    async fn step(&self) {
        self.clock.advance(self.step);
        // Loops that were woken need the processor, nothing else: the probe that follows waits for the fact.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    async fn hurry(&self, _: bool) -> anyhow::Result<()> {
        Ok(())
    }

    async fn leap(&self, by: Duration) -> anyhow::Result<()> {
        self.clock.advance(by);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_that_looks_late_does_not_fall_back_when_time_slows_down() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pace = FilePace::create(folder.path().join("clock.json")).expect("a clock file");
        pace.hurry(true).await.expect("runs");
        // What a reader that has not looked yet may show, a tenth of a second after the change.
        let (ahead, changed) = (pace.now() + Duration::from_millis(100).mul_f64(RUN), pace.hurry(false));
        changed.await.expect("walks");
        assert!(ahead <= pace.now(), "{:?}", ahead.duration_since(pace.now()));
    }
}
