//! What a configuration asks for and this server does not do: refused where answers would change, else passed over by name.

use contracts::inference::model_config::SchedulingChoice;
use contracts::inference::model_instance_group::Kind;
use contracts::inference::model_sequence_batching::StrategyChoice;
use contracts::inference::{
    ModelConfig, ModelDynamicBatching, ModelInput, ModelOptimizationPolicy, ModelOutput,
    ModelSequenceBatching,
};
use engine::FieldError;

use super::plan::INTRA_THREADS;
use crate::sequence;

/// The only backend and platform.
pub const BACKEND: &str = "onnxruntime";
/// As the protocol names models of that backend.
pub const PLATFORM: &str = "onnxruntime_onnx";

/// A field with what is to be said of it.
fn said(field: impl Into<String>, why: &str) -> FieldError {
    FieldError { field: field.into(), description: why.to_owned() }
}

/// What would change the model's answers: a model that asks for it is not served.
pub fn refused(config: &ModelConfig) -> Vec<FieldError> {
    let mut all = Vec::new();
    for (field, value, own) in
        [("backend", &config.backend, BACKEND), ("platform", &config.platform, PLATFORM)]
    {
        if !value.is_empty() && value != own {
            let why = format!("{:?} is not supported, required {own}", crate::wire::shown(value));
            all.push(FieldError { field: field.into(), description: why });
        }
    }
    match &config.scheduling_choice {
        Some(SchedulingChoice::EnsembleScheduling(_)) => {
            all.push(said("ensemble_scheduling", "ensembles are not supported"));
        }
        Some(SchedulingChoice::SequenceBatching(sequences)) => {
            all.extend(sequence::refused(config, sequences));
        }
        Some(SchedulingChoice::DynamicBatching(_)) | None => {}
    }
    if config.model_transaction_policy.as_ref().is_some_and(|policy| policy.decoupled) {
        let why = "a request has one answer here";
        all.push(said("model_transaction_policy.decoupled", why));
    }
    let whole = [
        ("batch_input", !config.batch_input.is_empty()),
        ("batch_output", !config.batch_output.is_empty()),
        (
            "model_operations",
            config.model_operations.as_ref().is_some_and(|it| !it.op_library_filename.is_empty()),
        ),
        (
            "model_repository_agents",
            config.model_repository_agents.as_ref().is_some_and(|it| !it.agents.is_empty()),
        ),
    ];
    let asked = whole.iter().filter(|(_, asked)| *asked);
    all.extend(asked.map(|(field, _)| said(*field, "is not supported")));
    for input in &config.input {
        of_input(input, &mut all);
    }
    for output in &config.output {
        of_output(output, &mut all);
    }
    all
}

fn of_input(input: &ModelInput, all: &mut Vec<FieldError>) {
    let asked = [
        ("allow_ragged_batch", input.allow_ragged_batch),
        ("is_shape_tensor", input.is_shape_tensor),
        ("is_non_linear_format_io", input.is_non_linear_format_io),
    ];
    of_tensor("input", &input.name, &asked, all);
}

fn of_output(output: &ModelOutput, all: &mut Vec<FieldError>) {
    let asked = [
        ("is_shape_tensor", output.is_shape_tensor),
        ("is_non_linear_format_io", output.is_non_linear_format_io),
    ];
    of_tensor("output", &output.name, &asked, all);
}

fn of_tensor(side: &str, name: &str, asked: &[(&str, bool)], all: &mut Vec<FieldError>) {
    for (field, _) in asked.iter().filter(|(_, asked)| *asked) {
        all.push(said(format!("{side}[{}].{field}", crate::wire::shown(name)), "is not supported"));
    }
}

/// What would change speed or what is measured, and no answer: it is passed over.
pub fn ignored(config: &ModelConfig) -> Vec<FieldError> {
    let mut fields = Vec::new();
    let mut note = |field: &str, asked: bool| {
        if asked {
            fields.push(field.to_owned());
        }
    };
    note("runtime", !config.runtime.is_empty());
    note("cc_model_filenames", !config.cc_model_filenames.is_empty());
    note("metric_tags", !config.metric_tags.is_empty());
    note("model_metrics", config.model_metrics.is_some());
    if let Some(policy) = &config.optimization {
        of_optimization(policy, &mut note);
    }
    if let Some(SchedulingChoice::DynamicBatching(batching)) = &config.scheduling_choice {
        of_batching(batching, &mut note);
    }
    if let Some(sequences) = sequence::of(config) {
        of_sequences(sequences, &mut note);
    }
    let gpu = config.instance_group.iter().any(|group| !group.passive && group.kind() == Kind::Gpu);
    for (at, group) in config.instance_group.iter().enumerate() {
        let beside = gpu && !group.passive && group.kind() == Kind::Cpu;
        note(&format!("instance_group[{at}].kind: KIND_CPU beside KIND_GPU"), beside);
        note(&format!("instance_group[{at}].rate_limiter"), group.rate_limiter.is_some());
        note(&format!("instance_group[{at}].secondary_devices"), !group.secondary_devices.is_empty());
        note(&format!("instance_group[{at}].profile"), !group.profile.is_empty());
        note(&format!("instance_group[{at}].host_policy"), !group.host_policy.is_empty());
        note(&format!("instance_group[{at}].gpus: all but the first"), group.gpus.len() > 1);
    }
    let mut parameters: Vec<_> = config.parameters.keys().filter(|name| *name != INTRA_THREADS).collect();
    parameters.sort();
    for name in parameters {
        note(&format!("parameters[{}]", crate::wire::shown(name)), true);
    }
    fields.into_iter().map(|field| said(field, "is passed over")).collect()
}

