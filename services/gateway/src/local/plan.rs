//! What a configuration makes of the engine's options and of the queue, before anything is loaded.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::time::Duration;

use contracts::inference::model_config::SchedulingChoice;
use contracts::inference::model_instance_group::Kind;
use contracts::inference::model_queue_policy::TimeoutAction;
use contracts::inference::{ModelConfig, ModelDynamicBatching, ModelQueuePolicy};
use engine::{Batching, FieldError, LoadOptions, Provider, ProviderPolicy};

use crate::backends::{QueuePolicy, Waiting};
use crate::config::{Config, Infer};
use crate::sequence;

/// The parameter of ONNX Runtime that is taken.
pub const INTRA_THREADS: &str = "intra_op_thread_count";
/// Copies of one model at most.
const MOST_INSTANCES: usize = 256;
/// Threads of one copy at most.
const MOST_THREADS: usize = 1024;

/// How a model is to be loaded, and how its requests wait.
#[derive(Debug, Clone)]
pub struct Plan {
    /// For the engine.
    pub options: LoadOptions,
    /// For requests.
    pub waiting: Waiting,
}

/// Whether a configuration leaves inputs, outputs and rows to the file.
pub fn is_silent(config: &ModelConfig) -> bool {
    config.max_batch_size == 0 && config.input.is_empty() && config.output.is_empty()
}

/// The plan of a configuration; what it does not say is as the server's settings have it.
///
/// # Errors
/// Every field that makes no sense.
pub fn plan(config: &ModelConfig, server: &Config) -> Result<Plan, Vec<FieldError>> {
    let mut bad = Vec::new();
    let mut wrong = |field: &str, description: String| {
        bad.push(FieldError { field: field.to_owned(), description });
    };
    if config.max_batch_size < 0 {
        wrong("max_batch_size", format!("{}, required 0 or more", config.max_batch_size));
    }
    let dynamic = match &config.scheduling_choice {
        Some(SchedulingChoice::DynamicBatching(dynamic)) => Some(dynamic),
        _ => None,
    };
    let batching = batching(config, dynamic, &server.infer, &mut wrong);
    let waiting = dynamic.map(|dynamic| waiting(dynamic, &mut wrong)).unwrap_or_default();
    let instances = instances(config, &server.infer, &mut wrong);
    let intra_threads = intra_threads(config, &server.infer, &mut wrong);
    let queue = dynamic.and_then(|dynamic| dynamic.default_queue_policy.as_ref()).map(|it| it.max_queue_size);
    let options = LoadOptions {
        provider: provider(config, &server.infer.provider),
        intra_threads,
        instances,
        // Without a bound of its own, nothing waits outside that admission has let in.
        queue_capacity: queue
            .filter(|size| *size > 0)
            .map_or(server.admission.requests, |size| size as usize),
        batching,
        ..server.load_options()
    };
    if bad.is_empty() { Ok(Plan { options, waiting }) } else { Err(bad) }
}

fn batching(
    config: &ModelConfig,
    dynamic: Option<&ModelDynamicBatching>,
    infer: &Infer,
    wrong: &mut impl FnMut(&str, String),
) -> Batching {
    let rows = usize::try_from(config.max_batch_size).unwrap_or_default();
    let max_rows = if is_silent(config) { infer.batching.max_rows } else { rows };
    if let Some(sequences) = sequence::of(config) {
        return sequence::batching(sequences, max_rows, wrong);
    }
    let Some(dynamic) = dynamic else {
        return if is_silent(config) { infer.batching.clone() } else { Batching::ALONE };
    };
    let mut preferred = Vec::new();
    for size in &dynamic.preferred_batch_size {
        match usize::try_from(*size) {
            Ok(size) if size > 0 && size <= max_rows.max(1) => preferred.push(size),
            _ => {
                let why = format!("{size}, required 1 to max_batch_size, {max_rows}");
                wrong("dynamic_batching.preferred_batch_size", why);
            }
        }
    }
    Batching { max_rows: max_rows.max(1), preferred, delay_us: dynamic.max_queue_delay_microseconds }
}

