//! Gets what features and predictions are counted against: once per version, kept on disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use contracts::registry::v1::{
    DatasetVersion, Evaluation, GetDatasetVersionRequest, GetModelVersionRequest, ListEvaluationsRequest,
    ModelVersion,
};
use runtime::Tasks;
use tonic::{Code, Status};

use crate::backends::Backend;
use crate::gateway::Gateway;
use crate::observe::Reference;

/// How often versions without a reference are looked for, real time.
const PERIOD: Duration = Duration::from_millis(500);

/// Fetches until the stop.
pub(super) fn start(tasks: &Tasks, gateway: &Gateway) {
    let gateway = gateway.clone();
    tasks.spawn("fetch-references", move |stop| {
        let gateway = gateway.clone();
        async move {
            loop {
                let turn = async {
                    tokio::time::sleep(PERIOD).await;
                    gateway.fetch_references().await
                };
                tokio::select! { () = stop.cancelled() => return Ok::<_, Status>(()), done = turn => done? }
            }
        }
    });
}

impl Gateway {
    async fn fetch_references(&self) -> Result<(), Status> {
        let mut missing: HashMap<String, Vec<Arc<Backend>>> = HashMap::new();
        for endpoint in self.live().endpoints.values().filter(|endpoint| !endpoint.staging) {
            for target in
                endpoint.targets.iter().filter(|target| target.backend.observer.reference().is_none())
            {
                missing.entry(target.backend.version.clone()).or_default().push(target.backend.clone());
            }
        }
        for backends in missing.into_values() {
            let Some(first) = backends.first() else { continue };
            let reference = Arc::new(self.reference_of(first).await?);
            tracing::info!(version = %first.version, columns = reference.columns().len(), "reference at hand");
            for backend in &backends {
                backend.observer.refer_to(reference.clone());
            }
        }
        Ok(())
    }

    async fn reference_of(&self, backend: &Backend) -> Result<Reference, Status> {
        let model = match self.files().reference::<ModelVersion>(&backend.version) {
            Some(model) => model,
            None => self.fetch_model(&backend.version).await?,
        };
        let dataset = match backend.dataset_version.as_str() {
            "" => None,
            name => match self.files().reference::<DatasetVersion>(name) {
                Some(dataset) => Some(dataset),
                None => self.fetch_dataset(name).await?,
            },
        };
        let evaluation = match self.files().reference::<Evaluation>(&evaluations_of(&backend.version)) {
            Some(evaluation) => evaluation,
            None => self.fetch_evaluation(&backend.version).await?,
        };
        Ok(Reference::new(backend.model_signature(), &model, dataset.as_ref(), &evaluation))
    }

    async fn fetch_model(&self, name: &str) -> Result<ModelVersion, Status> {
        let request = GetModelVersionRequest { name: name.to_owned() };
        match self.clients().models.clone().get_model_version(request).await {
            Ok(model) => {
                let model = model.into_inner();
                self.keep(name, &model).await;
                Ok(model)
            }
            Err(status) if matches!(status.code(), Code::NotFound | Code::Unimplemented) => {
                Ok(ModelVersion::default())
            }
            Err(status) => Err(status),
        }
    }

    async fn fetch_dataset(&self, name: &str) -> Result<Option<DatasetVersion>, Status> {
        let request = GetDatasetVersionRequest { name: name.to_owned() };
        match self.clients().datasets.clone().get_dataset_version(request).await {
            Ok(dataset) => {
                let dataset = dataset.into_inner();
                self.keep(name, &dataset).await;
                Ok(Some(dataset))
            }
            Err(status) if matches!(status.code(), Code::NotFound | Code::Unimplemented) => {
                tracing::warn!(dataset = name, %status, "no reference for features");
                Ok(None)
            }
            Err(status) => Err(status),
        }
    }

    /// The newest evaluation: it says which columns make groups and which outcomes are favourable.
    async fn fetch_evaluation(&self, version: &str) -> Result<Evaluation, Status> {
        let mut request = ListEvaluationsRequest { parent: version.to_owned(), ..Default::default() };
        let mut newest: Option<Evaluation> = None;
        let time = |of: &Evaluation| of.create_time.as_ref().map(|time| (time.seconds, time.nanos));
        loop {
            let page = match self.clients().evaluations.clone().list_evaluations(request.clone()).await {
                Ok(page) => page.into_inner(),
                Err(status) if matches!(status.code(), Code::NotFound | Code::Unimplemented) => {
                    return Ok(Evaluation::default());
                }
                Err(status) => return Err(status),
            };
            newest = page.evaluations.into_iter().chain(newest).max_by_key(time);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        let Some(newest) = newest else { return Ok(Evaluation::default()) };
        self.keep(&evaluations_of(version), &newest).await;
        Ok(newest)
    }

    async fn keep<M: prost::Message>(&self, name: &str, message: &M) {
        if let Err(error) = self.files().keep_reference(name, message).await {
            tracing::warn!(%error, name, "a reference cannot be kept on disk");
        }
    }
}

/// Name that a version's newest evaluation is kept under.
fn evaluations_of(version: &str) -> String {
    format!("{version}/evaluations")
}
