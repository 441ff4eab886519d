//! Data sources and their approval by kind (§5.1).

use async_trait::async_trait;
use contracts::registry::v1::{data_source_service_server::DataSourceService, *};
use lifecycle::source::{approve_source, fully_approved};
use lifecycle::{Finding, Rejection, Role};
use tonic::{Request, Response, Status};

use crate::convert::{self, data_source::source};
use crate::store::{Resource, Stored};
use crate::work::{Verb, Work};
use crate::{Error, Registry, parse::Fields};

#[tonic::async_trait]
impl DataSourceService for Registry {
    async fn create_data_source(
        &self,
        request: Request<CreateDataSourceRequest>,
    ) -> Result<Response<DataSource>, Status> {
        self.carry_out(request).await
    }

    async fn get_data_source(
        &self,
        request: Request<GetDataSourceRequest>,
    ) -> Result<Response<DataSource>, Status> {
        self.get(&request.into_inner().name).await
    }

    async fn list_data_sources(
        &self,
        request: Request<ListDataSourcesRequest>,
    ) -> Result<Response<ListDataSourcesResponse>, Status> {
        let ListDataSourcesRequest { page_size, page_token } = request.into_inner();
        let (data_sources, next_page_token) =
            self.page(page_size, &page_token, Fields::default(), |query| query).await?;
        Ok(Response::new(ListDataSourcesResponse { data_sources, next_page_token }))
    }

    async fn approve_data_source(
        &self,
        request: Request<ApproveDataSourceRequest>,
    ) -> Result<Response<DataSource>, Status> {
        self.carry_out(request).await
    }

    async fn revoke_data_source(
        &self,
        request: Request<RevokeDataSourceRequest>,
    ) -> Result<Response<DataSource>, Status> {
        self.carry_out(request).await
    }

    async fn confirm_data_source_current(
        &self,
        request: Request<ConfirmDataSourceCurrentRequest>,
    ) -> Result<Response<DataSource>, Status> {
        self.carry_out(request).await
    }
}

#[async_trait]
impl Verb for CreateDataSourceRequest {
    type Answer = DataSource;

    fn check(&self, fields: &mut Fields) {
        fields.id("data_source_id", &self.data_source_id);
        fields.message("data_source", self.data_source.as_ref(), |fields, source| {
            fields.text("data_source.display_name", &source.display_name);
            fields.choice::<SourceKind>("data_source.kind", source.kind);
            fields.optional_text("data_source.description", &source.description);
            fields.text("data_source.origin", &source.origin);
            fields.optional_text("data_source.license", &source.license);
            fields.optional_text("data_source.contract", &source.contract);
            fields.optional_time("data_source.contract_expire_time", source.contract_expire_time.as_ref());
            fields.text_map("data_source.considerations", source.considerations.iter());
        });
    }

    async fn decide(self, work: &mut Work) -> Result<DataSource, Error> {
        let given = self.data_source.unwrap_or_default();
        let source = DataSource {
            name: format!("dataSources/{}", self.data_source_id),
            state: data_source::State::Proposed.into(),
            approvals: Vec::new(),
            confirmed_current_time: None,
            confirmed_current_by: String::new(),
            confirmed_current_role: String::new(),
            owner: work.principal(),
            ..given
        };
        work.contributes(&source.name, [source.owner.clone()]).await?;
        work.insert(source, "create").await
    }
}

#[async_trait]
impl Verb for ApproveDataSourceRequest {
    type Answer = DataSource;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, DataSource::FORM);
        fields.require(self.role.parse::<Role>().is_ok(), "role", "is no role");
        fields.optional_text("note", &self.note);
    }

    async fn decide(self, work: &mut Work) -> Result<DataSource, Error> {
        let seen = work.open::<DataSource>(&self.name, &self.etag).await?;
        not_revoked(&seen)?;
        let role: Role = self.role.parse().map_err(|_| Error::field("role", "is no role"))?;
        let approval = work.approval(&[role])?;
        let policy = work.policy();
        let mut domain = source(&seen)?;
        approve_source(&domain, &approval, &policy.sources)?;
        work.approves(&self.name, "source", &approval).await?;
        domain.approvals.push(approval);
        let mut next = (*seen).clone();
        next.approvals.push(SourceApproval {
            role: self.role,
            principal: work.principal(),
            time: work.wire_now(),
            note: self.note,
        });
        if fully_approved(&domain, &policy.sources) {
            next.set_state(data_source::State::Approved);
        }
        work.save(&seen, next, "approve").await
    }

    fn reason(&self) -> &str {
        &self.note
    }
}

#[async_trait]
impl Verb for RevokeDataSourceRequest {
    type Answer = DataSource;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, DataSource::FORM);
        fields.text("reason", &self.reason);
    }

    async fn decide(self, work: &mut Work) -> Result<DataSource, Error> {
        let seen = work.open::<DataSource>(&self.name, &self.etag).await?;
        not_revoked(&seen)?;
        let mut next = (*seen).clone();
        next.set_state(data_source::State::Revoked);
        work.save(&seen, next, "revoke").await
    }

    fn reason(&self) -> &str {
        &self.reason
    }
}

#[async_trait]
impl Verb for ConfirmDataSourceCurrentRequest {
    type Answer = DataSource;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, DataSource::FORM);
        fields.time("current_time", self.current_time.as_ref());
    }

    async fn decide(self, work: &mut Work) -> Result<DataSource, Error> {
        let seen = work.open::<DataSource>(&self.name, &self.etag).await?;
        not_revoked(&seen)?;
        if work.now() < convert::time(self.current_time.as_ref()) {
            return Err(Error::field("current_time", "must not lie in the future"));
        }
        let policy = work.policy();
        let confirmers = &policy.quality.currency_confirmers;
        let by = work.approval_under(&confirmers.clause, &confirmers.value)?;
        let next = DataSource {
            confirmed_current_time: self.current_time,
            confirmed_current_by: by.principal,
            confirmed_current_role: by.role.to_string(),
            ..(*seen).clone()
        };
        work.save(&seen, next, "confirm-current").await
    }
}

/// A revoked source stays revoked.
fn not_revoked(source: &Stored<DataSource>) -> Result<(), Rejection> {
    if source.state() == data_source::State::Revoked {
        let finding = Finding::new("§5.1", "data source", "in force", "revoked");
        return Err(Rejection::one("SOURCE_REVOKED", source.name.clone(), finding));
    }
    Ok(())
}