fn waiting(dynamic: &ModelDynamicBatching, wrong: &mut impl FnMut(&str, String)) -> Waiting {
    let levels = dynamic.priority_levels;
    let default_level = dynamic.default_priority_level;
    if levels > 0 && !(1..=levels).contains(&default_level) {
        let why = format!("{default_level}, required 1 to priority_levels, {levels}");
        wrong("dynamic_batching.default_priority_level", why);
    }
    let mut of_level = BTreeMap::new();
    for (level, policy) in &dynamic.priority_queue_policy {
        if (1..=levels).contains(level) {
            of_level.insert(*level, queue_policy(policy));
        } else {
            let field = format!("dynamic_batching.priority_queue_policy[{level}]");
            wrong(&field, format!("there is no such level, priority_levels is {levels}"));
        }
    }
    let policy = dynamic.default_queue_policy.as_ref().map(queue_policy);
    // A policy of one level is about timeouts as much as one of all.
    let policy = policy.or_else(|| (!of_level.is_empty()).then(QueuePolicy::default));
    Waiting { levels, default_level: if levels > 0 { default_level } else { 0 }, policy, of_level }
}

fn queue_policy(policy: &ModelQueuePolicy) -> QueuePolicy {
    let micros = policy.default_timeout_microseconds;
    QueuePolicy {
        timeout: (micros > 0).then(|| Duration::from_micros(micros)),
        shortened: policy.allow_timeout_override,
        delays: policy.timeout_action() == TimeoutAction::Delay,
    }
}

/// Copies of the model: the sum of all groups; a group that gives no number has one.
fn instances(config: &ModelConfig, infer: &Infer, wrong: &mut impl FnMut(&str, String)) -> usize {
    let active = config.instance_group.iter().enumerate().filter(|(_, group)| !group.passive);
    let mut sum = 0_usize;
    for (at, group) in active {
        match usize::try_from(group.count) {
            Ok(count) => sum = sum.saturating_add(count.max(1)),
            Err(_) => {
                wrong(&format!("instance_group[{at}].count"), format!("{}, required 1 or more", group.count))
            }
        }
    }
    if sum > MOST_INSTANCES {
        wrong("instance_group", format!("{sum} instances, at most {MOST_INSTANCES} are made"));
    }
    if sum == 0 { infer.instances.max(1) } else { sum }
}

fn intra_threads(config: &ModelConfig, infer: &Infer, wrong: &mut impl FnMut(&str, String)) -> usize {
    let Some(parameter) = config.parameters.get(INTRA_THREADS) else { return infer.intra_threads.max(1) };
    match parameter.string_value.trim().parse::<usize>() {
        // ONNX Runtime's own reading of 0.
        Ok(0) => std::thread::available_parallelism().map_or(1, NonZero::get),
        Ok(threads) if threads <= MOST_THREADS => threads,
        _ => {
            let given = crate::wire::shown(&parameter.string_value);
            let field = format!("parameters[{INTRA_THREADS}]");
            wrong(&field, format!("{given:?}, required a whole number, 0 to {MOST_THREADS}"));
            1
        }
    }
}

