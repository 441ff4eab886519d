//! Reviews by people: ethics (§7.4) and quality assurance (G3).

use async_trait::async_trait;
use contracts::common::v1::ChecklistItem;
use contracts::registry::v1::{review::State, review_service_server::ReviewService, *};
use lifecycle::ethics::{self, EthicsItem, ItemRecord};
use lifecycle::separation::{Action, authorize};
use lifecycle::version_state::State as VersionState;
use lifecycle::{Finding, Findings, Rejection, Role};
use tonic::{Request, Response, Status};

use crate::convert::{model, review as domain, word};
use crate::store::{Read, Resource, Stored};
use crate::work::{Verb, Work};
use crate::{Error, Registry, parse::Fields};

#[tonic::async_trait]
impl ReviewService for Registry {
    async fn create_review(&self, request: Request<CreateReviewRequest>) -> Result<Response<Review>, Status> {
        self.carry_out(request).await
    }

    async fn get_review(&self, request: Request<GetReviewRequest>) -> Result<Response<Review>, Status> {
        self.get(&request.into_inner().name).await
    }

    async fn list_reviews(
        &self,
        request: Request<ListReviewsRequest>,
    ) -> Result<Response<ListReviewsResponse>, Status> {
        let ListReviewsRequest { parent, page_size, page_token } = request.into_inner();
        let (reviews, next_page_token) =
            self.page_below((&parent, ModelVersion::FORM), page_size, &page_token).await?;
        Ok(Response::new(ListReviewsResponse { reviews, next_page_token }))
    }

    async fn record_review_item(
        &self,
        request: Request<RecordReviewItemRequest>,
    ) -> Result<Response<Review>, Status> {
        self.carry_out(request).await
    }

    async fn approve_review(
        &self,
        request: Request<ApproveReviewRequest>,
    ) -> Result<Response<Review>, Status> {
        self.carry_out(request).await
    }

    async fn reject_review(&self, request: Request<RejectReviewRequest>) -> Result<Response<Review>, Status> {
        self.carry_out(request).await
    }
}

#[async_trait]
impl Verb for CreateReviewRequest {
    type Answer = Review;

    fn check(&self, fields: &mut Fields) {
        fields.name("parent", &self.parent, ModelVersion::FORM);
        fields.id("review_id", &self.review_id);
        fields.choice::<ReviewKind>("kind", self.kind);
    }

    async fn decide(self, work: &mut Work) -> Result<Review, Error> {
        let version = work.read::<ModelVersion>(&self.parent).await?;
        model::state(&version).require(VersionState::may_be_judged, &version.name)?;
        let evaluation = newest_evaluation(work, &version).await?;
        let policy = work.policy();
        let items = match self.kind() {
            ReviewKind::Ethics => {
                policy.ethics.items.iter().map(|row| open_item(row.item.as_str())).collect()
            }
            ReviewKind::Qa | ReviewKind::Unspecified => Vec::new(),
        };
        let review = Review {
            name: format!("{}/reviews/{}", version.name, self.review_id),
            kind: self.kind,
            state: State::Open.into(),
            items,
            intended_use: version.intended_use.clone(),
            artifact_digest: version.artifact_digest.clone(),
            evaluation: evaluation.map(|one| one.name.clone()).unwrap_or_default(),
            policy_digest: policy.digest().to_owned(),
            ..Review::default()
        };
        if review.evaluation.is_empty() {
            let finding = Finding::new(
                "§7.4, §8.1 G3",
                "evaluation of this artifact",
                "recorded before a review",
                "missing",
            );
            return Err(Rejection::one("EVALUATION_MISSING", review.name, finding).into());
        }
        work.insert(review, "create").await
    }
}

/// The newest evaluation of a version's own artifact on data that is fit: what was measured on unfit data is never evidence
/// (reading 13).
pub async fn newest_evaluation(
    work: &Work,
    version: &Stored<ModelVersion>,
) -> Result<Option<Stored<Evaluation>>, Error> {
    let mut own = work.children::<Evaluation>(&version.name).await?;
    own.retain(|one| one.artifact_digest == version.artifact_digest);
    own.sort_by_key(|one| (one.record().create_time, one.name.clone()));
    while let Some(newest) = own.pop() {
        let data = work.read::<DatasetVersion>(&newest.dataset_version).await?;
        if data.state() == dataset_version::State::Ready {
            return Ok(Some(newest));
        }
    }
    Ok(None)
}

fn open_item(item: &str) -> ChecklistItem {
    ChecklistItem { item: item.to_owned(), ..ChecklistItem::default() }
}

