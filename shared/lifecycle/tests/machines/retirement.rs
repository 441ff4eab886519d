//! §10.3 a retirement: seven steps, in order, each only when its fact is true.

use lifecycle::retirement::{Criterion, Fact, Retirement, declare};

use super::*;

/// The fact of a step, true or not.
fn fact(step: usize, holds: bool) -> Fact {
    match step {
        0 => Fact::Announced,
        1 => Fact::Migrated { remaining: if holds { vec![] } else { vec!["client".into()] } },
        2 => Fact::Traffic { percent: u32::from(!holds) },
        3 => Fact::Archived { digest: digest('a'), restore_rehearsed: holds },
        4 => Fact::Documented,
        5 => Fact::Deleted,
        _ => {
            let class = if holds { "regulated" } else { "for-a-while" };
            Fact::Retained { class: class.into(), legal_hold: false }
        }
    }
}

/// A step by its place, or the next one; days that pass before; whether its fact is true; whether it is proven.
fn calls() -> impl Strategy<Value = Vec<(Option<usize>, u64, bool, bool)>> {
    let which = prop_oneof![1 => (0usize..7).prop_map(Some), 3 => Just(None)];
    let days = select(vec![0, 1, 29, 30]);
    vec((which, days, prop::bool::weighted(0.8), prop::bool::weighted(0.9)), 0..40)
}

proptest! {
    /// The saga stands where the model does: the notice binds everyone but security, and nothing happens twice.
    #[test]
    fn seven_steps_in_their_order(criterion in any_of(Criterion::ALL), calls in calls()) {
        let policy = &policy().retirement;
        let security = criterion == Criterion::SecurityVulnerability;
        let (mut saga, mut made, mut now, mut announced) = (Retirement::new(criterion), 0, 10, None);
        for (which, days, holds, proven) in calls {
            now += days * DAY;
            let step = which.unwrap_or(made).min(6);
            let unasked = matches!(step, 0 | 4 | 5) || (step == 1 && security); // security forces the users off
            let noticed = security || announced.is_some_and(|then| now - then >= 30 * DAY);
            let want = match () {
                () if step != made => "STEP_OUT_OF_ORDER",
                () if !proven => "EVIDENCE_MISSING",
                () if step == 2 && !noticed => "NOTICE_NOT_ELAPSED",
                () if !holds && !unasked => "STEP_NOT_TRUE",
                () => "",
            };
            let record = Done { who: if proven { "ml-ops-engineer".into() } else { " ".into() }, ..done(now) };
            let answer = saga.clone().complete(&fact(step, holds), record, at(now), policy);
            prop_assert_eq!(reason(&answer), want, "step {} after {}", step, made);
            if let Ok(next) = answer {
                saga = next;
                if step == 0 { announced = Some(now); }
                made += 1;
            }
            prop_assert_eq!(saga.done().len(), made);
            prop_assert_eq!(saga.next(policy).is_none(), made == 7);
        }
    }

    /// §10.2: what no machine can see is declared by its own role, what is measured by nobody.
    #[test]
    fn a_criterion_is_declared_by_its_own_role(criterion in any_of(Criterion::ALL),
        role in role_near(&[Role::Security, Role::Legal, Role::BusinessOwner])) {
        let declarer = match criterion {
            Criterion::SecurityVulnerability => Some(Role::Security),
            Criterion::ComplianceIssue => Some(Role::Legal),
            Criterion::BusinessDecision => Some(Role::BusinessOwner),
            Criterion::PerformanceDegradation | Criterion::Superseded => None,
        };
        let answer = declare(criterion, &by(role, 0), &policy().retirement);
        prop_assert_eq!(answer.is_ok(), declarer == Some(role));
        prop_assert_eq!(reason(&answer) == "NOT_DECLARABLE", declarer.is_none());
    }
}