/// Where the model runs: a group on a GPU wants one, groups on processors want nothing else, all others are as the server
/// has it.
fn provider(config: &ModelConfig, own: &ProviderPolicy) -> ProviderPolicy {
    let groups: Vec<_> = config.instance_group.iter().filter(|group| !group.passive).collect();
    let gpu = groups.iter().find(|group| group.kind() == Kind::Gpu);
    if let Some(group) = gpu {
        let device = group.gpus.first().and_then(|gpu| u32::try_from(*gpu).ok()).unwrap_or(own.device);
        let own_gpu = own.preferred.first().is_some_and(|first| *first != Provider::Cpu);
        let preferred = if own_gpu { own.preferred.clone() } else { vec![Provider::Cuda, Provider::Cpu] };
        return ProviderPolicy { preferred, allow_fallback: own.allow_fallback, device };
    }
    let processors = !groups.is_empty() && groups.iter().all(|group| group.kind() == Kind::Cpu);
    if processors { ProviderPolicy { preferred: vec![Provider::Cpu], ..own.clone() } } else { own.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::text::parse;

    fn planned(text: &str) -> Result<Plan, Vec<FieldError>> {
        plan(&parse(text).unwrap(), &Config::default())
    }

    #[test]
    fn rows_run_together_only_where_the_configuration_says_so() {
        let batching = |text| planned(text).unwrap().options.batching;
        assert_eq!(batching(""), Batching::default());
        assert_eq!(batching("max_batch_size: 8"), Batching::ALONE);
        assert_eq!(batching("input [ { name: \"x\" } ]"), Batching::ALONE);
        let said = "max_batch_size: 8 dynamic_batching { preferred_batch_size: [ 4, 8 ]
            max_queue_delay_microseconds: 100 }";
        assert_eq!(batching(said), Batching { max_rows: 8, preferred: vec![4, 8], delay_us: 100 });
        assert_eq!(batching("dynamic_batching { }").max_rows, Batching::default().max_rows);
        let said = "max_batch_size: 8 sequence_batching { direct { max_queue_delay_microseconds: 100 } }";
        assert_eq!(batching(said), Batching { max_rows: 8, preferred: Vec::new(), delay_us: 100 });
    }

    #[test]
    fn instances_threads_and_provider_are_those_of_the_configuration() {
        let options = |text| planned(text).unwrap().options;
        assert_eq!((options("").instances, options("").intra_threads), (1, 1));
        let two = "instance_group [ { kind: KIND_CPU count: 2 }, { count: 3 }, { kind: KIND_CPU } ]
            parameters { key: \"intra_op_thread_count\" value { string_value: \"4\" } }";
        assert_eq!((options(two).instances, options(two).intra_threads), (6, 4));
        let gpu = options("instance_group [ { kind: KIND_GPU count: 1 gpus: [ 1 ] } ]").provider;
        assert_eq!((gpu.preferred[0], gpu.device, gpu.allow_fallback), (Provider::Cuda, 1, false));
        let mut server = Config::default();
        server.infer.provider.preferred = vec![Provider::TensorRt];
        let of = |text: &str| plan(&parse(text).unwrap(), &server).unwrap().options.provider.preferred;
        assert_eq!(of("instance_group [ { kind: KIND_CPU } ]"), [Provider::Cpu]);
        assert_eq!(of("instance_group [ { kind: KIND_GPU } ]"), [Provider::TensorRt]);
        assert_eq!(of(""), [Provider::TensorRt]);
    }

    #[test]
    fn the_queue_is_that_of_the_configuration() {
        let text = "max_batch_size: 4 dynamic_batching { priority_levels: 2 default_priority_level: 2
            default_queue_policy { timeout_action: DELAY default_timeout_microseconds: 1500
              allow_timeout_override: true max_queue_size: 7 }
            priority_queue_policy { key: 1 value { } } }";
        let plan = planned(text).unwrap();
        assert_eq!(plan.options.queue_capacity, 7);
        let policy =
            QueuePolicy { timeout: Some(Duration::from_micros(1500)), shortened: true, delays: true };
        let of_level = [(1, QueuePolicy::default())].into();
        assert_eq!(plan.waiting, Waiting { levels: 2, default_level: 2, policy: Some(policy), of_level });
        let plan = planned("max_batch_size: 4 dynamic_batching { }").unwrap();
        assert_eq!(plan.waiting, Waiting::default());
        assert_eq!(plan.options.queue_capacity, Config::default().admission.requests);
    }

    #[test]
    fn every_number_that_makes_no_sense_is_named() {
        let text = "max_batch_size: -1
            dynamic_batching { preferred_batch_size: [ 0 ] priority_levels: 2 default_priority_level: 3
              priority_queue_policy { key: 9 value { } } }
            instance_group [ { count: -2 }, { count: 10000 } ]
            parameters { key: \"intra_op_thread_count\" value { string_value: \"many\" } }";
        let fields: Vec<_> = planned(text).unwrap_err().into_iter().map(|bad| bad.field).collect();
        let named = [
            "max_batch_size",
            "dynamic_batching.preferred_batch_size",
            "dynamic_batching.default_priority_level",
            "dynamic_batching.priority_queue_policy[9]",
            "instance_group[0].count",
            "instance_group",
            "parameters[intra_op_thread_count]",
        ];
        assert_eq!(fields, named);
        let beyond =
            planned("max_batch_size: 4 dynamic_batching { preferred_batch_size: [ 8 ] }").unwrap_err();
        assert!(beyond[0].to_string().contains("8, required 1 to max_batch_size, 4"), "{}", beyond[0]);
    }
}
