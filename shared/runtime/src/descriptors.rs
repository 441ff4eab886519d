//! What a descriptor set says of its methods.

use std::collections::HashSet;

use prost::Message;
use prost_reflect::{DescriptorError, DescriptorPool};
use prost_types::FileDescriptorSet;

use crate::layers::known_fields::Requests;

/// The request messages of all methods whose requests are single messages, but for those of the `tolerant` services.
pub(crate) fn single_requests(set: &[u8], tolerant: &[&str]) -> Result<Requests, DescriptorError> {
    let pool = DescriptorPool::decode(set)?;
    let strict = pool.services().filter(|service| !tolerant.contains(&service.full_name()));
    let single = strict.flat_map(|service| {
        let path = format!("/{}/", service.full_name());
        let methods: Vec<_> = service.methods().filter(|method| !method.is_client_streaming()).collect();
        methods.into_iter().map(move |method| (format!("{path}{}", method.name()), method.input()))
    });
    Ok(single.collect())
}

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
