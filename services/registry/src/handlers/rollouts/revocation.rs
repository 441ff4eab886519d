//! What a version leaves behind when it is taken off: the deployments go back to the version before, if that may serve.

use contracts::common::v1::{Finding as WireFinding, Verdict};
use contracts::registry::v1::{incident, rollout::State, *};
use lifecycle::Finding;
use lifecycle::rollout::Rollout as Ladder;

use crate::Error;
use crate::convert::{self, model, rollout as domain};
use crate::handlers::{incidents, retirements};
use crate::store::{Read, Resource, Stored};
use crate::work::Work;

/// Takes a version that is not safe off every deployment (§8.3 security): rolls back each rollout of it that prepares, runs
/// or made it stable, and opens one incident for all of it. Its own state is the caller's to change.
///
/// # Errors
/// Of the records.
pub async fn off_traffic(
    work: &mut Work,
    version: &Stored<ModelVersion>,
    by: &str,
    reason: &str,
) -> Result<(), Error> {
    let mut touched = Vec::new();
    for rollout in work.children::<Rollout>("").await? {
        if rollout.version == version.name && stands(work, &rollout).await? {
            touched.push(rollout);
        }
    }
    let mut findings = Vec::new();
    for rollout in &touched {
        findings.extend(no_way_back(work, rollout).await?);
    }
    let id = storage::Digest::of(version.name.as_bytes()).to_hex();
    let incident = Incident {
        name: format!("incidents/revocation-{}", &id[..16]),
        title: format!("{} revoked: {reason}", version.name),
        trigger: RollbackTrigger::Security.into(),
        subject: version.name.clone(),
        findings,
        mitigate_time: work.wire_now(), // no route serves it from here on
        reported_by: by.to_owned(),
        state: incident::State::Open.into(),
        ..Incident::default()
    };
    let incident = incidents::open(work, incident).await?;
    for rollout in touched {
        let before = domain::ladder(&rollout);
        let ladder = if before == Ladder::Pending { before.abort()? } else { before.roll_back()? };
        let mut next = Rollout {
            cause: reason.to_owned(),
            trigger: RollbackTrigger::Security.into(),
            incident: incident.name.clone(),
            ..(*rollout).clone()
        };
        let policy = work.policy();
        domain::move_to(&mut next, ladder, work.now(), reason, "", &policy.rollout);
        give_back(work, &rollout).await?;
        work.save(&rollout, next, "roll-back").await?;
    }
    Ok(())
}

/// Whether a rollout still has something to take back.
async fn stands(work: &Work, rollout: &Stored<Rollout>) -> Result<bool, Error> {
    Ok(match rollout.state() {
        State::RolledBack => false,
        State::Succeeded | State::Closed => {
            work.read::<Deployment>(rollout.parent()).await?.stable_version == rollout.version
        }
        _ => true,
    })
}

/// The deployment goes back to the version before, if that was superseded by this one alone and is still promised to its
/// users; else it is left without a stable version. It is free for another rollout.
///
/// # Errors
/// Of the records.
pub async fn give_back(work: &mut Work, rollout: &Stored<Rollout>) -> Result<(), Error> {
    let deployment = work.read::<Deployment>(rollout.parent()).await?;
    let mut next = (*deployment).clone();
    if next.active_rollout == rollout.name {
        next.active_rollout.clear();
    }
    if next.stable_version == rollout.version {
        next.stable_version.clear();
        if let Ok((before, state)) = way_back(work, rollout).await? {
            next.stable_version.clone_from(&before.name);
            let again = model::in_state(&before, state);
            if again != *before {
                work.save(&before, again, "production-again").await?;
            }
        }
    }
    if next != *deployment {
        work.save(&deployment, next, "roll-back").await?;
    }
    Ok(())
}

/// What an incident says where no version takes the place of the one that is taken back.
///
/// # Errors
/// Of the records.
pub async fn no_way_back(work: &Work, rollout: &Stored<Rollout>) -> Result<Option<WireFinding>, Error> {
    let deployment = work.read::<Deployment>(rollout.parent()).await?;
    if deployment.stable_version != rollout.version {
        return Ok(None);
    }
    let Err(why) = way_back(work, rollout).await? else { return Ok(None) };
    let (subject, observed) =
        (format!("stable version of {}", deployment.name), format!("{why}: the deployment serves nothing"));
    let finding = Finding::new("§8.3", subject, "a version that was superseded", observed);
    Ok(Some(convert::finding(&finding, Verdict::Fail)))
}

/// The version before and the state in which it takes its place again, or why it does not.
async fn way_back(work: &Work, rollout: &Stored<Rollout>) -> Result<WayBack, Error> {
    if rollout.previous_version.is_empty() {
        return Ok(Err("no version before".to_owned()));
    }
    let before = work.read::<ModelVersion>(&rollout.previous_version).await?;
    let promised = retirements::promises_service(work, &before.name).await?;
    Ok(match model::state(&before).restore(promised) {
        Ok(state) => Ok((before, state)),
        Err(_) => Err(format!("{} is {}", before.name, Resource::state(&*before))),
    })
}

type WayBack = Result<(Stored<ModelVersion>, lifecycle::version_state::State), String>;
