//! On which execution provider the nodes of a loaded model really are.
//!
//! A provider that registers may still take no node; then the model would run on the CPU under another name. `ort` does
//! not wrap the call that tells, so it is made here.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::ptr;

use ort::AsPointer;
use ort::session::Session;

/// The session option that makes ONNX Runtime remember the placement.
pub(super) const RECORD: &str = "session.record_ep_graph_assignment_info";

/// Nodes on each provider, by ONNX Runtime's names (`CPUExecutionProvider`).
pub(super) fn nodes_by_provider(session: &Session) -> Result<BTreeMap<String, usize>, ort::Error> {
    let api = ort::api();
    let mut subgraphs: *const *const ort::sys::OrtEpAssignedSubgraph = ptr::null();
    let mut count = 0;
    // SAFETY: the session is alive for the whole function, and owns the array that it points `subgraphs` to; a failure
    // comes back as a status, which `result_from_status` frees.
    unsafe {
        let status =
            (api.Session_GetEpGraphAssignmentInfo)(session.ptr(), &raw mut subgraphs, &raw mut count);
        ort::Error::result_from_status(status)?;
    }
    let mut placed = BTreeMap::new();
    for at in 0..count {
        let mut name: *const c_char = ptr::null();
        let mut nodes: *const *const ort::sys::OrtEpAssignedNode = ptr::null();
        let mut node_count = 0;
        // SAFETY: `at < count`, so the entry is inside the session's array; name and nodes are owned by the session
        // too, and the name ends with a zero byte.
        let provider = unsafe {
            let subgraph = *subgraphs.add(at);
            ort::Error::result_from_status((api.EpAssignedSubgraph_GetEpName)(subgraph, &raw mut name))?;
            let status = (api.EpAssignedSubgraph_GetNodes)(subgraph, &raw mut nodes, &raw mut node_count);
            ort::Error::result_from_status(status)?;
            CStr::from_ptr(name).to_string_lossy().into_owned()
        };
        *placed.entry(provider).or_default() += node_count;
    }
    Ok(placed)
}
