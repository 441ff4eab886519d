//! Observations of gateways, gauges of hosts, and the windows that come of them.

use contracts::monitor::v1::{
    ListCallersRequest, ListCallersResponse, ListWindowsRequest, ListWindowsResponse, ReportLabelsRequest,
    ReportLabelsResponse, ReportObservationsRequest, ReportObservationsResponse, ReportResourcesRequest,
    ReportResourcesResponse, VersionObservation, Window, observation_service_server::ObservationService,
};
use runtime::Caller;
use std::time::SystemTime;
use tonic::{Request, Response, Status};

use crate::monitor::digest;
use crate::parse::{Fields, deployment_name, form};
use crate::store::{hosts, windows as rows};
use crate::tasks::prune_windows::profiles_kept;
use crate::windows::{self, floor};
use crate::{Error, Monitor, convert};

#[tonic::async_trait]
impl ObservationService for Monitor {
    async fn report_observations(
        &self,
        request: Request<ReportObservationsRequest>,
    ) -> Result<Response<ReportObservationsResponse>, Status> {
        Ok(Response::new(self.take(request.into_inner()).await?))
    }

    async fn report_labels(
        &self,
        request: Request<ReportLabelsRequest>,
    ) -> Result<Response<ReportLabelsResponse>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.take_labels(&caller, request.into_inner()).await?))
    }

    async fn report_resources(
        &self,
        request: Request<ReportResourcesRequest>,
    ) -> Result<Response<ReportResourcesResponse>, Status> {
        Ok(Response::new(self.take_resources(request.into_inner()).await?))
    }

    async fn list_windows(
        &self,
        request: Request<ListWindowsRequest>,
    ) -> Result<Response<ListWindowsResponse>, Status> {
        Ok(Response::new(self.windows_of(request.into_inner()).await?))
    }

    async fn list_callers(
        &self,
        request: Request<ListCallersRequest>,
    ) -> Result<Response<ListCallersResponse>, Status> {
        Ok(Response::new(self.callers_of(request.into_inner()).await?))
    }
}

impl Monitor {
    async fn take(
        &self,
        mut request: ReportObservationsRequest,
    ) -> Result<ReportObservationsResponse, Error> {
        let whole = digest(&request);
        for one in &mut request.observations {
            one.deployment = deployment_name(&one.deployment);
        }
        let mut fields = Fields::default();
        fields.token("gateway", &request.gateway);
        fields.token("batch_id", &request.batch_id);
        fields.each("observations", &request.observations, |fields, at, one| self.check(fields, at, one));
        fields.each("samples", &request.samples, |fields, at, one| {
            fields.token(&format!("{at}.request_id"), &one.request_id);
            self.timely(fields, &format!("{at}.time"), one.time.as_ref());
            fields.require(one.predictions.len() <= crate::parse::LIST_ITEMS, at, "too many predictions");
        });
        fields.done()?;
        let (now, policy) = (self.now(), self.policy());
        let newest = request.observations.iter().map(|one| convert::time(one.start_time.as_ref())).max();
        let how = rows::Counting { length: self.window(), policy: &policy, now };
        let batch = (request.gateway.as_str(), request.batch_id.as_str(), whole);
        let counted = rows::take(self.db(), batch, request.observations, &request.samples, how).await?;
        let metrics = self.metrics();
        if counted {
            metrics.batches.inc()
        } else {
            metrics.duplicates.inc()
        };
        if let Some(newest) = newest {
            metrics.lag.set(now.duration_since(newest).unwrap_or_default().as_secs_f64());
        }
        Ok(ReportObservationsResponse { duplicate: !counted })
    }

    /// Every second of a batch is looked at before any is counted.
    fn check(&self, fields: &mut Fields, at: &str, one: &VersionObservation) {
        fields.name(&format!("{at}.deployment"), &one.deployment, &[form::DEPLOYMENT]);
        fields.name(&format!("{at}.version"), &one.version, &[form::VERSION]);
        self.timely(fields, &format!("{at}.start_time"), one.start_time.as_ref());
        let faults = one
            .model_faults
            .checked_add(one.client_faults)
            .and_then(|sum| sum.checked_add(one.server_faults));
        let sane = faults.is_some_and(|faults| faults <= one.requests) && one.requests < 1 << 53;
        fields.require(sane, &format!("{at}.requests"), "must be at least the sum of the faults");
        if let Some(sketch) = &one.latency {
            let ours = sketch.relative_accuracy.to_bits() == statistics::latency::DEFAULT_ACCURACY.to_bits();
            fields.require(
                ours,
                &format!("{at}.latency.relative_accuracy"),
                "must be 0.01, or sketches do not merge",
            );
            if let Err(error) = convert::sketch::from_wire(sketch) {
                fields.bad(&format!("{at}.latency"), error.to_string());
            }
        }
        fields.each(&format!("{at}.features"), &one.features, profile);
        if let Some(predictions) = &one.predictions {
            profile(fields, &format!("{at}.predictions"), predictions);
        }
        fields.each(&format!("{at}.groups"), &one.groups, |fields, at, group| {
            fields.optional_text(at, &group.group);
            fields.require(group.favourable <= group.rows, at, "more favourable rows than rows");
        });
        fields.each(&format!("{at}.callers"), &one.callers, |fields, at, caller| {
            fields.optional_text(at, &caller.principal);
        });
    }

