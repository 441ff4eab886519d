//! §6.2 a training run: RUNNING to COMPLETED or FAILED, once; only a completed one feeds a version.

use lifecycle::training::{self, RunState};

use super::*;

proptest! {
    /// The first end stands. A run that is over is neither ended again nor reaped.
    #[test]
    fn a_run_ends_once(calls in vec((any::<bool>(), 0u64..3_600), 1..8)) {
        let (mut state, mut first) = (RunState::Running, None);
        for (completed, silent) in calls {
            let reaped = training::reap(state, at(0), at(silent), &policy().training);
            prop_assert_eq!(reaped.is_some(), first.is_none() && silent > 900);
            let ended = training::end_run(state, completed);
            if first.is_none() {
                let next = if completed { RunState::Completed } else { RunState::Failed };
                prop_assert_eq!(&ended, &Ok(next));
                first = Some(next);
                state = next;
            } else {
                prop_assert_eq!(reason(&ended), "RUN_NOT_RUNNING");
            }
            prop_assert_eq!(Some(state), first);
        }
    }
}
