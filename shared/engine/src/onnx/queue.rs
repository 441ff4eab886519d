//! Requests that wait for a model, and its instances that wait for requests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::instance::Instance;
use super::pace::Pace;
use super::switch::Switch;
use crate::{Answer, Batching, EngineError, RunOptions, Tensor};

/// One request on its way.
pub(super) struct Job {
    pub inputs: Vec<Tensor>,
    /// Outputs asked for, in that order.
    pub outputs: Vec<String>,
    /// Rows by which it is put together with others; `None` runs alone.
    pub rows: Option<usize>,
    /// It may run on the thread of another caller.
    pub light: bool,
    pub options: RunOptions,
    pub queued_at: Instant,
    pub switch: Arc<Switch>,
    pub reply: oneshot::Sender<Result<Answer, EngineError>>,
}

/// Empty lanes are kept, so that a new request need not make its own, as long as they are no more.
const FEW_LANES: usize = 16;

/// Requests in their order: by priority, then by time.
#[derive(Default)]
struct Waiting {
    lanes: BTreeMap<u32, VecDeque<Job>>,
    count: usize,
}

struct State {
    waiting: Waiting,
    /// Instances that nobody uses.
    idle: Vec<Instance>,
    /// A request takes the next turn on its own thread; with one instance, until it has run.
    led: bool,
    closed: bool,
}

/// First come, first served within a priority; a full queue refuses.
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    capacity: usize,
    batching: Batching,
}

/// An instance with what it runs next.
pub(super) struct Turn {
    pub instance: Instance,
    pub jobs: Vec<Job>,
}

impl Queue {
    pub fn new(capacity: usize, batching: Batching, instances: Vec<Instance>) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: Waiting::default(),
                idle: instances,
                led: false,
                closed: false,
            }),
            wake: Condvar::new(),
            capacity: capacity.max(1),
            batching,
        }
    }

    /// An instance for a caller that runs its request itself: one is free, and nobody waits for it.
    pub fn at_once(&self) -> Option<Instance> {
        let mut state = lock(&self.state);
        if state.closed || state.waiting.count > 0 { None } else { state.idle.pop() }
    }

    /// Gives an instance back.
    pub fn give_back(&self, instance: Instance) {
        let mut state = lock(&self.state);
        state.idle.push(instance);
        if state.closed {
            self.wake.notify_all(); // every thread ends
        } else if state.waiting.count > 0 && !state.led {
            self.wake.notify_one();
        }
    }

    /// Puts a request into the queue; says whether it `may_lead` and shall: an instance is free, and nobody else takes it.
    pub fn push(&self, job: Job, may_lead: bool) -> Result<bool, EngineError> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(EngineError::Closed);
        }
        if state.waiting.count >= self.capacity {
            state.waiting.forget();
        }
        if state.waiting.count >= self.capacity {
            return Err(EngineError::Busy { capacity: self.capacity });
        }
        state.waiting.push(job);
        let free = !state.idle.is_empty();
        let leads = may_lead && free && !state.led;
        state.led |= leads;
        // Where no instance is free, whoever gives one back looks again.
        if free && !state.led {
            self.wake.notify_one();
        }
        Ok(leads)
    }

    /// What the leader runs next, if there is an instance and all that waits is light. Other instances go on beside it.
    pub fn next(&self, pace: &Pace) -> Option<Turn> {
        let mut state = lock(&self.state);
        let State { waiting, idle, led, closed } = &mut *state;
        if idle.is_empty() || waiting.jobs().any(|job| !job.light) {
            return None;
        }
        let Taken::Group(jobs) = waiting.group(&self.batching, pace, *closed) else { return None };
        let instance = idle.pop()?;
        if !idle.is_empty() {
            *led = false;
            if waiting.count > 0 {
                self.wake.notify_one();
            }
        }
        Some(Turn { instance, jobs })
    }

    /// Nobody leads any more: what waits is for the threads.
    pub fn step_down(&self) {
        let mut state = lock(&self.state);
        state.led = false;
        if state.waiting.count > 0 && !state.idle.is_empty() {
            self.wake.notify_one();
        }
    }

    /// Waits until there is something to run and an instance to run it on; `None` once the queue is closed and empty.
    pub fn turn(&self, pace: &Pace) -> Option<Turn> {
        let mut state = lock(&self.state);
        loop {
            if state.closed && state.waiting.count == 0 {
                return None;
            }
            let State { waiting, idle, led, closed } = &mut *state;
            let mut patience = None;
            if !idle.is_empty() && !*led {
                match waiting.group(&self.batching, pace, *closed) {
                    Taken::Group(jobs) => {
                        if let Some(instance) = idle.pop() {
                            if waiting.count > 0 && !idle.is_empty() {
                                self.wake.notify_one();
                            }
                            return Some(Turn { instance, jobs });
                        }
                    }
                    Taken::Later(until) => patience = Some(until),
                    Taken::Nothing if *closed => return None, // what waited was given up
                    Taken::Nothing => {}
                }
            }
            state = self.sleep(state, patience);
        }
    }

    fn sleep<'a>(&'a self, state: MutexGuard<'a, State>, patience: Option<Instant>) -> MutexGuard<'a, State> {
        match patience {
            None => self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now()).max(Duration::from_micros(1));
                self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }

    /// Lets what waits run and takes nothing more.
    pub fn close(&self) {
        lock(&self.state).closed = true;
        self.wake.notify_all();
    }
}

