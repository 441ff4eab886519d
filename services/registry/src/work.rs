//! How every change is made: parse, one unit of work, decide, store, commit; a repeat gives the stored answer.
//!
//! A handler is one line, `self.0.carry_out(request).await`; what the call does is the [`Verb`] of its request:
//!
//! ```text
//! #[async_trait]
//! impl Verb for ApprovePlanRequest {
//!     type Answer = Project;
//!     fn check(&self, fields: &mut Fields) {
//!         fields.name("name", &self.name, Project::FORM);            // every bad field, in one answer
//!     }
//!     async fn decide(self, work: &mut Work) -> Result<Project, Error> {
//!         let seen = work.open::<Project>(&self.name, &self.etag).await?;   // NOT_FOUND, STALE_ETAG
//!         approve_plan(&plan(&seen)?, &work.approval(role), &work.policy().planning)?; // pure rule
//!         work.save(&seen, Project { plan_state, ..(*seen).clone() }, "approve-plan").await // row + audit entry
//!     }
//! }
//! ```
//!
//! Everything that a verb reads it reads through its [`Work`], that is inside the transaction. It must not touch blobs,
//! engines or other services: units of one database follow each other. What is slow is done before (see
//! `handlers/models/create_version.rs`: the artifact is inspected first, the unit only reads the result).

use crate::store::{Read, Resource, Stored, body, draft};
use crate::{Error, Registry, parse::Fields, verbs::Mutation};
use async_trait::async_trait;
use lifecycle::separation::{Action, authorize};
use lifecycle::{Policy, Role, approval::Approval};
use prost::Message as _;
use runtime::Caller;
use sea_orm::DatabaseTransaction;
use std::sync::Arc;
use std::time::SystemTime;
use storage::{Cause, Query, Record, Unit};
use tonic::{Request, Response, Status};

/// The clause of the roles.
const ROLES: &str = "§12";

/// What a request does.
#[async_trait]
pub trait Verb: Mutation {
    /// What it answers with.
    type Answer: prost::Message + Default + Send + 'static;

    /// Looks at every field; no I/O.
    fn check(&self, fields: &mut Fields);

    /// Loads, decides by the rules of `lifecycle`, stores. May run again from the start when there is contention.
    ///
    /// # Errors
    /// Whatever is refused; nothing of the unit is kept then.
    async fn decide(self, work: &mut Work) -> Result<Self::Answer, Error>;

    /// The caller's reason, for the audit log.
    #[allow(clippy::unnecessary_literal_bound)] // verbs that have one answer with their own field
    fn reason(&self) -> &str {
        ""
    }
}

/// One open unit of work on behalf of a caller, under the policy in force.
pub struct Work {
    unit: Unit,
    caller: Caller,
    policy: Arc<Policy>,
    registry: Registry,
}

impl Registry {
    /// Carries out a call that changes something.
    ///
    /// # Errors
    /// The status of whatever was refused.
    pub async fn carry_out<V: Verb>(&self, request: Request<V>) -> Result<Response<V::Answer>, Status> {
        let caller = Caller::of(&request)?;
        Ok(Response::new(self.act(&caller, request.into_inner()).await?))
    }

    /// [`Registry::carry_out`] without a transport: for streams and background tasks.
    ///
    /// # Errors
    /// As the verb.
    pub async fn act<V: Verb>(&self, caller: &Caller, verb: V) -> Result<V::Answer, Error> {
        let mut fields = Fields::default();
        fields.request_id(verb.request_id());
        verb.check(&mut fields);
        fields.done()?;
        storage::with_retry(|| self.once(caller, verb.clone())).await
    }

    async fn once<V: Verb>(&self, caller: &Caller, verb: V) -> Result<V::Answer, Error> {
        let cause = Cause {
            principal: caller.principal.clone(),
            roles: caller.roles.clone(),
            method: V::METHOD.to_owned(),
            request_id: Some(verb.request_id().to_owned()).filter(|id| !id.is_empty()),
            request_digest: verb.digest(),
            reason: verb.reason().to_owned(),
            time: self.clock().now(),
            trace_id: runtime::trace::trace_id().unwrap_or_default(),
        };
        let unit = self.records().begin(cause).await?;
        if let Some(answer) = unit.replay().await? {
            return Ok(V::Answer::decode(answer.as_slice())?);
        }
        let policy = self.policies().active_in(&unit).await?;
        let mut work = Work { unit, caller: caller.clone(), policy, registry: self.clone() };
        let answer = verb.decide(&mut work).await?;
        work.unit.commit(&answer.encode_to_vec()).await?;
        Ok(answer)
    }
}