    /// Neither from the future nor older than windows are kept.
    pub(crate) fn timely(&self, fields: &mut Fields, field: &str, time: Option<&prost_types::Timestamp>) {
        let (now, oldest) = (self.now(), profiles_kept(self));
        match time.and_then(contracts::time::from_wire) {
            None => fields.bad(field, "required: a time between 1970 and 9999"),
            Some(time) if time > now + self.skew() => {
                fields.bad(field, "lies in the future of this service's clock");
            }
            Some(time) if time < now.checked_sub(oldest).unwrap_or(SystemTime::UNIX_EPOCH) => {
                fields.bad(field, format!("is older than {} days", oldest.as_secs() / 86_400));
            }
            Some(_) => {}
        }
    }

    async fn take_resources(
        &self,
        mut request: ReportResourcesRequest,
    ) -> Result<ReportResourcesResponse, Error> {
        let request_id = std::mem::take(&mut request.request_id);
        let whole = digest(&request);
        request.deployment = deployment_name(&request.deployment);
        let now = self.now();
        let time = request.time.get_or_insert_with(|| contracts::time::to_wire(now));
        let at = convert::time(Some(&*time));
        let mut fields = Fields::default();
        fields.token("host", &request.host);
        fields.optional_token("request_id", &request_id);
        fields.optional_name("deployment", &request.deployment, &[form::DEPLOYMENT]);
        fields.optional_share("gpu_utilisation", request.gpu_utilisation);
        fields.optional_share("memory_utilisation", request.memory_utilisation);
        fields.require(request.oom_events < 1 << 53, "oom_events", "is no count");
        let total = request.oom_events_total.unwrap_or_default();
        fields.require(total < 1 << 53, "oom_events_total", "is no count");
        self.timely(&mut fields, "time", request.time.as_ref());
        fields.done()?;
        hosts::add(self.db(), (floor(at, self.window()), now), (&request_id, whole), &request).await?;
        Ok(ReportResourcesResponse {})
    }

    async fn windows_of(&self, request: ListWindowsRequest) -> Result<ListWindowsResponse, Error> {
        let deployment = deployment_name(&request.deployment);
        let mut fields = Fields::default();
        fields.name("deployment", &deployment, &[form::DEPLOYMENT]);
        fields.optional_name("version", &request.version, &[form::VERSION]);
        fields.optional_time("after_time", request.after_time.as_ref());
        let page = fields.page(request.page_size, "");
        fields.done()?;
        let after = request.after_time.as_ref().and_then(contracts::time::from_wire);
        let connection = self.db().connection();
        let seen = rows::list(connection, &deployment, &request.version, after, page.size.into()).await?;
        Ok(ListWindowsResponse { windows: seen.iter().map(shown).collect() })
    }
}

fn shown(window: &windows::Window) -> Window {
    let (seen, quantile) = (&window.seen, |at| windows::latency(&window.seen, at).unwrap_or(f64::NAN));
    Window {
        deployment: window.scope.deployment.clone(),
        version: window.scope.version.clone(),
        start_time: convert::wire_time(window.start),
        end_time: convert::wire_time(window.end()),
        requests: seen.requests,
        model_faults: seen.model_faults,
        client_faults: seen.client_faults,
        error_rate: windows::error_rate(seen).unwrap_or(f64::NAN),
        latency_p50_ms: quantile(0.5),
        latency_p95_ms: quantile(0.95),
        latency_p99_ms: quantile(0.99),
        canary: seen.canary,
    }
}

/// A histogram must be one: as many counts as bins, edges that ascend.
fn profile(fields: &mut Fields, at: &str, one: &contracts::common::v1::ColumnProfile) {
    use contracts::common::v1::column_profile::Distribution;
    fields.text(&format!("{at}.column"), &one.column);
    let good = match &one.distribution {
        Some(Distribution::Numeric(histogram)) => {
            statistics::histogram::Histogram::from_counts(&histogram.edges, &histogram.counts, one.missing)
                .is_ok()
        }
        Some(Distribution::Categorical(counts)) => {
            counts.values.len() == counts.counts.len() && counts.values.len() <= crate::parse::LIST_ITEMS
        }
        None => false,
    };
    fields.require(
        good,
        at,
        "is no histogram: one count for each bin and ascending edges, or one for each value",
    );
}
