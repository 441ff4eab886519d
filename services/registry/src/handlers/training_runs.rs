//! Training runs: five mandatory blocks, metric series, heartbeats (§6.2, §6.3).

use async_trait::async_trait;
use contracts::registry::v1::{training_run::State, training_run_service_server::TrainingRunService, *};
use lifecycle::training::{MonitoringItem, checkpoint_overdue, completeness, end_run};
use lifecycle::{Finding, Rejection};
use prost::Message as _;
use runtime::{Caller, Kind};
use storage::Digest;
use tonic::{Request, Response, Status, Streaming};

use crate::convert::{self, training_run as domain};
use crate::store::{Resource, Stored, metric_points};
use crate::verbs::Mutation;
use crate::work::{Verb, Work};
use crate::{Error, Registry, parse::Fields};

/// Distinct series of one run at most.
const SERIES: usize = 1000;

#[tonic::async_trait]
impl TrainingRunService for Registry {
    async fn create_training_run(
        &self,
        request: Request<CreateTrainingRunRequest>,
    ) -> Result<Response<TrainingRun>, Status> {
        self.carry_out(request).await
    }

    async fn get_training_run(
        &self,
        request: Request<GetTrainingRunRequest>,
    ) -> Result<Response<TrainingRun>, Status> {
        self.get(&request.into_inner().name).await
    }

    async fn list_training_runs(
        &self,
        request: Request<ListTrainingRunsRequest>,
    ) -> Result<Response<ListTrainingRunsResponse>, Status> {
        let ListTrainingRunsRequest { page_size, page_token } = request.into_inner();
        let (training_runs, next_page_token) =
            self.page(page_size, &page_token, Fields::default(), |query| query).await?;
        Ok(Response::new(ListTrainingRunsResponse { training_runs, next_page_token }))
    }

    async fn log_training_metrics(
        &self,
        request: Request<LogTrainingMetricsRequest>,
    ) -> Result<Response<TrainingRun>, Status> {
        self.carry_out(request).await
    }

    async fn stream_training_metrics(
        &self,
        request: Request<Streaming<StreamTrainingMetricsRequest>>,
    ) -> Result<Response<TrainingRun>, Status> {
        let caller = Caller::of(&request)?;
        let mut messages = request.into_inner();
        let mut run = None;
        // each message is a unit of its own: what was acknowledged by the transport before a break is not lost
        while let Some(message) = messages.message().await? {
            let StreamTrainingMetricsRequest { name, points, request_id } = message;
            run = Some(self.act(&caller, LogTrainingMetricsRequest { name, points, request_id }).await?);
        }
        Ok(Response::new(run.ok_or_else(|| Error::field("name", "required: the stream was empty"))?))
    }

    async fn list_training_metrics(
        &self,
        request: Request<ListTrainingMetricsRequest>,
    ) -> Result<Response<ListTrainingMetricsResponse>, Status> {
        let request = request.into_inner();
        let mut fields = Fields::default();
        fields.name("name", &request.name, TrainingRun::FORM);
        fields.optional_text("metric", &request.metric);
        let page = fields.page(request.page_size, &request.page_token);
        fields.done()?;
        self.read::<TrainingRun>(&request.name).await?;
        let connection = self.records().database().connection();
        let (points, next_page_token) =
            metric_points::list(connection, &request.name, &request.metric, &page).await?;
        Ok(Response::new(ListTrainingMetricsResponse { points, next_page_token }))
    }

    async fn complete_training_run(
        &self,
        request: Request<CompleteTrainingRunRequest>,
    ) -> Result<Response<TrainingRun>, Status> {
        self.carry_out(request).await
    }

    async fn fail_training_run(
        &self,
        request: Request<FailTrainingRunRequest>,
    ) -> Result<Response<TrainingRun>, Status> {
        self.carry_out(request).await
    }
}

#[async_trait]
impl Verb for CreateTrainingRunRequest {
    type Answer = TrainingRun;

    fn check(&self, fields: &mut Fields) {
        fields.id("training_run_id", &self.training_run_id);
        fields.message("training_run", self.training_run.as_ref(), check_run);
    }

    async fn decide(self, work: &mut Work) -> Result<TrainingRun, Error> {
        let given = self.training_run.unwrap_or_default();
        let run = TrainingRun {
            name: format!("trainingRuns/{}", self.training_run_id),
            state: State::Running.into(),
            metrics_logged: Vec::new(),
            points: 0,
            last_heartbeat_time: work.wire_now(),
            end_time: None,
            last_checkpoint_time: None,
            checkpoint_alarm: String::new(),
            failure: String::new(),
            owner: work.principal(),
            ..given
        };
        work.read::<Project>(&run.project).await?;
        if let Some(data) = &run.training_data {
            work.read::<DatasetVersion>(&data.dataset_version).await?;
        }
        work.contributes(&run.name, [run.owner.clone()]).await?;
        work.insert(run, "create").await
    }
}

