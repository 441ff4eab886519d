//! A call of this process's own gRPC service. A caller over HTTP passes the layers that every gRPC call passes: access,
//! deadline, metrics, log and trace are one for both.

use std::future::Future;

use axum::http::{HeaderMap, HeaderValue, Method, Request, header};
use bytes::{BufMut, Bytes, BytesMut};
use contracts::inference::ModelInferRequest;
use futures::{TryStreamExt, stream};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use prost::Message;
use tonic::body::Body;
use tonic::client::GrpcService;
use tonic::{Code, Status};

use super::Rest;

/// gRPC's prefix of a message: a flag and the length.
const PREFIX: usize = 5;
/// Key of `ModelInferRequest.raw_input_contents` on the wire: field 7, a length and that many bytes.
const RAW_INPUT: u8 = (7 << 3) | 2;
/// Headers that mean over gRPC what they mean over HTTP.
const FORWARDED: [&str; 3] = ["authorization", "wlp-key", "grpc-timeout"];

/// A gRPC message as it travels, in parts that follow each other.
pub type Framed = Vec<Bytes>;

impl Rest {
    /// Calls a method of `inference.GRPCInferenceService` with the headers of an HTTP request.
    ///
    /// The message is made after the caller was let in: a body is neither read nor parsed for one who was not. What is
    /// wrong with it is the status of the call, and is counted and logged as such.
    ///
    /// # Errors
    /// The status of the call.
    pub async fn call<A: Message + Default>(
        &self,
        method: &str,
        headers: &HeaderMap,
        message: impl Future<Output = Result<Framed, Status>> + Send + 'static,
    ) -> Result<A, Status> {
        let frames = stream::once(message)
            .map_ok(|parts| stream::iter(parts.into_iter().map(|part| Ok::<_, Status>(Frame::data(part)))))
            .try_flatten();
        let mut request = Request::new(Body::new(StreamBody::new(frames)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = format!("http://gateway/inference.GRPCInferenceService/{method}")
            .parse()
            .map_err(|_| Status::internal("no such method"))?;
        let grpc = HeaderValue::from_static("application/grpc");
        request.headers_mut().insert(header::CONTENT_TYPE, grpc);
        request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
        for name in FORWARDED {
            for value in headers.get_all(name) {
                request.headers_mut().append(name, value.clone());
            }
        }
        let mut peer = self.peer.clone();
        let (head, body) = GrpcService::call(&mut peer, request).await?.into_parts();
        refused(&head.headers)?;
        let whole = body.collect().await?;
        whole.trailers().map_or(Ok(()), refused)?;
        opened(&whole.to_bytes())
    }

    /// As [`Rest::call`], with a message that is known already.
    ///
    /// # Errors
    /// As [`Rest::call`].
    pub async fn ask<A: Message + Default>(
        &self,
        method: &str,
        headers: &HeaderMap,
        message: &impl Message,
    ) -> Result<A, Status> {
        self.call(method, headers, std::future::ready(Ok(framed(message)))).await
    }

    /// As [`Rest::call`], with a message that `make` reads from a JSON body.
    ///
    /// # Errors
    /// As [`Rest::call`].
    pub async fn tell<A: Message + Default, M: Message>(
        &self,
        method: &str,
        headers: &HeaderMap,
        body: axum::body::Body,
        make: impl FnOnce(&[u8]) -> Result<M, Status> + Send + 'static,
    ) -> Result<A, Status> {
        let (most, room, own) = (self.most, self.incoming.clone(), headers.clone());
        let message = async move {
            let body = super::body::read(body, &own, most, &room).await?;
            Ok(framed(&make(&body)?))
        };
        self.call(method, headers, message).await
    }
}

/// The status in headers or trailers, unless it is OK.
fn refused(headers: &HeaderMap) -> Result<(), Status> {
    match Status::from_header_map(headers) {
        Some(status) if status.code() != Code::Ok => Err(status),
        _ => Ok(()),
    }
}

/// The message behind its prefix. Tensors in it are slices of `framed`.
fn opened<A: Message + Default>(framed: &Bytes) -> Result<A, Status> {
    let whole = framed.len() >= PREFIX && framed[0] == 0;
    let message = whole.then(|| A::decode(framed.slice(PREFIX..)).ok()).flatten();
    message.ok_or_else(|| Status::internal("the answer cannot be read"))
}

/// A message with its prefix.
pub fn framed(message: &impl Message) -> Framed {
    let mut out = prefix(message.encoded_len());
    out.put_slice(&message.encode_to_vec());
    vec![out.freeze()]
}

/// As [`framed`], with the tensors as they are: each is a part of its own and is not copied.
pub fn framed_request(mut request: ModelInferRequest) -> Framed {
    let tensors = std::mem::take(&mut request.raw_input_contents);
    let head = request.encode_to_vec();
    let keys: Vec<Bytes> = tensors.iter().map(|tensor| key(tensor.len())).collect();
    let length = head.len() + keys.iter().chain(&tensors).map(Bytes::len).sum::<usize>();
    let mut parts = vec![prefix(length).freeze(), head.into()];
    parts.extend(keys.into_iter().zip(tensors).flat_map(|(key, tensor)| [key, tensor]));
    parts.retain(|part| !part.is_empty());
    parts
}

fn key(length: usize) -> Bytes {
    let mut out = BytesMut::with_capacity(1 + prost::length_delimiter_len(length));
    out.put_u8(RAW_INPUT);
    let _has_room = prost::encode_length_delimiter(length, &mut out);
    out.freeze()
}

/// Messages end far below 4 GiB: the body limit of the configuration is held before, gRPC's own after.
fn prefix(length: usize) -> BytesMut {
    let mut out = BytesMut::with_capacity(PREFIX);
    out.put_u8(0);
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use contracts::inference::model_infer_request::InferInputTensor;

    #[test]
    fn a_request_in_parts_is_the_message_and_its_tensors_are_not_copied() {
        let tensor = |name: &str| InferInputTensor { name: name.into(), ..Default::default() };
        let request = ModelInferRequest {
            model_name: "scorer".into(),
            inputs: vec![tensor("x"), tensor("y"), tensor("none")],
            raw_input_contents: vec![vec![1; 300].into(), vec![2; 3].into(), Bytes::new()],
            ..Default::default()
        };
        let parts = framed_request(request.clone());
        let kept = |tensor: &Bytes| parts.iter().any(|part| part.as_ptr() == tensor.as_ptr());
        assert!(request.raw_input_contents[..2].iter().all(kept));
        let whole = Bytes::from(parts.concat());
        assert_eq!(opened::<ModelInferRequest>(&whole).unwrap(), request);
        assert_eq!(whole[1..PREFIX], ((whole.len() - PREFIX) as u32).to_be_bytes());
        assert_eq!(opened::<ModelInferRequest>(&framed(&request).concat().into()).unwrap(), request);
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_ours() {
        for broken in [&b""[..], &[0, 0], &[1, 0, 0, 0, 0], &[0, 0, 0, 0, 1, 0xff]] {
            let status = opened::<ModelInferRequest>(&Bytes::copy_from_slice(broken)).unwrap_err();
            assert_eq!(status.code(), Code::Internal);
        }
    }
}
