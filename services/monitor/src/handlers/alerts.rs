//! Alerts: read and acknowledged here, opened and closed by `raise-alerts` and `assess-drift`.

use contracts::monitor::v1::{
    AcknowledgeAlertRequest, Alert, GetAlertRequest, ListAlertsRequest, ListAlertsResponse,
    alert_service_server::AlertService,
};
use prost::Message as _;
use runtime::Caller;
use tonic::{Request, Response, Status};

use crate::convert::alert::{life, set_life};
use crate::monitor::{Call, Opened, digest};
use crate::parse::{Fields, deployment_name, form};
use crate::store::{self, Resource, open, save};
use crate::{Error, Monitor};

#[tonic::async_trait]
impl AlertService for Monitor {
    async fn get_alert(&self, request: Request<GetAlertRequest>) -> Result<Response<Alert>, Status> {
        let name = request.into_inner().name;
        let mut fields = Fields::default();
        fields.name("name", &name, &[Alert::FORM]);
        fields.done()?;
        Ok(Response::new(store::get(self.records(), &name).await?))
    }

    async fn list_alerts(
        &self,
        request: Request<ListAlertsRequest>,
    ) -> Result<Response<ListAlertsResponse>, Status> {
        let request = request.into_inner();
        let deployment = deployment_name(&request.deployment);
        let mut fields = Fields::default();
        fields.optional_name("deployment", &deployment, &[form::DEPLOYMENT]);
        let narrow = |mut query: storage::Query| {
            if !deployment.is_empty() {
                query = query.parent(deployment.clone());
            }
            if request.open_only { query.state("OPEN").state("ACKNOWLEDGED") } else { query }
        };
        let (alerts, next_page_token) =
            self.page((request.page_size, &request.page_token), fields, narrow).await?;
        Ok(Response::new(ListAlertsResponse { alerts, next_page_token }))
    }

    async fn acknowledge_alert(
        &self,
        request: Request<AcknowledgeAlertRequest>,
    ) -> Result<Response<Alert>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.acknowledge(caller, request.into_inner()).await?))
    }
}

impl Monitor {
    async fn acknowledge(
        &self,
        caller: Caller,
        mut request: AcknowledgeAlertRequest,
    ) -> Result<Alert, Error> {
        let request_id = std::mem::take(&mut request.request_id);
        let mut fields = Fields::default();
        fields.optional_token("request_id", &request_id);
        fields.name("name", &request.name, &[Alert::FORM]);
        fields.optional_text("note", &request.note);
        fields.done()?;
        let by = caller.principal.clone();
        let call = Call {
            caller,
            method: "/wlp.monitor.v1.AlertService/AcknowledgeAlert",
            request_id,
            digest: digest(&request),
            reason: request.note.clone(),
        };
        let mut unit = match self.open::<Alert>(call).await? {
            Opened::Replayed(answer) => return Ok(answer),
            Opened::New(unit) => unit,
        };
        let seen = open::<Alert>(&unit, &request.name, &request.etag).await?;
        let mut next = (*seen).clone();
        set_life(&mut next, &life(&seen).acknowledge(&by, self.now())?);
        let answer = save(&mut unit, &seen, &next, "acknowledge").await?;
        unit.commit(&answer.encode_to_vec()).await?;
        Ok(answer)
    }
}
