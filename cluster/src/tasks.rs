//! Tasks are counted where they run: after a loss the log shows which ran again, and that no other did.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ballista_core::JobId;
use ballista_executor::execution_engine::{DefaultExecutionEngine, ExecutionEngine, QueryStageExecutor};
use datafusion::common::Result;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;

/// Ballista's engine, with a line in the log for each task that begins.
#[derive(Default)]
pub struct Counted {
    engine: DefaultExecutionEngine,
    begun: AtomicU64,
}

impl ExecutionEngine for Counted {
    fn create_query_stage_exec(
        &self,
        job: JobId,
        stage: usize,
        task: usize,
        partitions: Vec<usize>,
        plan: Arc<dyn ExecutionPlan>,
        work_dir: &str,
        config: &SessionConfig,
    ) -> Result<Arc<dyn QueryStageExecutor>> {
        let begun = 1 + self.begun.fetch_add(1, Ordering::Relaxed);
        tracing::info!(%job, stage, task, ?partitions, begun, "task begins");
        self.engine.create_query_stage_exec(job, stage, task, partitions, plan, work_dir, config)
    }
}
