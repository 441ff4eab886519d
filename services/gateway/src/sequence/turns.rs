//! Whose turn it is: requests of one sequence run one after the other, in the order in which they came, and no more
//! sequences are at work than there are slots. A sequence that has been idle for too long is over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use engine::{EngineError, Tensor};
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, oneshot};

use super::{Id, wrong};

/// The shortest time between two looks for idle sequences.
const LOOK: Duration = Duration::from_millis(1);
/// No sequence may be idle for longer.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

/// The sequences of one version.
#[derive(Debug)]
pub(super) struct Turns {
    slots: Arc<Semaphore>,
    /// Sequences at a time, with those that wait for a slot.
    most: usize,
    idle: Duration,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    open: HashMap<Id, Open>,
    /// Nothing can have been idle for too long before then.
    look: Instant,
}

/// A sequence that has requests, or may get more.
#[derive(Debug)]
struct Open {
    seat: Arc<tokio::sync::Mutex<Seat>>,
    /// Ends with the request that came last.
    tail: Option<Before>,
    /// Requests that wait or run.
    pending: usize,
    /// Its last request has come.
    ending: bool,
    /// How often it was begun: a request belongs to the beginning before it.
    beginning: u64,
    /// When the last of its requests ended.
    last: Instant,
}

/// What a sequence has; the request whose turn it is holds it.
#[derive(Debug, Default)]
struct Seat {
    slot: Option<OwnedSemaphorePermit>,
    /// The beginning that the model has seen, of a sequence that goes on.
    at: Option<u64>,
    state: Vec<Tensor>,
}

/// Ends with a request. One that was given up while it waited leaves what it waited for.
#[derive(Debug)]
struct Before(oneshot::Receiver<Before>);

/// A request in its sequence. Whatever becomes of it, the next one has its turn when this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    id: Id,
    start: bool,
    end: bool,
    beginning: u64,
    seat: Arc<tokio::sync::Mutex<Seat>>,
    /// Ends with the request before this one. A lock alone keeps no order: a task that has had its share of time is not
    /// put in its line.
    before: Option<Before>,
    held: Option<OwnedMutexGuard<Seat>>,
    /// Goes with this one, which the next one waits for.
    after: Option<oneshot::Sender<Before>>,
}

/// Tells a client that its sequence has not begun.
fn not_begun(id: &Id) -> EngineError {
    let why = format!(
        "is missing: sequence {id} has not begun, or it has ended or been idle for too long; the first request of a \
         sequence must specify the START flag"
    );
    EngineError::BadInput(vec![wrong("parameters[sequence_start]", why)])
}

impl Turns {
    /// Room for `slots` sequences, and for `waiting` more that wait for one of them.
    pub fn new(slots: usize, waiting: usize, idle: Duration) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(slots)),
            most: slots.saturating_add(waiting),
            idle: idle.min(LONGEST),
            table: Mutex::new(Table { open: HashMap::new(), look: Instant::now() }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a request behind those of its sequence that came before.
    ///
    /// # Errors
    /// [`EngineError::BadInput`] if the sequence is not there; [`EngineError::Busy`] if there are too many.
    pub fn enter(self: &Arc<Self>, id: Id, start: bool, end: bool) -> Result<Turn, EngineError> {
        let now = Instant::now();
        let mut table = self.lock();
        self.forget(&mut table, now);
        let full = table.open.len() >= self.most;
        let open = match table.open.get_mut(&id) {
            Some(open) if start || !open.ending => open,
            None if start && full => return Err(EngineError::Busy { capacity: self.most }),
            None if start => table.open.entry(id.clone()).or_insert_with(|| Open {
                seat: Arc::default(),
                tail: None,
                pending: 0,
                ending: false,
                beginning: 0,
                last: now,
            }),
            Some(_) | None => return Err(not_begun(&id)),
        };
        open.pending += 1;
        open.ending = end;
        open.beginning += u64::from(start);
        let (after, next) = oneshot::channel();
        let before = open.tail.replace(Before(next));
        let (beginning, seat) = (open.beginning, open.seat.clone());
        drop(table);
        let turns = self.clone();
        Ok(Turn { turns, id, start, end, beginning, seat, before, held: None, after: Some(after) })
    }

    /// Ends sequences that have been idle for too long; gives when to look again.
    fn forget(&self, table: &mut Table, now: Instant) -> Instant {
        if now >= table.look {
            let mut look = now + self.idle;
            table.open.retain(|_, open| {
                let until = open.last + self.idle;
                let stays = open.pending > 0 || now < until;
                if stays && open.pending == 0 {
                    look = look.min(until);
                }
                stays
            });
            table.look = look;
        }
        table.look.max(now + LOOK)
    }

    /// A slot, as soon as there is one: first come, first served.
    async fn slot(&self) -> Result<OwnedSemaphorePermit, EngineError> {
        let mut slot = std::pin::pin!(self.slots.clone().acquire_owned());
        loop {
            let look = self.forget(&mut self.lock(), Instant::now());
            tokio::select! {
                biased;
                slot = &mut slot => return slot.map_err(|_| EngineError::Closed),
                () = tokio::time::sleep_until(look.into()) => {}
            }
        }
    }
}

