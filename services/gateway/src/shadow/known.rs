//! The versions in the shadow that this gateway knows, one for each endpoint, with what was seen of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use contracts::registry::v1 as wire;
use engine::Session;

use super::Tally;
use crate::backends::Loaded;
use crate::preprocess::Preprocessor;
use crate::routing::Split;

/// A version in the shadow of an endpoint, loaded and warm.
#[derive(Debug)]
pub struct Shadow {
    /// The model.
    pub session: Arc<dyn Session>,
    /// What stands before it.
    pub preprocessor: Option<Arc<Preprocessor>>,
    /// What was seen of it.
    pub tally: Arc<Tally>,
    split: Split,
}

impl Shadow {
    /// Whether the request that asks is one of the share: exact to a request.
    pub fn takes(&self) -> bool {
        self.split.next().is_some()
    }

    fn percent(&self) -> u32 {
        self.split.shares().first().copied().unwrap_or(0)
    }
}

/// Where a version in the shadow stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is being made ready.
    Loading,
    /// It gets copies.
    Ready,
    /// It cannot be made ready.
    Failed(String),
    /// It gets no copies any more.
    Ended,
}

/// One row of what is known.
#[derive(Debug, Clone)]
pub struct Row {
    /// The endpoint.
    pub endpoint: String,
    /// `models/{m}/versions/{v}`
    pub version: String,
    /// Digest of its bytes.
    pub artifact_digest: String,
    /// The rollout that it belongs to.
    pub rollout: String,
    /// Share of the requests that are copied.
    pub percent: u32,
    /// Where it stands.
    pub standing: Standing,
    /// Since when it is known.
    pub since: SystemTime,
    /// What was seen.
    pub tally: Arc<Tally>,
    shadow: Option<Arc<Shadow>>,
}

impl Row {
    fn is_of(&self, asked: &wire::Shadow, backend: &wire::Backend) -> bool {
        let own = (&self.version, &self.artifact_digest, &self.rollout);
        own == (&backend.version, &backend.artifact_digest, &asked.rollout)
    }
}

/// All of them, by endpoint.
#[derive(Debug, Default)]
pub struct Known(Mutex<BTreeMap<String, Row>>);

impl Known {
    /// A route has that version in its shadow: the same one as before goes on with what it has counted, another one begins
    /// anew. `tally` makes the counts of a new one. Gives what copies are sent to, if it is ready.
    pub fn stands(
        &self,
        endpoint: &str,
        (asked, backend): (&wire::Shadow, &wire::Backend),
        stand: Result<Option<Loaded>, String>,
        now: SystemTime,
        tally: impl FnOnce() -> Tally,
    ) -> Option<Arc<Shadow>> {
        let mut rows = self.lock();
        let same = rows
            .get(endpoint)
            .is_some_and(|row| row.is_of(asked, backend) && row.standing != Standing::Ended);
        if !same {
            let row = Row {
                endpoint: endpoint.to_owned(),
                version: backend.version.clone(),
                artifact_digest: backend.artifact_digest.clone(),
                rollout: asked.rollout.clone(),
                percent: asked.percent,
                standing: Standing::Loading,
                since: now,
                tally: Arc::new(tally()),
                shadow: None,
            };
            rows.insert(endpoint.to_owned(), row);
        }
        let row = rows.get_mut(endpoint)?;
        row.percent = asked.percent;
        let session = match stand {
            Ok(session) => {
                row.standing = if session.is_some() { Standing::Ready } else { Standing::Loading };
                session
            }
            Err(why) => {
                row.standing = Standing::Failed(why);
                None
            }
        };
        row.shadow = session.map(|Loaded { session, preprocessor }| match row.shadow.take() {
            Some(known) if Arc::ptr_eq(&known.session, &session) && known.percent() == asked.percent => known,
            _ => Arc::new(Shadow {
                session,
                preprocessor,
                tally: row.tally.clone(),
                split: Split::new(vec![asked.percent.min(100)]),
            }),
        });
        row.shadow.clone()
    }

    /// The routes in force have shadows of these endpoints and no other: what ended is shown until another one begins, and
    /// let go of with its endpoint.
    pub fn keep_only<'a>(&self, shadowed: &[&str], endpoints: impl Iterator<Item = &'a String>) {
        let endpoints: Vec<&String> = endpoints.collect();
        let mut rows = self.lock();
        rows.retain(|name, _| endpoints.contains(&name));
        for row in rows.values_mut().filter(|row| !shadowed.contains(&row.endpoint.as_str())) {
            row.standing = Standing::Ended;
            row.shadow = None;
        }
    }

    /// What is known now.
    pub fn rows(&self) -> Vec<Row> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Row>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
