//! A built service: its handlers behind the layers, its tasks, metrics and readiness. Needs no socket.

use std::collections::HashSet;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tower::util::BoxCloneSyncService;

use crate::clock::Clock;
use crate::credentials::Credentials;
use crate::layers::access_log::AccessLog;
use crate::layers::auth::{AccessGuard, MethodTable};
use crate::layers::catch_panic::CatchPanic;
use crate::layers::codes::WireCodes;
use crate::layers::deadline::Deadline;
use crate::layers::known_fields::{KnownFields, Requests};
use crate::layers::metrics::{Metrics, RpcMetrics};
use crate::peer::{Peer, PeerError};
use crate::readiness::Readiness;
use crate::tasks::Tasks;
use crate::trace::ServerTrace;
use crate::transport::Transport;

/// The handlers of a service behind all its layers: what a TCP server and an in-process peer call.
pub type Stack = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

type Hook = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// Why a service could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The descriptor set cannot be read.
    #[error("descriptors: {0}")]
    Descriptors(#[from] prost::DecodeError),
    /// The descriptors contradict each other.
    #[error("descriptors: {0}")]
    Inconsistent(#[from] prost_reflect::DescriptorError),
    /// Reflection refused the descriptors.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// One of the five, ready to be served or to be called in process.
pub struct Service {
    pub(crate) name: &'static str,
    pub(crate) stack: Stack,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Metrics,
    pub(crate) readiness: Readiness,
    pub(crate) credentials: Credentials,
    pub(crate) health: Health,
    pub(crate) on_stop: Vec<Hook>,
    pub(crate) http: Option<axum::Router>,
    pub(crate) transport: Transport,
    streaming: Arc<HashSet<String>>,
}

impl Service {
    /// Starts a service by its name ("registry"); `tasks` hold its background work and its clock's name.
    pub fn builder(name: &'static str) -> ServiceBuilder {
        ServiceBuilder {
            name,
            routes: Routes::default(),
            served: Vec::new(),
            descriptors: None,
            tolerant: &[],
            table: &[],
            credentials: Credentials::none(),
            clock: Clock::real(),
            tasks: None,
            metrics: Metrics::new(),
            readiness: Readiness::new(),
            deadline: None,
            transport: Transport::default(),
            on_stop: Vec::new(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// This service as an in-process peer, called with `key`.
    ///
    /// # Errors
    /// [`PeerError`] if the key cannot be sent.
    pub fn peer(&self, key: &str) -> Result<Peer, PeerError> {
        Ok(Peer::local(self.stack.clone(), key)?.streaming(self.streaming.clone()))
    }

    /// The handlers behind the layers, for a [`Peer::local`] that outlives this value.
    pub fn stack(&self) -> Stack {
        self.stack.clone()
    }

    /// The same service with a router of its own beside gRPC (REST, a console), over HTTP/1.1 on the address
    /// [`crate::Listen::http`].
    #[must_use]
    pub fn with_http(mut self, router: axum::Router) -> Self {
        self.http = Some(router);
        self
    }

    /// Its router beside gRPC, for callers in this process.
    pub fn http(&self) -> Option<axum::Router> {
        self.http.clone()
    }

    /// Its background tasks; a mesh without sockets starts them with [`Tasks::start`].
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Its metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether it takes traffic.
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Stops a service that was never served: not ready, streams end, tasks stop, hooks run.
    pub async fn stop(mut self, grace: Duration) {
        self.readiness.stopping().cancel();
        self.health.show(false).await;
        self.readiness.draining().cancel();
        self.tasks.stop(grace).await;
        for hook in self.on_stop.drain(..) {
            hook().await;
        }
    }
}

/// Collects what a service is made of.
pub struct ServiceBuilder {
    name: &'static str,
    routes: Routes,
    served: Vec<&'static str>,
    descriptors: Option<&'static [u8]>,
    tolerant: &'static [&'static str],
    table: MethodTable,
    credentials: Credentials,
    clock: Clock,
    tasks: Option<Tasks>,
    metrics: Metrics,
    readiness: Readiness,
    deadline: Option<Duration>,
    transport: Transport,
    on_stop: Vec<Hook>,
}

impl ServiceBuilder {
    /// Adds a generated tonic server: `.add(ModelServiceServer::new(handler))`.
    #[must_use]
    #[allow(clippy::should_implement_trait)] // nothing is summed up
    pub fn add<S>(mut self, server: S) -> Self
    where
        S: tower::Service<Request<Body>, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        self.served.push(S::NAME);
        self.routes = self.routes.add_service(server);
        self
    }

    /// The encoded `FileDescriptorSet`, for reflection and to know which methods stream.
    #[must_use]
    pub fn descriptors(mut self, set: &'static [u8]) -> Self {
        self.descriptors = Some(set);
        self
    }

    /// Full names of services whose requests may have fields that the descriptors do not know: published protocols with
    /// clients of other versions.
    #[must_use]
    pub fn tolerant(mut self, services: &'static [&'static str]) -> Self {
        self.tolerant = services;
        self
    }

    /// Who may call what; a method without a row answers UNIMPLEMENTED.
    #[must_use]
    pub fn access(mut self, table: MethodTable, credentials: Credentials) -> Self {
        (self.table, self.credentials) = (table, credentials);
        self
    }

    /// The clock by which keys expire, and of the tasks if none are given.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Background tasks; they start when the service is served.
    #[must_use]
    pub fn tasks(mut self, tasks: Tasks) -> Self {
        self.tasks = Some(tasks);
        self
    }

    /// The metrics that the service's own parts have registered with.
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// The conditions under which it takes traffic.
    #[must_use]
    pub fn readiness(mut self, readiness: Readiness) -> Self {
        self.readiness = readiness;
        self
    }

    /// Another default deadline of unary calls than [`Transport::deadline_ms`].
    #[must_use]
    pub fn deadline(mut self, default: Duration) -> Self {
        self.deadline = Some(default);
        self
    }

    /// How its connections are held and secured once it is served.
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Work for the very end of the shutdown, after the tasks: closing databases, flushing spools.
    #[must_use]
    pub fn on_stop<F>(mut self, work: impl FnOnce() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.on_stop.push(Box::new(move || Box::pin(work())));
        self
    }

    /// Puts health, reflection and the layers on. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// [`BuildError`] if the descriptors are not a descriptor set.
    pub fn build(self) -> Result<Service, BuildError> {
        let (reporter, server) = tonic_health::server::health_reporter();
        let mut routes = self.routes.add_service(server);
        let mut streaming = HashSet::from([
            "/grpc.health.v1.Health/Watch".to_owned(),
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo".to_owned(),
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo".to_owned(),
        ]);
        let mut requests = Requests::new();
        if let Some(set) = self.descriptors {
            requests = crate::descriptors::single_requests(set, self.tolerant)?;
            streaming.extend(crate::descriptors::streaming_methods(set)?);
            routes = reflection(routes, set, &self.served)?;
        }
        let streaming = Arc::new(streaming);
        let tasks = self.tasks.unwrap_or_else(|| Tasks::new(self.name, self.clock.clone()));
        let known = Arc::new(self.table.iter().map(|(path, _)| (*path).to_owned()).collect());
        let draining = self.readiness.draining().clone();
        let deadline = self.deadline.unwrap_or(self.transport.deadline());

        let stack = KnownFields::new(routes.prepare(), requests);
        let stack = Deadline::new(stack, deadline, streaming.clone(), draining);
        let stack = AccessGuard::new(stack, self.table, self.credentials.clone(), self.clock);
        let stack = CatchPanic::new(WireCodes::new(stack));
        let stack = RpcMetrics::new(AccessLog::new(stack, self.name), self.name, known, &self.metrics);
        let stack = Stack::new(ServerTrace::new(stack, self.name));

        let health = Health { reporter, served: self.served };
        tasks.once("health", health.clone().follow(self.readiness.clone(), tasks.stopping()));
        Ok(Service {
            name: self.name,
            stack,
            tasks,
            metrics: self.metrics,
            readiness: self.readiness,
            credentials: self.credentials,
            health,
            on_stop: self.on_stop,
            http: None,
            transport: self.transport,
            streaming,
        })
    }
}

/// Reflection over what is served, in both versions that clients in use ask for.
fn reflection(
    routes: Routes,
    set: &'static [u8],
    served: &[&'static str],
) -> Result<Routes, tonic_reflection::server::Error> {
    let builder = || {
        let with_health = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(set)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("grpc.health.v1.Health");
        served.iter().fold(with_health, |builder, name| builder.with_service_name(*name))
    };
    let v1 = builder().with_service_name("grpc.reflection.v1.ServerReflection").build_v1()?;
    let v1alpha = builder().with_service_name("grpc.reflection.v1alpha.ServerReflection").build_v1alpha()?;
    Ok(routes.add_service(v1).add_service(v1alpha))
}

/// `grpc.health.v1`: the readiness of the whole, under "" and under each service's name.
#[derive(Clone)]
pub(crate) struct Health {
    reporter: HealthReporter,
    served: Vec<&'static str>,
}

impl Health {
    pub(crate) async fn show(&self, ready: bool) {
        let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        for name in std::iter::once(&"").chain(&self.served) {
            self.reporter.set_service_status(name, status).await;
        }
    }

    async fn follow(self, readiness: Readiness, stop: tokio_util::sync::CancellationToken) {
        let mut conditions = readiness.watch();
        loop {
            self.show(readiness.is_ready()).await;
            tokio::select! {
                () = stop.cancelled() => return,
                changed = conditions.changed() => if changed.is_err() { return },
            }
        }
    }
}