fn of_optimization(policy: &ModelOptimizationPolicy, note: &mut impl FnMut(&str, bool)) {
    note("optimization.graph", policy.graph.is_some());
    note("optimization.priority", policy.priority != 0);
    note("optimization.cuda", policy.cuda.is_some());
    note("optimization.execution_accelerators", policy.execution_accelerators.is_some());
    note("optimization.input_pinned_memory", policy.input_pinned_memory.is_some());
    note("optimization.output_pinned_memory", policy.output_pinned_memory.is_some());
    note("optimization.gather_kernel_buffer_threshold", policy.gather_kernel_buffer_threshold != 0);
    note("optimization.eager_batching", policy.eager_batching);
}

fn of_sequences(sequences: &ModelSequenceBatching, note: &mut impl FnMut(&str, bool)) {
    if let Some(StrategyChoice::Direct(direct)) = &sequences.strategy_choice {
        note("sequence_batching.direct.minimum_slot_utilization", direct.minimum_slot_utilization != 0.0);
    }
    for state in &sequences.state {
        let field =
            |part| format!("sequence_batching.state[{}].{part}", crate::wire::shown(&state.input_name));
        note(&field("use_same_buffer_for_input_output"), state.use_same_buffer_for_input_output);
        note(&field("use_growable_memory"), state.use_growable_memory);
    }
}

fn of_batching(batching: &ModelDynamicBatching, note: &mut impl FnMut(&str, bool)) {
    let mut levels: Vec<_> = batching.priority_queue_policy.iter().collect();
    levels.sort_by_key(|(level, _)| **level);
    for (level, policy) in levels {
        let field = format!("dynamic_batching.priority_queue_policy[{level}].max_queue_size");
        note(&field, policy.max_queue_size > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::text::parse;

    fn fields(of: fn(&ModelConfig) -> Vec<FieldError>, text: &str) -> Vec<String> {
        of(&parse(text).unwrap()).into_iter().map(|one| one.field).collect()
    }

    #[test]
    fn what_changes_answers_is_refused_by_name() {
        let all = [
            ("backend: \"python\"", "backend"),
            ("platform: \"tensorflow_savedmodel\"", "platform"),
            ("ensemble_scheduling { }", "ensemble_scheduling"),
            ("sequence_batching { iterative_sequence: true }", "sequence_batching.iterative_sequence"),
            ("model_transaction_policy { decoupled: true }", "model_transaction_policy.decoupled"),
            ("batch_input [ { kind: BATCH_ITEM_SHAPE } ]", "batch_input"),
            ("batch_output [ { } ]", "batch_output"),
            ("model_operations { op_library_filename: \"x.so\" }", "model_operations"),
            ("model_repository_agents { agents [ { name: \"a\" } ] }", "model_repository_agents"),
            ("input [ { name: \"x\" allow_ragged_batch: true } ]", "input[x].allow_ragged_batch"),
            ("output [ { name: \"y\" is_shape_tensor: true } ]", "output[y].is_shape_tensor"),
        ];
        for (text, field) in all {
            assert_eq!(fields(refused, text), [field], "{text}");
        }
        let good = "backend: \"onnxruntime\" platform: \"onnxruntime_onnx\" dynamic_batching { }
            model_transaction_policy { decoupled: false } input [ { name: \"x\" format: FORMAT_NCHW } ]";
        assert!(fields(refused, good).is_empty());
    }

    #[test]
    fn what_changes_speed_is_passed_over_by_name() {
        let text = r#"
            optimization { graph { level: 1 } execution_accelerators { } eager_batching: true }
            dynamic_batching { priority_queue_policy { key: 2 value { max_queue_size: 3 } } preserve_ordering: true }
            instance_group [ { kind: KIND_GPU gpus: [ 0, 1 ] host_policy: "a" }, { kind: KIND_CPU } ]
            parameters { key: "execution_mode" value { string_value: "0" } }
            parameters { key: "intra_op_thread_count" value { string_value: "2" } }
            metric_tags { key: "a" value: "b" }
        "#;
        let named = [
            "metric_tags",
            "optimization.graph",
            "optimization.execution_accelerators",
            "optimization.eager_batching",
            "dynamic_batching.priority_queue_policy[2].max_queue_size",
            "instance_group[0].host_policy",
            "instance_group[0].gpus: all but the first",
            "instance_group[1].kind: KIND_CPU beside KIND_GPU",
            "parameters[execution_mode]",
        ];
        assert_eq!(fields(ignored, text), named);
        let sequences = "sequence_batching { direct { minimum_slot_utilization: 0.5 }
            state { input_name: \"s\" use_growable_memory: true } }";
        let named = [
            "sequence_batching.direct.minimum_slot_utilization",
            "sequence_batching.state[s].use_growable_memory",
        ];
        assert_eq!(fields(ignored, sequences), named);
        assert!(fields(refused, text).is_empty());
    }
}
