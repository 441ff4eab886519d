//! What the configuration of sequences makes of batching and of slots.

use contracts::inference::model_sequence_batching::StrategyChoice;
use contracts::inference::{ModelConfig, ModelSequenceBatching};
use engine::{Batching, FieldError};

use super::wrong;

/// How long a sequence may be idle where the configuration does not say, microseconds.
const IDLE: u64 = 1_000_000;
/// Sequences of one version at a time, at most.
const MOST: usize = 1 << 20;

/// What would change the model's answers and is not done here.
pub fn refused(config: &ModelConfig, sequences: &ModelSequenceBatching) -> Vec<FieldError> {
    let mut all = Vec::new();
    if sequences.iterative_sequence {
        all.push(wrong("sequence_batching.iterative_sequence", "a request runs once here"));
    }
    if config.response_cache.as_ref().is_some_and(|cache| cache.enable) {
        all.push(wrong("response_cache", "an answer within a sequence depends on those before it"));
    }
    if let Some(StrategyChoice::Oldest(oldest)) = &sequences.strategy_choice
        && oldest.max_candidate_sequences < 1
    {
        let why = format!("{}, required 1 or more", oldest.max_candidate_sequences);
        all.push(wrong("sequence_batching.oldest.max_candidate_sequences", why));
    }
    all
}

/// How rows of different sequences are put together, of runs of at most `max_rows`.
pub fn batching(
    sequences: &ModelSequenceBatching,
    max_rows: usize,
    wrong: &mut impl FnMut(&str, String),
) -> Batching {
    let max_rows = max_rows.max(1);
    match &sequences.strategy_choice {
        None => Batching { max_rows, ..Batching::ALONE },
        Some(StrategyChoice::Direct(direct)) => {
            Batching { max_rows, delay_us: direct.max_queue_delay_microseconds, ..Batching::ALONE }
        }
        Some(StrategyChoice::Oldest(oldest)) => {
            let mut preferred = Vec::new();
            for size in &oldest.preferred_batch_size {
                match usize::try_from(*size) {
                    Ok(size) if (1..=max_rows).contains(&size) => preferred.push(size),
                    _ => wrong(
                        "sequence_batching.oldest.preferred_batch_size",
                        format!("{size}, required 1 to max_batch_size, {max_rows}"),
                    ),
                }
            }
            Batching { max_rows, preferred, delay_us: oldest.max_queue_delay_microseconds }
        }
    }
}

/// Sequences at a time: a row of each instance each, or as many as are candidates on each instance.
pub fn slots(config: &ModelConfig, sequences: &ModelSequenceBatching, instances: usize) -> usize {
    let each = match &sequences.strategy_choice {
        Some(StrategyChoice::Oldest(oldest)) => oldest.max_candidate_sequences,
        Some(StrategyChoice::Direct(_)) | None => config.max_batch_size,
    };
    usize::try_from(each).unwrap_or_default().max(1).saturating_mul(instances.max(1)).min(MOST)
}

/// Fills in what the configuration leaves out.
pub fn fill(sequences: &mut ModelSequenceBatching) {
    if sequences.max_sequence_idle_microseconds == 0 {
        sequences.max_sequence_idle_microseconds = IDLE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::local::parsed;

    fn of(text: &str) -> (ModelConfig, ModelSequenceBatching) {
        let config = parsed(text);
        let sequences = super::super::of(&config).unwrap().clone();
        (config, sequences)
    }

    #[test]
    fn each_strategy_has_its_slots_and_its_batches() {
        let planned = |text: &str| {
            let (config, sequences) = of(text);
            let mut bad = Vec::new();
            let batching = batching(&sequences, 8, &mut |field, why| bad.push(format!("{field}: {why}")));
            (slots(&config, &sequences, 2), batching, bad)
        };
        let (slots, direct, bad) =
            planned("max_batch_size: 8 sequence_batching { direct { max_queue_delay_microseconds: 7 } }");
        assert_eq!((slots, direct.max_rows, direct.delay_us, bad.len()), (16, 8, 7, 0));
        let (slots, none, _) = planned("sequence_batching { }");
        assert_eq!((slots, none), (2, Batching { max_rows: 8, ..Batching::ALONE }));
        let (slots, oldest, bad) = planned(
            "max_batch_size: 8 sequence_batching { oldest { max_candidate_sequences: 3
             preferred_batch_size: [ 4, 9 ] max_queue_delay_microseconds: 5 } }",
        );
        assert_eq!((slots, oldest.preferred, oldest.delay_us), (6, vec![4], 5));
        assert_eq!(
            bad,
            ["sequence_batching.oldest.preferred_batch_size: 9, required 1 to max_batch_size, 8"]
        );
    }

    #[test]
    fn what_is_not_done_is_named() {
        let (config, sequences) =
            of("response_cache { enable: true } sequence_batching { iterative_sequence: true oldest { } }");
        let fields: Vec<_> = refused(&config, &sequences).into_iter().map(|bad| bad.field).collect();
        let wanted = [
            "sequence_batching.iterative_sequence",
            "response_cache",
            "sequence_batching.oldest.max_candidate_sequences",
        ];
        assert_eq!(fields, wanted);
        let (config, mut sequences) = of("sequence_batching { oldest { max_candidate_sequences: 1 } }");
        assert!(refused(&config, &sequences).is_empty());
        fill(&mut sequences);
        assert_eq!(sequences.max_sequence_idle_microseconds, 1_000_000);
    }
}
