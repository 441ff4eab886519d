//! §8.1 the pipeline: sixteen activities in four stages, a stage open only when every earlier one has passed.

use lifecycle::deployment::{Activity, ActivityRecord, Pipeline, Stage};

use super::*;

/// An activity by its place, or the next that has not passed.
fn calls() -> impl Strategy<Value = Vec<(Option<usize>, bool, bool)>> {
    let which = prop_oneof![1 => (0usize..16).prop_map(Some), 3 => Just(None)];
    vec((which, prop::bool::weighted(0.8), prop::bool::weighted(0.9)), 0..80)
}

proptest! {
    /// A failed activity may be repeated, a passed one not; a stage is complete when its four have passed.
    #[test]
    fn stages_open_one_after_another(calls in calls()) {
        let policy = &policy().deployment;
        let mut pipeline = Pipeline::default();
        let mut passed = [false; 16];
        for (which, passes, proven) in calls {
            let Some(place) = which.or_else(|| passed.iter().position(|one| !one)) else { break };
            let evidence = if proven { "proof" } else { "" };
            let record = ActivityRecord {
                passed: passes, done: Done { evidence: evidence.into(), ..done(0) },
            };
            let open = passed[..place - place % 4].iter().all(|one| *one);
            let want = match () {
                () if !proven => "EVIDENCE_MISSING",
                () if passed[place] => "ALREADY_RECORDED",
                () if !open => "STAGE_NOT_OPEN",
                () => "",
            };
            let answer = pipeline.clone().record(Activity::ALL[place], record, at(1), policy);
            prop_assert_eq!(reason(&answer), want, "{}", Activity::ALL[place]);
            if let Ok(next) = answer {
                pipeline = next;
                passed[place] = passes;
            }
            for (number, stage) in Stage::ALL.iter().enumerate() {
                let whole = passed[..4 * (number + 1)].iter().all(|one| *one);
                prop_assert_eq!(pipeline.require(*stage, policy).is_ok(), whole, "{}", stage);
            }
        }
    }
}
