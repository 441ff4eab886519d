//! Calls by name: any unary method of the contracts with fields given as text, answered as JSON. Behind `wlp get` and
//! `wlp list`, so that a new resource needs a row in a table and no code.

use anyhow::Context;
use bytes::{Buf, BufMut};
use prost::Message;
use prost_reflect::DynamicMessage;
use runtime::Peer;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Status};

use crate::wire_json;

/// Answers of this size are taken.
const MESSAGE_BYTES: usize = 64 << 20;

/// Calls `/package.Service/Method` with a request in the JSON form of its message, and gives the answer as JSON.
///
/// # Errors
/// If the method or a field does not exist, or the refusal of the service.
pub async fn call(peer: Peer, path: &str, request: serde_json::Value) -> anyhow::Result<serde_json::Value> {
    let pool = wire_json::pool()?;
    let (service, method) =
        path.trim_start_matches('/').split_once('/').context("a method is package.Service/Method")?;
    let service =
        pool.get_service_by_name(service).with_context(|| format!("the contracts have no {service}"))?;
    let method = service.methods().find(|one| one.name() == method).with_context(|| format!("no {path}"))?;
    let request = DynamicMessage::deserialize(method.input(), request).context(path.to_owned())?;
    let mut client = tonic::client::Grpc::new(peer).max_decoding_message_size(MESSAGE_BYTES);
    client.ready().await.map_err(|status| anyhow::anyhow!("{status}"))?;
    let path = path.parse().context("a method is a path")?;
    let answer = client.unary(Request::new(request.encode_to_vec()), path, Raw).await?;
    wire_json::to_json(method.output(), &answer.into_inner())
}

/// Messages as the bytes they are.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; buffer.remaining()];
        buffer.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}
