//! The functions that plans may name: the same on the scheduler, on the executors and at the client.

use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::utils::default_session_builder;
use datafusion::common::Result;
use datafusion::execution::SessionState;
use datafusion::prelude::SessionConfig;

/// A scheduler's session: plans are read and planned with it.
pub fn session(config: SessionConfig) -> Result<SessionState> {
    let mut state = default_session_builder(config)?;
    aggregates::register(&mut state)?;
    Ok(state)
}

/// An executor's functions.
pub fn registry() -> BallistaFunctionRegistry {
    let mut registry = BallistaFunctionRegistry::default();
    for function in aggregates::functions() {
        registry.aggregate_functions.insert(function.name().to_owned(), function.into());
    }
    registry
}
