//! COLLECT (§9.3): what users, logs and annotators say. A complaint opens an investigation (§8.3).

use contracts::monitor::v1::{
    CloseFindingRequest, CreateFindingRequest, DecideFindingRequest, Feedback, FeedbackFinding,
    GetFindingRequest, ListFeedbackRequest, ListFeedbackResponse, ListFindingsRequest, ListFindingsResponse,
    SubmitFeedbackRequest, feedback, feedback_service_server::FeedbackService,
};
use prost::Message as _;
use runtime::Caller;
use tonic::{Request, Response, Status};

use crate::monitor::{Call, Opened, digest};
use crate::parse::{Fields, deployment_name, form};
use crate::store::{self, Resource, insert};
use crate::tasks::watch_clocks;
use crate::{Error, Monitor};

#[tonic::async_trait]
impl FeedbackService for Monitor {
    async fn submit_feedback(
        &self,
        request: Request<SubmitFeedbackRequest>,
    ) -> Result<Response<Feedback>, Status> {
        let caller = Caller::of(&request)?;
        let stored = self.submit(caller, request.into_inner()).await?;
        if stored.kind() == feedback::Kind::Complaint {
            // The complaint is on record; where the registry cannot be reached, `watch-clocks` opens the incident.
            if let Err(error) = watch_clocks::report(self, &stored.name).await {
                tracing::warn!(feedback = %stored.name, %error, "no investigation was opened yet, will retry");
            }
        }
        Ok(Response::new(stored))
    }

    async fn list_feedback(
        &self,
        request: Request<ListFeedbackRequest>,
    ) -> Result<Response<ListFeedbackResponse>, Status> {
        let request = request.into_inner();
        let deployment = deployment_name(&request.deployment);
        let mut fields = Fields::default();
        fields.optional_name("deployment", &deployment, &[form::DEPLOYMENT]);
        let narrow = |query: storage::Query| {
            if deployment.is_empty() { query } else { query.parent(deployment.clone()) }
        };
        let (feedback, next_page_token) =
            self.page((request.page_size, &request.page_token), fields, narrow).await?;
        Ok(Response::new(ListFeedbackResponse { feedback, next_page_token }))
    }

    async fn create_finding(
        &self,
        request: Request<CreateFindingRequest>,
    ) -> Result<Response<FeedbackFinding>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.analyse(caller, request.into_inner()).await?))
    }

    async fn get_finding(
        &self,
        request: Request<GetFindingRequest>,
    ) -> Result<Response<FeedbackFinding>, Status> {
        let name = request.into_inner().name;
        let mut fields = Fields::default();
        fields.name("name", &name, &[FeedbackFinding::FORM]);
        fields.done()?;
        Ok(Response::new(store::get(self.records(), &name).await?))
    }

    async fn list_findings(
        &self,
        request: Request<ListFindingsRequest>,
    ) -> Result<Response<ListFindingsResponse>, Status> {
        let request = request.into_inner();
        let page = (request.page_size, request.page_token.as_str());
        let (findings, next_page_token) = self.page(page, Fields::default(), |query| query).await?;
        Ok(Response::new(ListFindingsResponse { findings, next_page_token }))
    }

    async fn decide_finding(
        &self,
        request: Request<DecideFindingRequest>,
    ) -> Result<Response<FeedbackFinding>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.decide(caller, request.into_inner()).await?))
    }

    async fn close_finding(
        &self,
        request: Request<CloseFindingRequest>,
    ) -> Result<Response<FeedbackFinding>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.close(caller, request.into_inner()).await?))
    }
}

impl Monitor {
    async fn submit(&self, caller: Caller, mut request: SubmitFeedbackRequest) -> Result<Feedback, Error> {
        let request_id = std::mem::take(&mut request.request_id);
        let whole = digest(&request);
        let mut feedback = request.feedback.unwrap_or_default();
        feedback.deployment = deployment_name(&feedback.deployment);
        let mut fields = Fields::default();
        fields.optional_token("request_id", &request_id);
        fields.name("feedback.deployment", &feedback.deployment, &[form::DEPLOYMENT]);
        fields.optional_name("feedback.version", &feedback.version, &[form::VERSION]);
        fields.optional_token("feedback.inference_id", &feedback.inference_id);
        fields.choice::<feedback::Kind>("feedback.kind", feedback.kind);
        fields.optional_text("feedback.text", &feedback.text);
        fields.optional_share("feedback.satisfaction", feedback.satisfaction);
        let says = !feedback.text.trim().is_empty() || feedback.satisfaction.is_some();
        fields.require(says, "feedback.text", "required, or satisfaction");
        fields.done()?;
        feedback.name = format!("feedback/{}", uuid::Uuid::now_v7());
        feedback.submitted_by.clone_from(&caller.principal);
        let call = Call {
            caller,
            method: "/wlp.monitor.v1.FeedbackService/SubmitFeedback",
            request_id,
            digest: whole,
            reason: String::new(),
        };
        let mut unit = match self.open::<Feedback>(call).await? {
            Opened::Replayed(answer) => return Ok(answer),
            Opened::New(unit) => unit,
        };
        let answer = insert(&mut unit, &feedback, "submit").await?;
        unit.commit(&answer.encode_to_vec()).await?;
        Ok(answer)
    }
}
