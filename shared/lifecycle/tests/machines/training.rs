//! §6.2 a training run: RUNNING to COMPLETED or FAILED, once; only a completed one, wholly recorded, feeds a version.

use std::collections::BTreeMap;

use lifecycle::training::{self, RunState, Technique, TrainingRecord};

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

fn a_run() -> TrainingRecord {
    TrainingRecord {
        technique: Technique::FromScratch,
        technique_fields: BTreeMap::new(),
        hyperparameters: BTreeMap::from([("c".into(), "1.0".into())]),
        search_strategy: "grid".into(),
        dataset_version: "datasets/d/versions/1.0.0".into(),
        splits: vec!["train".into()],
        sampling: "all rows".into(),
        device_type: "cpu".into(),
        device_count: 1,
        duration: Duration::from_secs(3),
        seeds: BTreeMap::from([("numpy".into(), 7)]),
        checkpoint_frequency: "once at the end".into(),
        checkpoint_location: "artifacts".into(),
        checkpoint_interval: Duration::ZERO,
        experiment_tracker: "wlp".into(),
        metrics_logged: ["train/loss", "validation/accuracy", "system/cpu_percent", "checkpoint"]
            .map(Into::into)
            .into(),
    }
}

#[test]
fn dropping_any_field_of_a_run_refuses_it() {
    let training = &policy().training;
    assert_eq!(training::feeds_version(RunState::Completed, &a_run(), training), Ok(()));
    assert!(training::feeds_version(RunState::Running, &a_run(), training).is_err());
    let drops: [fn(&mut TrainingRecord); 15] = [
        |run| run.hyperparameters.clear(),
        |run| run.search_strategy.clear(),
        |run| run.dataset_version.clear(),
        |run| run.splits.clear(),
        |run| run.sampling.clear(),
        |run| run.device_type.clear(),
        |run| run.device_count = 0,
        |run| run.duration = Duration::ZERO,
        |run| run.seeds.clear(),
        |run| run.checkpoint_frequency.clear(),
        |run| run.checkpoint_location.clear(),
        |run| run.experiment_tracker.clear(),
        |run| drop(run.metrics_logged.remove(0)),
        |run| drop(run.metrics_logged.pop()),
        |run| run.technique = Technique::Lora,
    ];
    for spoil in drops {
        let mut run = a_run();
        spoil(&mut run);
        assert!(training::feeds_version(RunState::Completed, &run, training).is_err());
        assert!(training::completeness(&run, training).complete < 11);
    }
}
