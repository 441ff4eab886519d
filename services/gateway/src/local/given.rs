//! A configuration that a client brings for one load (`RepositoryModelLoad`, parameter `config`): JSON in place of the model's
//! `config.pbtxt`. The next load without one is as the folder has it.

use contracts::inference::ModelConfig;
use prost_reflect::{DeserializeOptions, DynamicMessage};

use super::text::MODEL_CONFIG;

/// Reads a configuration.
///
/// # Errors
/// What is wrong, with the line: no JSON, an unknown field, a wrong type.
pub fn parse(json: &str) -> Result<ModelConfig, String> {
    let message = MODEL_CONFIG.clone().ok_or("the descriptors of the protocol cannot be read")?;
    let mut reader = serde_json::Deserializer::from_str(json);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let read = DynamicMessage::deserialize_with_options(message, &mut reader, &options);
    let read = read.and_then(|read| reader.end().map(|()| read)).map_err(|error| error.to_string())?;
    read.transcode_to().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_a_configuration_under_either_name_of_its_fields() {
        let config =
            parse(r#"{"max_batch_size": "16", "dynamicBatching": {"preferred_batch_size": [4]}}"#).unwrap();
        assert_eq!(config.max_batch_size, 16);
        assert!(config.scheduling_choice.is_some());
        assert_eq!(parse("{}").unwrap(), ModelConfig::default());
    }

    #[test]
    fn what_is_no_configuration_says_where() {
        for (json, word) in [
            (r#""parameters": {"config": 1}"#, "line 1"),
            (r#"{"max_batch": 1}"#, "max_batch"),
            (r#"{"max_batch_size": "many"}"#, "line 1"),
            ("{} {}", "trailing"),
            ("", "EOF"),
        ] {
            let why = parse(json).unwrap_err();
            assert!(why.contains(word), "{json}: {why}");
        }
    }
}