#[async_trait]
impl Verb for RecordReviewItemRequest {
    type Answer = Review;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Review::FORM);
        fields.require(self.item.parse::<EthicsItem>().is_ok(), "item", "is none of the five items of §7.4");
        fields.digest("evidence_digest", &self.evidence_digest);
        fields.optional_text("note", &self.note);
    }

    async fn decide(self, work: &mut Work) -> Result<Review, Error> {
        let seen = work.open::<Review>(&self.name, &self.etag).await?;
        if seen.kind() != ReviewKind::Ethics {
            return Err(Error::field("item", "a QA review has no items"));
        }
        still_open(&seen)?;
        let item: EthicsItem = word("item", &self.item)?;
        let policy = work.policy();
        let roles = policy.ethics.items.iter().find(|row| row.item == item).map(|row| row.assessors.clone());
        let assessor = work.approval(&roles.unwrap_or_default())?;
        let version = contracts::name::parent(&seen.name).to_owned();
        let review = domain::ethics(&seen, work.contributors(&version).await?)?;
        let record = ItemRecord { item, evidence_digest: self.evidence_digest, assessor };
        authorize(Action::AssessEthics, &record.assessor, &review.contributors, &policy.people)?;
        ethics::record_item(&review, &record, &policy.ethics)?;
        work.approves(&version, &matter(&seen, item.as_str()), &record.assessor).await?;
        let mut next = (*seen).clone();
        next.items.retain(|one| one.item.parse() != Ok(item));
        next.items.push(ChecklistItem {
            item: item.to_string(),
            done: true,
            failed: false,
            principal: record.assessor.principal,
            role: record.assessor.role.to_string(),
            time: work.wire_now(),
            evidence_digest: record.evidence_digest,
            note: self.note,
        });
        // the order of the list is the policy's, whoever was first
        let place =
            |item: &ChecklistItem| policy.ethics.items.iter().position(|row| item.item == row.item.as_str());
        next.items.sort_by_key(place);
        work.save(&seen, next, "record-item").await
    }

    fn reason(&self) -> &str {
        &self.note
    }
}

#[async_trait]
impl Verb for ApproveReviewRequest {
    type Answer = Review;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Review::FORM);
        fields.require(self.role.parse::<Role>().is_ok(), "role", "is no role");
        fields.optional_text("note", &self.note);
    }

    async fn decide(self, work: &mut Work) -> Result<Review, Error> {
        let seen = work.open::<Review>(&self.name, &self.etag).await?;
        still_open(&seen)?;
        let role: Role = self.role.parse().map_err(|_| Error::field("role", "is no role"))?;
        let approval = work.approval(&[role])?;
        let version = work.read::<ModelVersion>(contracts::name::parent(&seen.name)).await?;
        let contributors = work.contributors(&version.name).await?;
        let policy = work.policy();
        let mut next = (*seen).clone();
        next.approvals.push(ReviewApproval {
            role: approval.role.to_string(),
            principal: approval.principal.clone(),
            time: work.wire_now(),
            note: self.note,
        });
        let approved = match seen.kind() {
            ReviewKind::Ethics => {
                ethics::vote(&domain::ethics(&seen, contributors.clone())?, &approval, &policy.ethics)?;
                ethics::missing(&domain::ethics(&next, contributors)?, &policy.ethics).is_empty()
            }
            ReviewKind::Qa | ReviewKind::Unspecified => {
                let roles = &policy.gates.g3_approvers;
                let mut found = Findings::new();
                approval.check(&mut found, &roles.clause, "QA", &roles.value, &contributors);
                found.into_result("QA_APPROVAL_REFUSED", self.name.clone())?;
                true
            }
        };
        let ethics = seen.kind() == ReviewKind::Ethics;
        let action = if ethics { Action::ApproveEthics } else { Action::ApproveQuality };
        authorize(action, &approval, &work.contributors(&version.name).await?, &policy.people)?;
        work.approves(&version.name, &matter(&seen, "approval"), &approval).await?;
        if approved {
            next.set_state(State::Approved);
        }
        work.save(&seen, next, "approve").await
    }
}

#[async_trait]
impl Verb for RejectReviewRequest {
    type Answer = Review;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, Review::FORM);
        fields.text("reason", &self.reason);
    }

    async fn decide(self, work: &mut Work) -> Result<Review, Error> {
        let seen = work.open::<Review>(&self.name, &self.etag).await?;
        still_open(&seen)?;
        let policy = work.policy();
        let roles = match seen.kind() {
            ReviewKind::Ethics => {
                let assessors = policy.ethics.items.iter().flat_map(|row| row.assessors.iter().copied());
                std::iter::once(policy.ethics.board.value).chain(assessors).collect()
            }
            ReviewKind::Qa | ReviewKind::Unspecified => policy.gates.g3_approvers.value.clone(),
        };
        let by = work.approval(&roles)?;
        let mut next = Review { reject_reason: self.reason, rejected_by: by.principal, ..(*seen).clone() };
        next.set_state(State::Rejected);
        work.save(&seen, next, "reject").await
    }

    fn reason(&self) -> &str {
        &self.reason
    }
}

/// The matter under which the database keeps an approval: one review, one thing.
fn matter(review: &Stored<Review>, what: &str) -> String {
    format!("reviews/{}/{what}", contracts::name::last(&review.name))
}

fn still_open(review: &Stored<Review>) -> Result<(), Rejection> {
    if review.state() == State::Open {
        return Ok(());
    }
    let finding = Finding::new("§7.4, §8.1 G3", "review", "OPEN", Resource::state(&**review));
    Err(Rejection::one("REVIEW_CLOSED", review.name.clone(), finding))
}
