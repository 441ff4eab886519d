//! What inspection tells: the good answer, and every reason against.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::proto::ModelProto;
use crate::ModelSignature;
use crate::signature::shown;

/// A model that may be handed to ONNX Runtime.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inspection {
    /// Version of the file format.
    pub ir_version: i64,
    /// Operator sets that the model imports.
    pub opsets: Vec<OperatorSet>,
    /// Program that wrote it, escaped.
    pub producer: String,
    /// The author's key and value pairs, escaped and shortened: safe to show, not the originals.
    pub metadata: BTreeMap<String, String>,
    /// Nodes, subgraphs included.
    pub nodes: u64,
    /// How often each operator is used.
    pub operators: BTreeMap<String, u64>,
    /// Elements of all initializers.
    pub parameters: u64,
    /// What it takes and gives.
    pub signature: ModelSignature,
    /// What could not be offered to clients, for example outputs that are no tensors.
    pub notes: Vec<String>,
    /// Of the whole file.
    pub file_digest: String,
    /// Of operators, connections, attributes and shapes of weights; other names or weights do not change it (§6.4).
    pub topology_digest: String,
    /// Of the values of the weights.
    pub weights_digest: String,
    /// Of names, types and shapes of inputs and outputs.
    pub io_digest: String,
}

/// One imported operator set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorSet {
    /// Domain; `ai.onnx` for the default one.
    pub domain: String,
    /// Version.
    pub version: i64,
}

/// One reason against a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Stable name: `EXTERNAL_DATA`.
    pub reason: String,
    /// Where: `graph.initializer[w]`.
    pub at: String,
    /// What is required and what was observed.
    pub why: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}: {}", self.reason, self.at, self.why)
    }
}

/// Why a file is refused before ONNX Runtime sees it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InspectError {
    /// It does not parse.
    #[error("not an ONNX model: {0}")]
    NotOnnx(String),
    /// It is too big.
    #[error("{bytes} bytes, at most {limit} are taken")]
    TooLarge {
        /// What it has.
        bytes: usize,
        /// What it may have.
        limit: usize,
    },
    /// Messages are nested too deep.
    #[error("graphs are nested too deep: at most {limit} messages inside each other are taken")]
    TooDeep {
        /// What it may have.
        limit: u32,
    },
    /// Too many messages of a kind.
    #[error("more than {limit} {what}")]
    TooMany {
        /// `nodes`, `messages`.
        what: &'static str,
        /// What it may have.
        limit: u64,
    },
    /// It parses, but holds something that is refused.
    #[error("refused: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Refused(Vec<Finding>),
}

impl InspectError {
    /// Every reason in the same form.
    pub fn findings(&self) -> Vec<Finding> {
        let reason = match self {
            Self::Refused(findings) => return findings.clone(),
            Self::NotOnnx(_) => "NOT_ONNX",
            Self::TooLarge { .. } => "FILE_TOO_LARGE",
            Self::TooDeep { .. } => "NESTED_TOO_DEEP",
            Self::TooMany { .. } => "TOO_MANY_PARTS",
        };
        vec![Finding { reason: reason.into(), at: "file".into(), why: self.to_string() }]
    }
}

/// Adds what the bytes look like to an error about their form.
pub(super) fn with_kind(error: InspectError, file: &[u8]) -> InspectError {
    let InspectError::NotOnnx(why) = error else { return error };
    let head = file.get(..64.min(file.len())).unwrap_or_default();
    let text = String::from_utf8_lossy(head).to_lowercase();
    let kind = match head {
        [0x1f, 0x8b, ..] => "a gzip file",
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => "zlib-compressed data",
        [b'P', b'K', 3, 4, ..] => "a zip archive",
        [0x28, 0xb5, 0x2f, 0xfd, ..] => "a zstd file",
        [0x80, 2..=5, ..] => "a Python pickle",
        [0x89, b'H', b'D', b'F', ..] => "an HDF5 file",
        _ if text.contains("git-lfs") => "a Git LFS pointer, not the file it points to",
        _ if text.trim_start().starts_with('<') => "an HTML or XML page",
        _ => return InspectError::NotOnnx(why),
    };
    InspectError::NotOnnx(format!("it is {kind} ({why})"))
}

pub(super) fn opsets(model: &ModelProto) -> Vec<OperatorSet> {
    let name = |domain: &str| if domain.is_empty() { "ai.onnx".into() } else { domain.to_owned() };
    model
        .opset_import
        .iter()
        .map(|set| OperatorSet { domain: name(&set.domain), version: set.version })
        .collect()
}

pub(super) fn producer(model: &ModelProto) -> String {
    shown(format!("{} {}", model.producer_name, model.producer_version).trim())
}

pub(super) fn metadata(model: &ModelProto) -> BTreeMap<String, String> {
    model.metadata_props.iter().take(64).map(|entry| (shown(&entry.key), shown(&entry.value))).collect()
}
