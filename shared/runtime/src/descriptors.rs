//! What a descriptor set says of its methods.

use std::collections::HashSet;

use prost::Message;
use prost_types::FileDescriptorSet;

/// Paths (`/package.Service/Method`) of the methods that stream in either direction.
pub(crate) fn streaming_methods(set: &[u8]) -> Result<HashSet<String>, prost::DecodeError> {
    let set = FileDescriptorSet::decode(set)?;
    let mut found = HashSet::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                if method.client_streaming() || method.server_streaming() {
                    let full = [file.package(), service.name()].join(".");
                    found.insert(format!("/{}/{}", full.trim_start_matches('.'), method.name()));
                }
            }
        }
    }
    Ok(found)
}
