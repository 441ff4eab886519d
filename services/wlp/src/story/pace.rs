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
}

impl FilePace {
    /// Writes a clock file that shows the present time and walks.
    ///
    /// # Errors
    /// Of the file system.
    pub fn create(path: PathBuf) -> anyhow::Result<Self> {
        ClockFile::starting_at(SystemTime::now(), WALK).save(&path)?;
        let clock = Clock::file(&path)?;
        Ok(Self { path, clock })
    }

    /// The clock, for a mesh in this process.
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    async fn set(&self, leap: Duration, speed: f64) -> anyhow::Result<()> {
        // A reader that sees the change late was slower or faster for a moment; time never goes back, since the anchor
        // is what the file shows now.
        ClockFile::starting_at(self.clock.now() + leap, speed).save(&self.path)?;
        // Every reader looks at least each tenth of a second.
        tokio::time::sleep(Duration::from_millis(250)).await;
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
        self.set(Duration::ZERO, if run { RUN } else { WALK }).await
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
