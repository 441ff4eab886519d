//! True labels of earlier requests.

use contracts::monitor::v1::{Label, ReportLabelsRequest, ReportLabelsResponse};
use runtime::Caller;
use std::collections::BTreeMap;

use crate::monitor::digest;
use crate::parse::{Fields, deployment_name, form};
use crate::store::{
    labels as rows,
    windows::{first_seen, is_known},
};
use crate::windows::{Scope, floor};
use crate::{Error, Monitor};

impl Monitor {
    /// Counts labels once for each request id, in the window in which they became known.
    pub(crate) async fn take_labels(
        &self,
        caller: &Caller,
        mut request: ReportLabelsRequest,
    ) -> Result<ReportLabelsResponse, Error> {
        let request_id = std::mem::take(&mut request.request_id);
        let whole = digest(&request);
        for one in &mut request.labels {
            one.deployment = deployment_name(&one.deployment);
        }
        let now = self.now();
        let mut fields = Fields::default();
        fields.optional_token("request_id", &request_id);
        fields.require(!request.labels.is_empty(), "labels", "required");
        fields.each("labels", &request.labels, |fields, at, one| self.check_label(fields, at, one));
        fields.done()?;
        let accepted = u32::try_from(request.labels.len()).unwrap_or(u32::MAX);
        let tx = self.db().begin_write().await?;
        if !request_id.is_empty() {
            let source = format!("labels/{}", caller.principal);
            if !first_seen(tx.connection(), (&source, &request_id), whole, true, now).await? {
                return Ok(ReportLabelsResponse { accepted });
            }
        }
        let mut by_scope: BTreeMap<Scope, Vec<&Label>> = BTreeMap::new();
        for one in &request.labels {
            let scope = Scope { deployment: one.deployment.clone(), version: one.version.clone() };
            by_scope.entry(scope).or_default().push(one);
        }
        for (scope, labels) in by_scope {
            // Anyone with a key may name a version: only one that served here has predictions to label.
            if !is_known(tx.connection(), &scope).await? {
                return Err(Error::Missing(format!("traffic of {} in {}", scope.version, scope.deployment)));
            }
            rows::add(tx.connection(), &scope, floor(now, self.window()), &labels).await?;
        }
        tx.commit().await?;
        Ok(ReportLabelsResponse { accepted })
    }

    fn check_label(&self, fields: &mut Fields, at: &str, one: &Label) {
        fields.name(&format!("{at}.deployment"), &one.deployment, &[form::DEPLOYMENT]);
        fields.name(&format!("{at}.version"), &one.version, &[form::VERSION]);
        fields.optional_text(&format!("{at}.prediction"), &one.prediction);
        fields.optional_text(&format!("{at}.label"), &one.label);
        fields.optional_text(&format!("{at}.group"), &one.group);
        let says = !one.label.is_empty() || one.hallucination.is_some();
        fields.require(says, &format!("{at}.label"), "required, or hallucination");
        // A label may come long after its prediction, but not before it.
        let time = one.time.as_ref().and_then(contracts::time::from_wire);
        let good = one.time.is_none() || time.is_some_and(|time| time <= self.now() + self.skew());
        fields.require(good, &format!("{at}.time"), "must be a time that has been");
    }
}
