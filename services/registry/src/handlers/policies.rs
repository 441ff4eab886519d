//! The procedure as data: versions with three signatures (approval block), and training records of people.

use async_trait::async_trait;
use contracts::common::v1::Verdict;
use contracts::registry::v1::{policy_service_server::PolicyService, policy_version::State, *};
use lifecycle::approval::Approval;
use lifecycle::policy_change::{self as domain, Signature};
use lifecycle::role::unlisted_roles;
use lifecycle::{Policy, Role};
use tonic::{Request, Response, Status};

use crate::convert::{self, time};
use crate::store::{Read, Resource, Stored, policies::policy_name};
use crate::work::{Verb, Work};
use crate::{Error, Registry, parse::Fields};

#[tonic::async_trait]
impl PolicyService for Registry {
    async fn get_policy(
        &self,
        request: Request<GetPolicyRequest>,
    ) -> Result<Response<PolicyVersion>, Status> {
        let GetPolicyRequest { name, digest } = request.into_inner();
        let mut fields = Fields::default();
        fields.optional_name("name", &name, PolicyVersion::FORM);
        fields.optional_digest("digest", &digest);
        fields.require(name.is_empty() || digest.is_empty(), "digest", "give a name or a digest, not both");
        fields.done()?;
        let version = match (name.as_str(), digest.as_str()) {
            ("", "") => self.policies().active_version().await?,
            ("", digest) => self.policies().version_by_digest(digest).await?,
            (name, _) => self.read::<PolicyVersion>(name).await?.into_inner(),
        };
        Ok(Response::new(with_gaps(version)?))
    }

    async fn list_policies(
        &self,
        request: Request<ListPoliciesRequest>,
    ) -> Result<Response<ListPoliciesResponse>, Status> {
        let ListPoliciesRequest { page_size, page_token } = request.into_inner();
        let (policies, next_page_token) =
            self.page(page_size, &page_token, Fields::default(), |query| query).await?;
        Ok(Response::new(ListPoliciesResponse { policies, next_page_token }))
    }

    async fn propose_policy(
        &self,
        request: Request<ProposePolicyRequest>,
    ) -> Result<Response<PolicyVersion>, Status> {
        self.carry_out(request).await
    }

    async fn sign_policy(
        &self,
        request: Request<SignPolicyRequest>,
    ) -> Result<Response<PolicyVersion>, Status> {
        self.carry_out(request).await
    }

    async fn record_training(
        &self,
        request: Request<RecordTrainingRequest>,
    ) -> Result<Response<TrainingRecord>, Status> {
        self.carry_out(request).await
    }

    async fn list_training_records(
        &self,
        request: Request<ListTrainingRecordsRequest>,
    ) -> Result<Response<ListTrainingRecordsResponse>, Status> {
        let ListTrainingRecordsRequest { page_size, page_token, principal } = request.into_inner();
        let mut fields = Fields::default();
        fields.optional_text("principal", &principal);
        let narrow =
            |query: storage::Query| if principal.is_empty() { query } else { query.state(principal) };
        let (training_records, next_page_token) = self.page(page_size, &page_token, fields, narrow).await?;
        Ok(Response::new(ListTrainingRecordsResponse { training_records, next_page_token }))
    }
}

/// The policy with the gaps of the procedure that it shows: they follow from its text and are not stored.
fn with_gaps(version: PolicyVersion) -> Result<PolicyVersion, Error> {
    let policy = Policy::parse(&version.yaml).map_err(|error| Error::Damaged(error.to_string()))?;
    let gaps = unlisted_roles(&policy);
    let gaps = gaps.iter().map(|gap| convert::finding(gap, Verdict::Fail)).collect();
    Ok(PolicyVersion { gaps, ..version })
}

#[async_trait]
impl Verb for ProposePolicyRequest {
    type Answer = PolicyVersion;

    fn check(&self, fields: &mut Fields) {
        fields.document("yaml", &self.yaml);
        fields.text("change_note", &self.change_note);
        if let Err(error) = Policy::parse(&self.yaml) {
            match error {
                lifecycle::policy::PolicyError::Unreadable(why) => fields.bad("yaml", why),
                lifecycle::policy::PolicyError::Invalid(all) => {
                    for one in all {
                        fields.bad(&format!("yaml:{}", one.path), one.problem);
                    }
                }
            }
        }
    }

