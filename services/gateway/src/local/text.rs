//! `config.pbtxt`: protobuf text format as an `inference.ModelConfig`.

use std::sync::LazyLock;

use contracts::inference::ModelConfig;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

/// What a configuration is made of.
pub static MODEL_CONFIG: LazyLock<Option<MessageDescriptor>> = LazyLock::new(|| {
    let all = DescriptorPool::decode(contracts::DESCRIPTORS).ok()?;
    all.get_message_by_name("inference.ModelConfig")
});

/// Reads a configuration.
///
/// # Errors
/// The line and what is wrong there: an unknown field, a wrong type, a field given twice, or no text format at all.
pub fn parse(text: &str) -> Result<ModelConfig, String> {
    let message = MODEL_CONFIG.clone().ok_or("the descriptors of the protocol cannot be read")?;
    let text = with_colons(text);
    let parsed = DynamicMessage::parse_text_format(message, &text).map_err(|error| {
        // Where it is stands in the error's debug form only.
        let line = line_of(&text, &format!("{error:?}"));
        format!("line {line}: {error}")
    })?;
    parsed.transcode_to().map_err(|error| error.to_string())
}

/// The line, from 1, that `... span: 12..15 ...` begins on; an error without a place is at the end.
fn line_of(text: &str, debug: &str) -> usize {
    let place = debug.rfind("span: ").map(|at| &debug[at + "span: ".len()..]);
    let digits = place.map(|place| place.bytes().take_while(u8::is_ascii_digit).count());
    let start = place.zip(digits).and_then(|(place, digits)| place[..digits].parse::<usize>().ok());
    let before = text.as_bytes().get(..start.unwrap_or(text.len())).unwrap_or(text.as_bytes());
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The text with a colon before every list that has none: the format lets a list of messages go without, `input [ {...} ]`,
/// and the parser does not know it. Lines stay what they are; comments and strings are left alone.
fn with_colons(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let mut after_name = false;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '#' => {
                out.push(c);
                while let Some(c) = rest.next_if(|c| *c != '\n') {
                    out.push(c);
                }
                continue;
            }
            '"' | '\'' => {
                out.push(c);
                quoted(c, &mut rest, &mut out);
                after_name = false;
                continue;
            }
            '[' if after_name => {
                out.push(':');
                after_name = false;
            }
            c if c.is_whitespace() => {}
            c => after_name = c.is_ascii_alphanumeric() || c == '_',
        }
        out.push(c);
    }
    out
}

/// What stands in quotes, up to and with the closing one.
fn quoted(quote: char, rest: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    while let Some(c) = rest.next() {
        out.push(c);
        match c {
            '\\' => out.extend(rest.next()),
            c if c == quote => return,
            _ => {}
        }
    }
}

/// A configuration that a test gives.
#[cfg(test)]
pub(crate) fn parsed(text: &str) -> ModelConfig {
    parse(text).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::inference::model_config::SchedulingChoice;
    use contracts::inference::model_version_policy::PolicyChoice;

    /// The spellings that are in use: lists with and without a colon, messages with and without one, comments, both
    /// quotes, commas and semicolons.
    #[test]
    fn every_usual_spelling_is_read() {
        let text = r#"
            # a comment with [ and "
            name: 'scorer'  platform: "onnxruntime_onnx"
            max_batch_size: 8;
            input [
              { name: "x # [", data_type: TYPE_FP32, dims: [ -1, 4 ] },
              { name: "y" data_type: TYPE_STRING dims: 1 }
            ]
            output: [ { name: "z" data_type: TYPE_INT64 dims: [ ] label_filename: "labels.txt" } ]
            version_policy: { specific { versions: [1,3] } }
            dynamic_batching {
              preferred_batch_size: [ 4, 8 ]
              max_queue_delay_microseconds: 100
              priority_queue_policy { key: 2 value: { timeout_action: DELAY } }
            }
            instance_group [{ kind: KIND_CPU count: 2 }]
            parameters { key: "intra_op_thread_count" value { string_value: "2" } }
        "#;
        let config = parse(text).unwrap();
        assert_eq!((config.name.as_str(), config.max_batch_size), ("scorer", 8));
        assert_eq!(config.input[0].name, "x # [");
        assert_eq!(
            (config.input[0].dims.as_slice(), config.input[1].dims.as_slice()),
            (&[-1, 4][..], &[1][..])
        );
        assert_eq!(config.output[0].label_filename, "labels.txt");
        let Some(PolicyChoice::Specific(specific)) = config.version_policy.unwrap().policy_choice else {
            panic!("another policy");
        };
        assert_eq!(specific.versions, [1, 3]);
        let Some(SchedulingChoice::DynamicBatching(batching)) = config.scheduling_choice else {
            panic!("another scheduler");
        };
        assert_eq!((batching.preferred_batch_size, batching.max_queue_delay_microseconds), (vec![4, 8], 100));
        assert_eq!(batching.priority_queue_policy[&2].timeout_action, 1);
        assert_eq!(config.instance_group[0].count, 2);
        assert_eq!(config.parameters["intra_op_thread_count"].string_value, "2");
    }

    #[test]
    fn an_empty_scheduler_is_one() {
        let config = parse("dynamic_batching { }").unwrap();
        assert!(matches!(config.scheduling_choice, Some(SchedulingChoice::DynamicBatching(_))));
        assert_eq!(parse("").unwrap(), ModelConfig::default());
    }

    #[test]
    fn the_line_of_what_is_wrong_is_named() {
        let wrong = |text| parse(text).unwrap_err();
        assert_eq!(
            wrong("name: \"a\"\n\nmax_batch: 8\n"),
            "line 3: field 'max_batch' not found for message 'inference.ModelConfig'"
        );
        let in_a_list = wrong("name: \"a\"\ninput [\n  {\n    shape: 1\n  }\n]");
        assert!(in_a_list.starts_with("line 4: field 'shape' not found"), "{in_a_list}");
        let number = wrong("max_batch_size: \"8\"");
        assert!(number.starts_with("line 1: expected an integer"), "{number}");
        let range = wrong("\nmax_batch_size: 4294967296");
        assert!(range.starts_with("line 2: ") && range.contains("4294967296"), "{range}");
        let kind = wrong("input [ { data_type: FP32 } ]");
        assert!(kind.contains("'FP32' was not found for enum 'inference.DataType'"), "{kind}");
        let twice = wrong("max_batch_size: 1\nmax_batch_size: 2");
        assert!(twice.starts_with("line 2: ") && twice.contains("already set"), "{twice}");
        let both = wrong("dynamic_batching { }\nsequence_batching { }");
        assert!(both.starts_with("line 2: "), "{both}");
        let open = wrong("input [\n{ name: \"x\"\n");
        assert!(open.starts_with("line 3: ") && open.contains("end of input"), "{open}");
        for hostile in
            ["\0", "{", "[", "name: \"", "a:b:c", "name: \"\\xff\"", "\u{feff}name: \"a\"", "[a/b]: 1"]
        {
            assert!(parse(hostile).is_err(), "{hostile:?}");
        }
    }
}
