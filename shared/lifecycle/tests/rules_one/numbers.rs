//! Verdicts, version numbers and the registry entry.

use super::*;

#[test]
fn a_bound_across_the_threshold_is_inconclusive() {
    let wilson = Measured { value: 0.905, samples: 1000, low: 0.8887, high: 0.9192, confidence: 0.90 };
    let Verdict::Inconclusive { needed: Some(needed) } = wilson.judge(Strict::Above, 0.9, 100, 0.90) else {
        panic!()
    };
    assert!(needed > 10_000, "{needed}");
    let good = Measured { value: 0.947, samples: 1000, low: 0.9341, high: 0.9576, confidence: 0.90 };
    assert_eq!(good.judge(Strict::Above, 0.9, 100, 0.90), Verdict::Pass);
    let bad = Measured { value: 0.88, samples: 1000, low: 0.862, high: 0.8959, confidence: 0.90 };
    assert_eq!(bad.judge(Strict::Above, 0.9, 100, 0.90), Verdict::Fail);
}

proptest! {
    /// Whatever is measured, a pass means that the point, the bound, the sample and the confidence all hold.
    #[test]
    fn only_a_whole_measurement_passes(
        value in prop_oneof![0.0..=1.0, Just(f64::NAN), Just(f64::INFINITY), Just(0.9)],
        below in 0.0..0.2f64, above in 0.0..0.2f64, samples in 0u64..500, confidence in 0.5..1.0f64,
    ) {
        let seen = Measured { value, samples, low: value - below, high: value + above, confidence };
        if seen.judge(Strict::Above, 0.9, 100, 0.9).passed() {
            prop_assert!(value > 0.9 && value - below > 0.9 && samples >= 100 && confidence >= 0.9);
        }
        prop_assert!(!exact(0.9, samples).judge(Strict::Above, 0.9, 0, 0.9).passed());
        prop_assert!(!exact(0.9, samples).judge(Strict::Below, 0.9, 0, 0.9).passed());
    }
}

proptest! {
    /// A printed version reads back as itself, and no other spelling reads at all.
    #[test]
    fn versions_have_one_spelling(major: u32, minor: u32, patch: u32) {
        let version = Version::new(major, minor, patch);
        prop_assert_eq!(version.to_string().parse::<Version>().unwrap(), version);
        for wrong in [format!("v{version}"), format!("0{version}"), format!("{version}.0"), format!("{version} ")] {
            prop_assert!(wrong.parse::<Version>().is_err(), "{}", wrong);
        }
        let id = ModelVersionId { model: "a-v1".into(), version };
        prop_assert_eq!(id.to_string().parse::<ModelVersionId>().unwrap(), id);
    }

    /// However versions are asked for, the accepted ones are unique and each has its direct predecessor.
    #[test]
    fn accepted_versions_leave_no_gap(asked in vec((0u32..4, 0u32..4, 0u32..4, 0usize..8), 1..60)) {
        let first = policy().versioning.first_version.value;
        let mut taken: Vec<Version> = Vec::new();
        for (major, minor, patch, base) in asked {
            let want = Version::new(major, minor, patch);
            let base = (!taken.is_empty()).then(|| (taken[base % taken.len()], Bump::Patch));
            if next_model_version(&taken, base, want, first).is_ok() {
                prop_assert!(!taken.contains(&want));
                taken.push(want);
            }
        }
        for version in taken.iter().filter(|version| **version != first) {
            let reached = taken.iter().any(|earlier| earlier.bump_to(*version).is_some());
            prop_assert!(reached, "{} has no predecessor", version);
        }
    }
}

#[test]
fn a_bump_may_be_raised_never_lowered() {
    let (first, taken) = (Version::new(1, 0, 0), [Version::new(1, 0, 0), Version::new(1, 1, 0)]);
    let base = |least| Some((Version::new(1, 1, 0), least));
    assert_eq!(next_model_version(&taken, base(Bump::Minor), Version::new(2, 0, 0), first), Ok(Bump::Major));
    let low = next_model_version(&taken, base(Bump::Major), Version::new(1, 2, 0), first).unwrap_err();
    assert_eq!(low.reason(), "VERSION_BUMP_TOO_LOW");
    assert!(low.to_string().contains("required at least a major change: 2.0.0"), "{low}");
    let gap = next_model_version(&taken, base(Bump::Patch), Version::new(1, 3, 0), first).unwrap_err();
    assert_eq!(gap.reason(), "VERSION_NOT_SUCCESSOR");
    assert_eq!(successor(&taken, Version::new(1, 0, 0), Bump::Patch), Some(Version::new(1, 0, 1)));
    assert!(next_model_version(&[], None, Version::new(0, 1, 0), first).is_err());
}

const SAMPLE: &str = "model_id: llama-3-1-8b-webllm-v1.2.0
base_model: meta-llama/Llama-3.1-8B-Instruct
quantization: q4f16_1
training_data_version: ds-v2.1.0
training_config:
  epochs: 3
  learning_rate: 2e-5
  batch_size: 32
metrics:
  accuracy: 0.94
  latency_p50: 450ms
  fairness_score: 0.98
created_at: 2026-01-21T10:00:00Z
created_by: ml-team
status: production
";

#[test]
fn the_procedures_entry_comes_back_byte_for_byte() {
    let entry = RegistryEntry::from_yaml(SAMPLE).unwrap();
    assert_eq!(entry.to_yaml(), SAMPLE);
    assert_eq!(entry.model_id.model, "llama-3-1-8b-webllm");
    assert!((entry.metrics.latency_p50.milliseconds - 450.0).abs() < f64::EPSILON);
    assert!((entry.training_config.learning_rate.value() - 2e-5).abs() < 1e-12);
    for (from, to) in
        [("450ms", "450"), ("0.94", "94"), ("v1.2.0", "1.2"), ("2026-01-21", "2026-02-30"), ("2e-5", "-1")]
    {
        assert!(RegistryEntry::from_yaml(&SAMPLE.replace(from, to)).is_err(), "{to}");
    }
}
