//! §6.4 the registry entry that the procedure prints.

use lifecycle::entry::RegistryEntry;

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
    let entry = RegistryEntry::from_yaml(SAMPLE).expect("the procedure's own entry");
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