/// Forms only: what is missing is told when the run is completed, with the clause that asks for it.
fn check_run(fields: &mut Fields, run: &TrainingRun) {
    fields.name("training_run.project", &run.project, Project::FORM);
    fields.choice::<Technique>("training_run.technique", run.technique);
    fields.text_map("training_run.technique_fields", run.technique_fields.iter());
    fields.text_map("training_run.hyperparameters", run.hyperparameters.iter());
    fields.optional_text("training_run.search_strategy", &run.search_strategy);
    fields.optional_text("training_run.experiment_tracker", &run.experiment_tracker);
    fields.optional_digest("training_run.code_digest", &run.code_digest);
    if let Some(data) = &run.training_data {
        fields.name(
            "training_run.training_data.dataset_version",
            &data.dataset_version,
            DatasetVersion::FORM,
        );
        fields.texts("training_run.training_data.splits", &data.splits);
        fields.optional_text("training_run.training_data.sampling", &data.sampling);
    }
    if let Some(compute) = &run.compute {
        check_compute(fields, "training_run.compute", compute);
    }
    if let Some(checkpoints) = &run.checkpointing {
        fields.optional_text("training_run.checkpointing.frequency", &checkpoints.frequency);
        fields.optional_text("training_run.checkpointing.location", &checkpoints.location);
        fields.optional_duration("training_run.checkpointing.interval", checkpoints.interval.as_ref());
    }
}

fn check_compute(fields: &mut Fields, field: &str, compute: &ComputeResources) {
    fields.optional_text(&format!("{field}.device_type"), &compute.device_type);
    fields.optional_duration(&format!("{field}.duration"), compute.duration.as_ref());
}

#[async_trait]
impl Verb for LogTrainingMetricsRequest {
    type Answer = TrainingRun;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, TrainingRun::FORM);
        fields.each("points", &self.points, |fields, at, point| {
            fields.text(&format!("{at}.metric"), &point.metric);
            fields.require(i64::try_from(point.step).is_ok(), &format!("{at}.step"), "is too large");
            // a diverged loss is a fact worth keeping: NaN and infinity are taken as what they are
            fields.optional_time(&format!("{at}.time"), point.time.as_ref());
        });
    }

    async fn decide(self, work: &mut Work) -> Result<TrainingRun, Error> {
        let seen = work.read::<TrainingRun>(&self.name).await?;
        running(&seen)?;
        metric_points::append(work.connection(), &self.name, seen.points, &self.points, work.now()).await?;
        let mut next = (*seen).clone();
        for point in &self.points {
            if !next.metrics_logged.contains(&point.metric) {
                next.metrics_logged.push(point.metric.clone());
            }
        }
        if SERIES < next.metrics_logged.len() {
            return Err(Error::field("points", format!("more than {SERIES} series in one run")));
        }
        next.points += self.points.len() as u64;
        next.last_heartbeat_time = work.wire_now();
        let policy = work.policy();
        let rows = policy.training.monitoring.iter();
        let series =
            rows.filter(|row| row.item == MonitoringItem::Checkpoints).map(|row| row.series.as_str());
        if series.clone().any(|series| self.points.iter().any(|point| point.metric.starts_with(series))) {
            next.last_checkpoint_time = work.wire_now();
            next.checkpoint_alarm.clear();
        }
        work.save(&seen, next, "log-metrics").await
    }
}

#[async_trait]
impl Verb for CompleteTrainingRunRequest {
    type Answer = TrainingRun;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, TrainingRun::FORM);
        if let Some(compute) = &self.compute {
            check_compute(fields, "compute", compute);
        }
    }

    async fn decide(self, work: &mut Work) -> Result<TrainingRun, Error> {
        let seen = work.open::<TrainingRun>(&self.name, &self.etag).await?;
        end_run(domain::state(&seen), true)?;
        let mut next = (*seen).clone();
        next.compute = merged(next.compute, self.compute);
        let missing = completeness(&domain::record(&next)?, &work.policy().training).missing;
        if !missing.is_empty() {
            return Err(Rejection::new("TRAINING_RUN_INCOMPLETE", self.name, missing).into());
        }
        next.set_state(State::Completed);
        next.end_time = work.wire_now();
        work.save(&seen, next, "complete").await
    }
}