impl Work {
    /// The time of this unit; everything in it happens at this time.
    pub fn now(&self) -> SystemTime {
        self.unit.cause().time
    }

    /// [`Work::now`] on the wire, as every field of the contracts takes a time.
    #[allow(clippy::unnecessary_wraps)]
    pub fn wire_now(&self) -> Option<prost_types::Timestamp> {
        Some(contracts::time::to_wire(self.now()))
    }

    /// Who calls.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The caller's principal, for fields such as `owner`.
    pub fn principal(&self) -> String {
        self.caller.principal.clone()
    }

    /// The policy in force; its digest belongs into every decision.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.clone()
    }

    /// The shared parts of the service, for what lies outside the unit (signing key, inspections).
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The transaction, for tables of the service's own.
    pub fn connection(&self) -> &DatabaseTransaction {
        self.unit.connection()
    }

    /// The unit itself.
    pub fn unit(&mut self) -> &mut Unit {
        &mut self.unit
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub async fn read<R: Resource>(&self, name: &str) -> Result<Stored<R>, Error> {
        Stored::read(self.unit.get(R::KIND, name).await?)
    }

    /// Reads a resource that may not be there.
    ///
    /// # Errors
    /// Of the database.
    pub async fn find<R: Resource>(&self, name: &str) -> Result<Option<Stored<R>>, Error> {
        self.unit.find(R::KIND, name).await?.map(Stored::read).transpose()
    }

    /// Reads a resource to change it; `etag` is the one of the request, empty for "whatever is there".
    ///
    /// # Errors
    /// NOT_FOUND, ABORTED / STALE_ETAG.
    pub async fn open<R: Resource>(&self, name: &str, etag: &str) -> Result<Stored<R>, Error> {
        let seen = self.read::<R>(name).await?;
        seen.record().expect_etag(etag)?;
        Ok(seen)
    }

    /// Inserts a resource and gives it back stamped. `action` is the audit log's word.
    ///
    /// # Errors
    /// ALREADY_EXISTS.
    pub async fn insert<R: Resource>(&mut self, resource: R, action: &str) -> Result<R, Error> {
        let mut record = self.unit.insert(draft(&resource), action).await?;
        record.body = body(&resource);
        Ok(Stored::<R>::read(record)?.into_inner())
    }

    /// Puts `next` over what was `seen` and gives it back stamped.
    ///
    /// # Errors
    /// ABORTED / STALE_ETAG.
    pub async fn save<R: Resource>(&mut self, seen: &Stored<R>, next: R, action: &str) -> Result<R, Error> {
        let record = self.unit.update(seen.record(), &next.state(), body(&next), action).await?;
        Ok(Stored::<R>::read(record)?.into_inner())
    }

    /// The caller as the one who does `action`, in a role that the policy's matrix names for it (§12), and none of the
    /// `contributors` where the matrix bars them.
    ///
    /// # Errors
    /// PERMISSION_DENIED / ROLE_REQUIRED, `CONTRIBUTOR_MAY_NOT`.
    pub fn authorize(&self, action: Action, contributors: &[String]) -> Result<Approval, Error> {
        let row = self.policy.people.matrix.iter().find(|row| row.action == action);
        let (clause, roles) = row.map_or((ROLES, &[][..]), |row| (row.clause.as_str(), row.roles.as_slice()));
        let by = self.approval_under(clause, roles)?;
        authorize(action, &by, contributors, &self.policy.people)?;
        Ok(by)
    }

    /// An approval by the caller, now, in one of `roles` that the caller holds.
    ///
    /// # Errors
    /// PERMISSION_DENIED / ROLE_REQUIRED.
    pub fn approval(&self, roles: &[Role]) -> Result<Approval, Error> {
        self.approval_under(ROLES, roles)
    }

    /// As [`Work::approval`]; a refusal names the clause that asks for the roles.
    ///
    /// # Errors
    /// PERMISSION_DENIED / ROLE_REQUIRED.
    pub fn approval_under(&self, clause: &str, roles: &[Role]) -> Result<Approval, Error> {
        let held = roles.iter().copied().find(|role| self.caller.has(role.as_str()));
        let role = held.ok_or_else(|| Error::RoleNotHeld {
            clause: clause.to_owned(),
            principal: self.principal(),
            required: lifecycle::approval::join(roles),
            observed: self.caller.held(),
        })?;
        Ok(Approval::new(self.principal(), role, self.now()))
    }
}

#[async_trait]
impl Read for Work {
    async fn records_of(&self, query: &Query) -> Result<Vec<Record>, Error> {
        Ok(self.unit.list(query).await?)
    }
}
