//! The generated service traits on [`Gateway`].

mod inference;
mod repository;
mod serving;
mod settings;
mod stated;
mod stream;

use std::time::Instant;

use contracts::gateway::v1::serving_service_server::ServingServiceServer;
use contracts::inference::grpc_inference_service_server::GrpcInferenceServiceServer;
use runtime::{Caller, ServiceBuilder};
use tonic::Request;
use tonic::codec::CompressionEncoding;

use crate::gateway::Gateway;
use crate::incoming::Counted;
use crate::infer::Call;

/// Puts the handlers on a service.
pub fn mount(service: ServiceBuilder, gateway: &Gateway) -> ServiceBuilder {
    let most = gateway.config().admission.message_bytes;
    let inference = GrpcInferenceServiceServer::new(gateway.clone())
        .max_decoding_message_size(most)
        .max_encoding_message_size(most)
        // What it unpacks to is bounded like a message that came as it is. Answers are small and are not packed: clients say
        // that they could unpack them whether or not they want to wait for it.
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Deflate);
    let inference = Counted::new(inference, gateway.admission().incoming().clone());
    service.add(inference).add(ServingServiceServer::new(gateway.clone()))
}

/// What the call says beside its message.
fn call_of<T>(request: &Request<T>) -> Call {
    Call {
        key: request.metadata().get("wlp-key").and_then(|key| key.to_str().ok()).map(str::to_owned),
        principal: request.extensions().get::<Caller>().map(|caller| caller.principal.clone()),
        deadline: runtime::layers::deadline::remaining().and_then(|left| Instant::now().checked_add(left)),
    }
}
