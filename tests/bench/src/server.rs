//! A tonic server with one method and nothing else.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use prost::Message;
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// Bytes of one message at most; the gateway takes as much.
const MESSAGE: usize = 64 << 20;

/// The method.
pub trait Method: Clone + Send + Sync + 'static {
    /// Package and service.
    const SERVICE: &'static str;
    /// Name of the method in it.
    const NAME: &'static str;
    /// What it takes.
    type Request: Message + Default + 'static;
    /// What it answers.
    type Answer: Message + 'static;

    /// Answers on the thread that read the request.
    ///
    /// # Errors
    /// What the caller shall see.
    fn answer(&self, request: Self::Request) -> Result<Self::Answer, Status>;
}

/// Serves until the process is ended; prints the address, which port 0 leaves to the system.
///
/// # Errors
/// If it cannot listen there.
pub async fn serve(listen: SocketAddr, method: impl Method) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    println!("listening on {}", listener.local_addr()?);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    // The windows of the gateway, so that large messages flow alike.
    let mut server =
        Server::builder().initial_stream_window_size(1 << 20).initial_connection_window_size(4 << 20);
    Ok(server.add_service(Only(method)).serve_with_incoming(incoming).await?)
}

#[derive(Clone)]
struct Only<M>(M);

impl<M: Method> NamedService for Only<M> {
    const NAME: &'static str = M::SERVICE;
}

struct Call<M>(M);

impl<M: Method> UnaryService<M::Request> for Call<M> {
    type Response = M::Answer;
    type Future = Ready<Result<Response<M::Answer>, Status>>;

    fn call(&mut self, request: Request<M::Request>) -> Self::Future {
        ready(self.0.answer(request.into_inner()).map(Response::new))
    }
}

impl<M: Method> Service<http::Request<Body>> for Only<M> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let call = Call(self.0.clone());
        Box::pin(async move {
            if !request.uri().path().ends_with(M::NAME) {
                return Ok(Status::unimplemented("this server has one method").into_http());
            }
            let mut grpc = Grpc::new(ProstCodec::<M::Answer, M::Request>::default())
                .max_decoding_message_size(MESSAGE)
                .max_encoding_message_size(MESSAGE);
            Ok(grpc.unary(call, request).await)
        })
    }
}
