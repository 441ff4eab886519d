//! Reads an ONNX file without ONNX Runtime: what it takes and gives, what it is made of, and what makes it hostile.
//!
//! Nothing here trusts a number in the file: sizes are checked products, depth and count are bounded before anything is
//! built, and every text that is passed on is escaped. A file is judged by what is in it.

mod digest;
pub mod proto;
mod report;
mod scan;
mod signature;
mod structure;
mod tensors;
mod walk;

use bytes::Bytes;
use prost::Message;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use report::{Finding, InspectError, Inspection, OperatorSet};
pub(crate) use walk::MOST_OPERATORS;
use walk::Walk;

/// What a file may hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of the file; protobuf itself ends at 2 GiB.
    pub bytes: usize,
    /// Nodes, subgraphs and expanded functions included (50,000 load in 8.5 s, 200,000 in 43 s).
    pub nodes: u64,
    /// Messages of any kind, so that a few bytes cannot become gigabytes when parsed.
    pub messages: u64,
    /// Messages inside each other (protobuf's own default is 100).
    pub depth: u32,
    /// Bytes of the name of an input, an output, an operator or a domain.
    pub name_bytes: usize,
    /// Bytes of any other name.
    pub inner_name_bytes: usize,
    /// Bytes of all metadata and documentation together.
    pub metadata_bytes: usize,
    /// Bytes of a sparse tensor once it is dense.
    pub dense_bytes: u64,
    /// Bytes that the fixed sizes of one input ask for, any size taken as 1.
    pub input_bytes: u64,
    /// Operator domains beside those of functions that the file itself defines.
    pub domains: Vec<String>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: i32::MAX as usize,
            nodes: 50_000,
            messages: 2_000_000,
            depth: 100,
            name_bytes: 256,
            inner_name_bytes: 1024,
            metadata_bytes: 1 << 20,
            dense_bytes: 256 << 20,
            input_bytes: 256 << 20,
            domains: ["", "ai.onnx", "ai.onnx.ml", "com.microsoft"].map(String::from).to_vec(),
        }
    }
}

/// Reads a model and judges it.
///
/// # Errors
/// [`InspectError`] with everything found, never only the first thing, once the file parses at all.
pub fn inspect(file: &Bytes, limits: &Limits) -> Result<Inspection, InspectError> {
    if file.is_empty() {
        return Err(InspectError::NotOnnx("the file is empty".into()));
    }
    if file.len() > limits.bytes {
        return Err(InspectError::TooLarge { bytes: file.len(), limit: limits.bytes });
    }
    scan::scan(file, limits).map_err(|error| report::with_kind(error, file))?;
    let model = proto::ModelProto::decode(file.clone())
        .map_err(|error| report::with_kind(InspectError::NotOnnx(error.to_string()), file))?;
    let mut walk = Walk::new(&model, limits);
    walk.model();
    let graph = match &model.graph {
        Some(graph) if walk.findings.is_empty() => graph,
        _ => return Err(InspectError::Refused(walk.findings)),
    };
    let (signature, notes) = signature::read(graph, limits, &mut walk.findings);
    if !walk.findings.is_empty() {
        return Err(InspectError::Refused(walk.findings));
    }
    let digests = digest::digest(&model, graph, &signature);
    Ok(Inspection {
        ir_version: model.ir_version,
        opsets: report::opsets(&model),
        producer: report::producer(&model),
        metadata: report::metadata(&model),
        nodes: walk.nodes,
        operators: walk.operators,
        parameters: walk.parameters,
        signature,
        notes,
        file_digest: sha256(file),
        topology_digest: digests.topology,
        weights_digest: digests.weights,
        io_digest: digests.io,
    })
}

/// `sha256:<hex>` of bytes.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Characters that are not shown, or that change the order in which others are shown.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180E}'
        | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{E0000}'..='\u{E0FFF}')
}