/// What the head of the queue is ready for.
enum Taken {
    Group(Vec<Job>),
    /// It waits for company until then.
    Later(Instant),
    Nothing,
}

impl Waiting {
    fn push(&mut self, job: Job) {
        self.lanes.entry(job.options.priority).or_default().push_back(job);
        self.count += 1;
    }

    /// Requests that were given up make room.
    fn forget(&mut self) {
        for lane in self.lanes.values_mut() {
            lane.retain(|job| !job.switch.is_off());
        }
        self.lanes.retain(|_, lane| !lane.is_empty());
        self.count = self.lanes.values().map(VecDeque::len).sum();
    }

    /// Takes the head with those behind it that fit to it, unless it still waits for more of them.
    fn group(&mut self, batching: &Batching, pace: &Pace, closed: bool) -> Taken {
        while self.jobs().next().is_some_and(|head| head.switch.is_off()) {
            self.pop();
        }
        let Some(head) = self.jobs().next() else { return Taken::Nothing };
        let Some(rows) = head.rows.filter(|rows| *rows < batching.max_rows) else {
            return Taken::Group(self.pop().into_iter().collect());
        };
        let mut there = rows;
        for more in self.jobs().skip(1).filter(|job| alike(head, job)).filter_map(|job| job.rows) {
            if there >= batching.max_rows {
                break;
            }
            there = there.saturating_add(more);
        }
        let until = head.queued_at + Duration::from_micros(batching.delay_us);
        if batching.delay_us > 0 && there < batching.full() && !closed && Instant::now() < until {
            return Taken::Later(until);
        }
        let most = there.min(batching.max_rows);
        let preferred = batching.preferred.iter().copied().filter(|rows| *rows <= most);
        Taken::Group(self.take(preferred.max().or_else(|| pace.size_of(most)).unwrap_or(most)))
    }

    /// The head, and those behind it that are like it, as long as they fit into `most` rows; others keep their places.
    fn take(&mut self, most: usize) -> Vec<Job> {
        let (mut taken, mut rows): (Vec<Job>, usize) = (Vec::new(), 0);
        for lane in self.lanes.values_mut() {
            let mut passed = Vec::new();
            while let Some(job) = lane.pop_front() {
                if job.switch.is_off() {
                    continue;
                }
                let fits = taken.first().is_none_or(|head| alike(head, &job));
                let sum = rows.saturating_add(job.rows.unwrap_or(usize::MAX));
                if fits && (sum <= most || taken.is_empty()) {
                    rows = sum;
                    taken.push(job);
                } else {
                    passed.push(job);
                    if fits {
                        break; // it was here before those behind it
                    }
                }
            }
            for job in passed.into_iter().rev() {
                lane.push_front(job);
            }
            if rows >= most {
                break;
            }
        }
        if self.lanes.len() > FEW_LANES {
            self.lanes.retain(|_, lane| !lane.is_empty());
        }
        self.count = self.lanes.values().map(VecDeque::len).sum();
        taken
    }

    fn pop(&mut self) -> Option<Job> {
        let job = self.lanes.values_mut().find_map(VecDeque::pop_front)?;
        self.count -= 1;
        Some(job)
    }

    fn jobs(&self) -> impl Iterator<Item = &Job> {
        self.lanes.values().flatten()
    }
}

/// Whether two requests can run as one: the same inputs in the same order, of the same types and row shapes.
fn alike(one: &Job, other: &Job) -> bool {
    let same = |(a, b): (&Tensor, &Tensor)| {
        a.datatype() == b.datatype() && a.shape().get(1..) == b.shape().get(1..) && a.name() == b.name()
    };
    other.rows.is_some()
        && one.inputs.len() == other.inputs.len()
        && one.inputs.iter().zip(&other.inputs).all(same)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
