//! The repository index: every version of the newest table, with what became of it.

use contracts::inference::repository_index_response::ModelIndex;
use contracts::inference::{RepositoryIndexRequest, RepositoryIndexResponse};
use contracts::name;

use crate::backends::State;
use crate::gateway::Gateway;

impl Gateway {
    pub(super) fn index(&self, request: &RepositoryIndexRequest) -> RepositoryIndexResponse {
        let one = |(name, version, state): (&str, &str, &State)| {
            let (state, reason) = match state {
                State::Ready => ("READY", String::new()),
                State::Loading => ("LOADING", String::new()),
                State::Failed(why) => ("UNAVAILABLE", why.clone()),
            };
            ModelIndex {
                name: name.to_owned(),
                version: name::last(version).to_owned(),
                state: state.into(),
                reason,
            }
        };
        let rows = self.board().rows();
        let shown = rows.iter().filter(|row| !request.ready || row.state == State::Ready);
        let models = shown.map(|row| one((&row.endpoint, &row.version, &row.state))).collect();
        RepositoryIndexResponse { models }
    }
}