/// What is set at the end replaces what was declared at the start.
fn merged(
    declared: Option<ComputeResources>,
    measured: Option<ComputeResources>,
) -> Option<ComputeResources> {
    let Some(measured) = measured else { return declared };
    let mut all = declared.unwrap_or_default();
    if !measured.device_type.is_empty() {
        all.device_type = measured.device_type;
    }
    if measured.device_count != 0 {
        all.device_count = measured.device_count;
    }
    if measured.duration.is_some() {
        all.duration = measured.duration;
    }
    Some(all)
}

#[async_trait]
impl Verb for FailTrainingRunRequest {
    type Answer = TrainingRun;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, TrainingRun::FORM);
        fields.text("failure", &self.failure);
    }

    async fn decide(self, work: &mut Work) -> Result<TrainingRun, Error> {
        let seen = work.open::<TrainingRun>(&self.name, &self.etag).await?;
        end_run(domain::state(&seen), false)?;
        let mut next = TrainingRun { failure: self.failure, end_time: work.wire_now(), ..(*seen).clone() };
        next.set_state(State::Failed);
        work.save(&seen, next, "fail").await
    }

    fn reason(&self) -> &str {
        &self.failure
    }
}

/// Raises the alarm of a run whose checkpoint is overdue (§6.2); called by the reaper for each running run. Raised once, until
/// a checkpoint comes.
///
/// # Errors
/// Of the database.
pub async fn watch_checkpoints(registry: &Registry, run: &Stored<TrainingRun>) -> Result<(), Error> {
    let policy = registry.policies().active().await?;
    let last = convert::optional_time(run.last_checkpoint_time.as_ref()).unwrap_or(run.record().create_time);
    let interval = domain::record(run)?.checkpoint_interval;
    let now = registry.clock().now();
    let found = checkpoint_overdue(domain::state(run), interval, last, now, &policy.training);
    let Some(finding) = found.filter(|_| run.checkpoint_alarm.is_empty()) else { return Ok(()) };
    let alarm = RaiseCheckpointAlarm { name: run.name.clone(), alarm: finding.to_string() };
    registry.act(&itself(), alarm).await.map(|_| ())
}

/// No call of the contract: only the registry's own task raises it.
#[derive(Clone, PartialEq, prost::Message)]
struct RaiseCheckpointAlarm {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    alarm: String,
}

impl Mutation for RaiseCheckpointAlarm {
    const METHOD: &'static str = "reap-training-runs";

    fn request_id(&self) -> &'static str {
        ""
    }

    fn digest(&self) -> Digest {
        Digest::of(&self.encode_to_vec())
    }
}

#[async_trait]
impl Verb for RaiseCheckpointAlarm {
    type Answer = TrainingRun;

    fn check(&self, _: &mut Fields) {}

    async fn decide(self, work: &mut Work) -> Result<TrainingRun, Error> {
        let seen = work.read::<TrainingRun>(&self.name).await?;
        if seen.state() != State::Running {
            return Ok(seen.into_inner()); // it ended meanwhile
        }
        let next = TrainingRun { checkpoint_alarm: self.alarm, ..(*seen).clone() };
        work.save(&seen, next, "checkpoint-overdue").await
    }
}

/// The registry as the one who acts.
fn itself() -> Caller {
    Caller { principal: "registry".into(), kind: Kind::Service, roles: vec!["registry".into()] }
}

/// Fails a run of which nothing was heard for too long; called by the reaper for each running run.
///
/// # Errors
/// STALE_ETAG if the run gave a sign of life meanwhile.
pub async fn reap(registry: &Registry, run: &Stored<TrainingRun>) -> Result<(), Error> {
    let policy = registry.policies().active().await?;
    let last = convert::time(run.last_heartbeat_time.as_ref());
    let now = registry.clock().now();
    let Some(finding) = lifecycle::training::reap(domain::state(run), last, now, &policy.training) else {
        return Ok(());
    };
    let fail = FailTrainingRunRequest {
        name: run.name.clone(),
        failure: finding.to_string(),
        etag: run.etag.clone(),
        request_id: String::new(),
    };
    registry.act(&itself(), fail).await.map(|_| ())
}

fn running(run: &Stored<TrainingRun>) -> Result<(), Rejection> {
    if run.state() == State::Running {
        return Ok(());
    }
    let finding = Finding::new("§6.2", "training run", "RUNNING", Resource::state(&**run));
    Err(Rejection::one("RUN_NOT_RUNNING", run.name.clone(), finding))
}
