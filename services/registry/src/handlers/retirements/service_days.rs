//! §10.2 "below acceptable for 30 days": one record for each day of a version in service, as the monitor measured it.

use async_trait::async_trait;
use contracts::common::v1::Verdict;
use contracts::registry::v1::*;
use lifecycle::calendar::{civil, days_from_civil};
use lifecycle::retirement::Day;
use lifecycle::{Finding, Rejection};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::convert::model;
use crate::handlers::incidents::check_findings;
use crate::store::{Read, Resource, Stored};
use crate::work::{Verb, Work};
use crate::{Error, parse::Fields};

const DAY: u64 = 86_400;

#[async_trait]
impl Verb for RecordServiceDayRequest {
    type Answer = ServiceDay;

    fn check(&self, fields: &mut Fields) {
        fields.name("parent", &self.parent, ModelVersion::FORM);
        fields.require(number(&self.day).is_some(), "day", "must be a date as 2026-11-25");
        check_findings(fields, "findings", &self.findings);
        fields.require(!self.findings.is_empty(), "findings", "required: what was measured");
        let failed = self.findings.iter().any(|one| one.verdict() == Verdict::Fail);
        let agrees = failed == self.below_acceptable;
        fields.require(agrees, "below_acceptable", "must be true exactly where a finding failed");
    }

    async fn decide(self, work: &mut Work) -> Result<ServiceDay, Error> {
        let version = work.read::<ModelVersion>(&self.parent).await?;
        let refuse = |subject: &str, required: &str, observed: String| {
            let finding = Finding::new("§10.2", subject, required, observed);
            Rejection::one("SERVICE_DAY_REFUSED", version.name.clone(), finding)
        };
        let state = model::state(&version);
        if !state.may_serve() {
            return Err(refuse("state of the version", "one that serves", state.to_string()).into());
        }
        if number(&self.day).is_none_or(|day| today(work.now()) <= day) {
            return Err(refuse("day", "over", self.day).into());
        }
        let day = ServiceDay {
            name: format!("{}/serviceDays/{}", version.name, self.day),
            below_acceptable: self.below_acceptable,
            findings: self.findings,
            recorded_by: work.principal(),
            create_time: None,
        };
        match work.find::<ServiceDay>(&day.name).await? {
            None => work.insert(day, "record").await,
            Some(seen) if seen.below_acceptable == day.below_acceptable => Ok(seen.into_inner()),
            Some(seen) => {
                let word = |below: bool| if below { "below acceptable" } else { "acceptable" };
                let observed = word(day.below_acceptable).to_owned();
                Err(refuse(&seen.name, word(seen.below_acceptable), observed).into())
            }
        }
    }
}

/// The days of a version up to yesterday, oldest first. A day without a record was not measured.
///
/// # Errors
/// Of the records.
pub async fn recent(work: &Work, version: &Stored<ModelVersion>) -> Result<Vec<Day>, Error> {
    let known = work.children::<ServiceDay>(&version.name).await?;
    let known: BTreeMap<i64, bool> = known
        .iter()
        .filter_map(|day| Some((number(contracts::name::last(&day.name))?, day.below_acceptable)))
        .collect();
    let Some(first) = known.keys().next().copied() else { return Ok(Vec::new()) };
    Ok((first..today(work.now())).map(|day| known.get(&day).copied()).collect())
}

/// Days since the epoch, UTC.
fn today(now: SystemTime) -> i64 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs() / DAY).unwrap_or(i64::MAX)
}

/// The day of `2026-11-25`; none for what is no date.
fn number(text: &str) -> Option<i64> {
    let mut parts = text.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || !(1970..=9999).contains(&year) {
        return None;
    }
    let number = days_from_civil(year, month, day);
    let same = (1..=12).contains(&month) && civil(number) == (year, month, day);
    (same && text == format!("{year:04}-{month:02}-{day:02}")).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_one_spelling() {
        assert_eq!(number("1970-01-02"), Some(1));
        assert_eq!(number("2028-02-29").zip(number("2028-03-01")).map(|(a, b)| b - a), Some(1));
        for bad in ["2026-02-29", "2026-13-01", "2026-1-1", "2026-11", "2026-11-25-1", "1969-12-31", "", "x"]
        {
            assert_eq!(number(bad), None, "{bad}");
        }
    }
}