impl Turn {
    /// Waits until the requests before it have ended, and until there is a slot if it begins a sequence.
    ///
    /// # Errors
    /// [`EngineError::Deadline`]; [`EngineError::BadInput`] if the sequence's beginning never reached the model.
    pub async fn come(&mut self, deadline: Option<Instant>) -> Result<(), EngineError> {
        let (seat, turns) = (self.seat.clone(), self.turns.clone());
        let (start, before) = (self.start, &mut self.before);
        let waited = async move {
            while let Some(Before(ended)) = before {
                let earlier = ended.await.ok();
                *before = earlier;
            }
            let mut seat = seat.lock_owned().await;
            if start && seat.slot.is_none() {
                seat.slot = Some(turns.slot().await?);
            }
            Ok::<_, EngineError>(seat)
        };
        let late = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        let mut seat = tokio::select! {
            biased;
            seat = waited => seat?,
            () = late => return Err(EngineError::Deadline { running: false }),
        };
        if start {
            // What the model saw of an earlier sequence of this name is over.
            seat.at = None;
        } else if seat.at != Some(self.beginning) {
            return Err(not_begun(&self.id));
        }
        self.held = Some(seat);
        Ok(())
    }

    /// The state that the model meets.
    pub fn state(&self) -> &[Tensor] {
        self.held.as_ref().map_or(&[], |seat| seat.state.as_slice())
    }

    /// Puts the state that it begins with.
    pub fn put(&mut self, state: Vec<Tensor>) {
        if let Some(seat) = &mut self.held {
            seat.state = state;
        }
    }

    /// The model has answered: the sequence goes on from this state, or is over.
    pub fn done(mut self, state: Vec<Tensor>) {
        if let Some(seat) = &mut self.held {
            seat.state = state;
            seat.at = Some(self.beginning);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(mut seat) = self.held.take() {
            // Its end is one whether or not the model answered it; a beginning that failed is none.
            if self.end || seat.at.is_none() {
                *seat = Seat::default();
            }
        }
        let mut table = self.turns.lock();
        let Some(open) = table.open.get_mut(&self.id) else { return };
        open.pending -= 1;
        open.last = Instant::now();
        let goes_on = || {
            let seat = self.seat.try_lock();
            !open.ending && seat.is_ok_and(|seat| seat.at == Some(open.beginning))
        };
        if open.pending == 0 && !goes_on() {
            table.open.remove(&self.id);
        }
        drop(table);
        if let (Some(before), Some(after)) = (self.before.take(), self.after.take()) {
            let _gone_too = after.send(before);
        }
    }
}

#[cfg(test)]
#[path = "turns_tests.rs"]
mod tests;
