//! The only place that reads the clock. Virtual time may run faster than real time, or only when told.
//!
//! Deadlines of RPCs are real time and are not this clock's business.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::changes::Stamp;

/// How often a clock file is looked at, in real time.
const FILE_POLL: Duration = Duration::from_millis(100);
/// The longest single real sleep: a clock file may speed up while somebody sleeps.
const LONGEST_NAP: Duration = Duration::from_hours(1);

/// A source of virtual time; clones share it.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
enum Source {
    Real,
    Scaled { real_anchor: Instant, virtual_anchor: SystemTime, speed: f64 },
    Manual(watch::Sender<SystemTime>),
    File(SharedFile),
}

/// Contents of a clock file: virtual = `virtual_anchor_us` + (real - `real_anchor_us`) * `speed`. Microseconds since the
/// Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockFile {
    /// Real time at the anchor.
    pub real_anchor_us: i64,
    /// Virtual time at the anchor.
    pub virtual_anchor_us: i64,
    /// Virtual seconds in a real second; 0 stands still.
    pub speed: f64,
}

#[derive(Debug)]
struct SharedFile {
    path: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    at: ClockFile,
    stamp: Option<Stamp>,
    looked: Instant,
}

impl Clock {
    /// Virtual time is real time.
    pub fn real() -> Self {
        Self(Arc::new(Source::Real))
    }

    /// Starts at the real time and runs `speed` times as fast. `speed` must be positive and finite (the configuration
    /// refuses others); anything else stands still.
    pub fn scaled(speed: f64) -> Self {
        let speed = if speed.is_finite() && speed > 0.0 { speed } else { 0.0 };
        let (real_anchor, virtual_anchor) = (Instant::now(), SystemTime::now());
        Self(Arc::new(Source::Scaled { real_anchor, virtual_anchor, speed }))
    }

    /// Stands at `start` until [`Clock::advance`].
    pub fn manual(start: SystemTime) -> Self {
        Self(Arc::new(Source::Manual(watch::Sender::new(start))))
    }

    /// Follows a file written by [`ClockFile::save`], which is read again when it changes, so that several processes
    /// share one clock.
    ///
    /// # Errors
    /// If the file cannot be read or does not hold a [`ClockFile`] with a speed >= 0.
    pub fn file(path: impl AsRef<Path>) -> std::io::Result<Self> {
        let path = path.as_ref().to_owned();
        let stamp = Stamp::of(&path);
        let seen = Seen { at: ClockFile::read(&path)?, stamp, looked: Instant::now() };
        Ok(Self(Arc::new(Source::File(SharedFile { path, seen: Mutex::new(seen) }))))
    }

    /// The virtual time.
    pub fn now(&self) -> SystemTime {
        match &*self.0 {
            Source::Real => SystemTime::now(),
            Source::Scaled { real_anchor, virtual_anchor, speed } => {
                *virtual_anchor + real_anchor.elapsed().mul_f64(*speed)
            }
            Source::Manual(now) => *now.borrow(),
            Source::File(file) => file.look().now(),
        }
    }

    /// Real time, for what must hold across restarts and changes of speed: leases between processes.
    pub fn real_time() -> SystemTime {
        SystemTime::now()
    }

    /// Virtual seconds in a real second; 0 for a manual clock.
    pub fn speed(&self) -> f64 {
        match &*self.0 {
            Source::Real => 1.0,
            Source::Scaled { speed, .. } => *speed,
            Source::Manual(_) => 0.0,
            Source::File(file) => file.look().speed,
        }
    }

    /// True if time moves only through [`Clock::advance`].
    pub fn is_manual(&self) -> bool {
        matches!(&*self.0, Source::Manual(_))
    }

    /// Moves a manual clock on and wakes those whose time has come. Other clocks are not moved.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual(now) = &*self.0 {
            now.send_modify(|now| *now += by);
        } else {
            tracing::warn!("only a manual clock can be advanced");
        }
    }

    /// Sleeps for a virtual duration.
    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now() + duration).await;
    }

    /// Sleeps until a virtual time; returns at once if it has passed.
    pub async fn sleep_until(&self, until: SystemTime) {
        if let Source::Manual(now) = &*self.0 {
            // The sender lives as long as `self`, so the wait cannot fail.
            let _ = now.subscribe().wait_for(|now| until <= *now).await;
            return;
        }
        while let Ok(left) = until.duration_since(self.now()) {
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(self.nap(left)).await;
        }
    }

    /// The real time to sleep before looking again, for a virtual time that is left.
    fn nap(&self, left: Duration) -> Duration {
        let longest = if matches!(&*self.0, Source::File(_)) { FILE_POLL } else { LONGEST_NAP };
        let seconds = left.as_secs_f64() / self.speed();
        // Not finite: the clock stands still. The floor keeps a very fast clock from spinning.
        let nap = if seconds < longest.as_secs_f64() { Duration::from_secs_f64(seconds) } else { longest };
        nap.max(Duration::from_micros(200))
    }
}

impl ClockFile {
    /// A file whose clock stands at `virtual_now` now and runs at `speed` from here.
    pub fn starting_at(virtual_now: SystemTime, speed: f64) -> Self {
        Self { real_anchor_us: micros(SystemTime::now()), virtual_anchor_us: micros(virtual_now), speed }
    }

    /// Writes the file whole or not at all.
    ///
    /// # Errors
    /// Of the file system.
    pub fn save(&self, path: impl AsRef<Path>) -> std::io::Result<()> {
        let path = path.as_ref();
        let draft = path.with_extension(format!("draft-{}", std::process::id()));
        std::fs::write(&draft, serde_json::to_vec(self)?)?;
        std::fs::rename(&draft, path)
    }

    fn read(path: &Path) -> std::io::Result<Self> {
        let named = |cause: String| std::io::Error::other(format!("{}: {cause}", path.display()));
        let text = std::fs::read(path).map_err(|cause| named(cause.to_string()))?;
        let file: Self = serde_json::from_slice(&text).map_err(|cause| named(cause.to_string()))?;
        if file.speed.is_finite() && 0.0 <= file.speed {
            Ok(file)
        } else {
            Err(named(format!("speed {}, required >= 0", file.speed)))
        }
    }

    fn now(&self) -> SystemTime {
        let passed = (micros(SystemTime::now()) - self.real_anchor_us).max(0) as f64 * self.speed;
        from_micros(self.virtual_anchor_us.saturating_add(passed as i64))
    }
}

impl SharedFile {
    /// What the file says, read again at most every [`FILE_POLL`]; a file that went bad keeps the last good answer.
    fn look(&self) -> ClockFile {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if FILE_POLL <= seen.looked.elapsed() {
            seen.looked = Instant::now();
            let stamp = Stamp::of(&self.path);
            if stamp != seen.stamp {
                match ClockFile::read(&self.path) {
                    Ok(at) => (seen.at, seen.stamp) = (at, stamp),
                    Err(error) => tracing::warn!(%error, "clock file is unreadable, keeping the last"),
                }
            }
        }
        seen.at
    }
}

fn micros(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}

fn from_micros(micros: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(micros.max(0) as u64)
}