    async fn decide(self, work: &mut Work) -> Result<PolicyVersion, Error> {
        let proposed = Policy::parse(&self.yaml).map_err(|error| Error::field("yaml", error.to_string()))?;
        let version = proposed.document.version.clone();
        let active = active(work).await?;
        domain::PolicyVersion::draft(&version, proposed.digest(), Some(&domain_of(&active)?))?;
        let name = policy_name(&version);
        if contracts::name::parse("yaml", &name, PolicyVersion::FORM).is_err() {
            return Err(Error::field("yaml:document.version", "must be of digits and dots"));
        }
        let policy = PolicyVersion {
            name,
            version,
            state: State::Proposed.into(),
            digest: proposed.digest().to_owned(),
            yaml: self.yaml,
            change_note: self.change_note,
            proposed_by: work.principal(),
            ..PolicyVersion::default()
        };
        work.insert(policy, "propose").await
    }

    fn reason(&self) -> &str {
        &self.change_note
    }
}

#[async_trait]
impl Verb for SignPolicyRequest {
    type Answer = PolicyVersion;

    fn check(&self, fields: &mut Fields) {
        fields.name("name", &self.name, PolicyVersion::FORM);
        fields.require(self.role.parse::<Role>().is_ok(), "role", "is no role");
    }

    async fn decide(self, work: &mut Work) -> Result<PolicyVersion, Error> {
        let seen = work.open::<PolicyVersion>(&self.name, &self.etag).await?;
        let role: Role = self.role.parse().map_err(|_| Error::field("role", "is no role"))?;
        let approval = work.approval(&[role])?;
        let policy = work.policy();
        let row = policy.people.signatures.iter().find(|row| row.role == role);
        let signature =
            row.map(|row| row.signature).ok_or_else(|| Error::field("role", "signs no policy"))?;
        let draft = domain_of(&seen)?;
        let signed = draft.sign(signature, &seen.digest, approval.clone(), &policy.people)?;
        work.approves(&self.name, "policy", &approval).await?;
        let mut next = (*seen).clone();
        next.signatures.push(PolicySignature {
            role: role.to_string(),
            principal: approval.principal,
            time: work.wire_now(),
        });
        if signed.state == domain::State::Approved {
            let active = active(work).await?;
            signed.activate(Some(domain_of(&active)?))?;
            let mut old = (*active).clone();
            old.set_state(State::Superseded);
            work.save(&active, old, "supersede").await?;
            next.set_state(State::Active);
        }
        work.save(&seen, next, "sign").await
    }
}

#[async_trait]
impl Verb for RecordTrainingRequest {
    type Answer = TrainingRecord;

    fn check(&self, fields: &mut Fields) {
        fields.id("training_record_id", &self.training_record_id);
        fields.message("training_record", self.training_record.as_ref(), |fields, record| {
            fields.text("training_record.principal", &record.principal);
            let known = record.role.parse::<Role>().is_ok();
            fields.require(known, "training_record.role", "is no role");
            fields.text("training_record.procedure_version", &record.procedure_version);
            fields.text("training_record.course", &record.course);
            fields.time("training_record.complete_time", record.complete_time.as_ref());
            fields.optional_time("training_record.expire_time", record.expire_time.as_ref());
        });
    }

    async fn decide(self, work: &mut Work) -> Result<TrainingRecord, Error> {
        let given = self.training_record.unwrap_or_default();
        if work.now() < time(given.complete_time.as_ref()) {
            return Err(Error::field("training_record.complete_time", "must not lie in the future"));
        }
        if given.principal == work.principal() {
            return Err(Error::field("training_record.principal", "nobody records a training of their own"));
        }
        let name = format!("trainingRecords/{}", self.training_record_id);
        let record = TrainingRecord { name, recorded_by: work.principal(), ..given };
        work.insert(record, "record").await
    }
}

async fn active(work: &Work) -> Result<Stored<PolicyVersion>, Error> {
    let all = work.children::<PolicyVersion>("").await?;
    let active = all.into_iter().find(|version| version.state() == State::Active);
    active.ok_or_else(|| Error::Damaged("no policy is in force".into()))
}

fn domain_of(version: &PolicyVersion) -> Result<domain::PolicyVersion, Error> {
    let policy = Policy::parse(&version.yaml).map_err(|error| Error::Damaged(error.to_string()))?;
    let rows = &policy.people.signatures;
    let one = |signed: &PolicySignature| -> Option<(Signature, Approval)> {
        let role: Role = signed.role.parse().ok()?;
        let signature = rows.iter().find(|row| row.role == role)?.signature;
        Some((signature, Approval::new(signed.principal.clone(), role, time(signed.time.as_ref()))))
    };
    Ok(domain::PolicyVersion {
        version: version.version.clone(),
        digest: version.digest.clone(),
        state: match version.state() {
            State::Unspecified | State::Proposed => domain::State::Draft,
            State::Active => domain::State::Active,
            State::Superseded => domain::State::Superseded,
        },
        signatures: version.signatures.iter().filter_map(one).collect(),
    })
}
