//! Who calls, and whether that role may call this method. Deny is the default: a method without a row is not served.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response, header};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::Service;

use super::{Answer, Inner};
use crate::clock::Clock;
use crate::credentials::{Credentials, KeyError};

/// `("/package.Service/Method", roles)`. The role `*` is any authenticated caller, `public` needs no key.
pub type MethodTable = &'static [(&'static str, &'static [&'static str])];

/// Any authenticated caller.
pub const ANY: &str = "*";
/// No key needed.
pub const PUBLIC: &str = "public";

/// Rows for the methods that every service has, used where the table given has none.
const BUILT_IN: MethodTable = &[
    ("/grpc.health.v1.Health/Check", &[PUBLIC]),
    ("/grpc.health.v1.Health/List", &[PUBLIC]),
    ("/grpc.health.v1.Health/Watch", &[PUBLIC]),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &[ANY]),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &[ANY]),
];

/// Clause of the procedure that says who may do what.
const ROLES: &str = "§12";
/// Headers that only this layer may speak for.
const SPOOFABLE: &str = "x-wlp-";

/// Who is calling, as the credentials say; handlers find it in the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The principal: a role account, a program or a service.
    pub principal: String,
    /// What it is.
    pub kind: Kind,
    /// Its roles.
    pub roles: Vec<String>,
}

impl Caller {
    /// The caller of a request; for handlers behind the access layer.
    ///
    /// # Errors
    /// UNAUTHENTICATED if the method is public and no key came.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Self, Status> {
        request.extensions().get::<Self>().cloned().ok_or_else(missing)
    }

    /// True if the caller has the role.
    pub fn has(&self, role: &str) -> bool {
        self.roles.iter().any(|mine| mine == role)
    }

    /// What the caller holds, in words.
    pub fn held(&self) -> String {
        if self.roles.is_empty() { "none".to_owned() } else { self.roles.join(", ") }
    }

    /// The refusal of a caller without a role, in the shape of every refusal: clause, observed, required.
    pub fn lacks(&self, required: &str) -> String {
        format!("{ROLES} roles of {}: {}, required one of {required}", self.principal, self.held())
    }
}

/// What a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A human being.
    Person,
    /// A program that is not one of the services.
    Program,
    /// One of the five services.
    Service,
}

/// The principal, left in a response's extensions for the access log.
#[derive(Clone)]
pub(crate) struct Principal(pub(crate) String);

/// Checks key and role of each call before the handler sees it.
#[derive(Clone)]
pub struct AccessGuard<S> {
    inner: S,
    table: Arc<HashMap<&'static str, &'static [&'static str]>>,
    credentials: Credentials,
    clock: Clock,
}

impl<S> AccessGuard<S> {
    /// Guards `inner` with the rows of `table`; keys expire by `clock`.
    pub fn new(inner: S, table: MethodTable, credentials: Credentials, clock: Clock) -> Self {
        let table = BUILT_IN.iter().chain(table).copied().collect();
        Self { inner, table: Arc::new(table), credentials, clock }
    }

    fn admit(&self, path: &str, headers: &HeaderMap) -> Result<Option<Caller>, Status> {
        let Some(roles) = self.table.get(path) else {
            return Err(crate::status(Code::Unimplemented, "UNKNOWN_METHOD", "no such method", []));
        };
        let caller = key_of(headers).map(|key| self.credentials.verify(key, self.clock.now()));
        if roles.contains(&PUBLIC) {
            return Ok(caller.and_then(Result::ok));
        }
        let caller = caller.ok_or_else(missing)?.map_err(denied)?;
        if roles.contains(&ANY) || roles.iter().any(|role| caller.has(role)) {
            return Ok(Some(caller));
        }
        let text = format!("{}, for {path}", caller.lacks(&roles.join(", ")));
        let facts = [
            ("clause".into(), ROLES.to_owned()),
            ("method".into(), path.to_owned()),
            ("required".into(), roles.join(",")),
            ("observed".into(), caller.roles.join(",")),
        ];
        Err(crate::status(Code::PermissionDenied, "ROLE_REQUIRED", text, facts))
    }
}

impl<S: Inner> Service<Request<Body>> for AccessGuard<S> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Answer {
        let caller = match self.admit(request.uri().path(), request.headers()) {
            Ok(caller) => caller,
            Err(status) => return Box::pin(async move { Ok(status.into_http()) }),
        };
        strip(request.headers_mut());
        // In process the extensions travel along: what a caller put there is not evidence.
        request.extensions_mut().remove::<Caller>();
        let principal = caller.as_ref().map(|caller| Principal(caller.principal.clone()));
        if let Some(caller) = caller {
            tracing::Span::current().record("enduser.id", caller.principal.as_str());
            request.extensions_mut().insert(caller);
        }
        let answer = self.inner.call(request);
        Box::pin(async move {
            let mut response = answer.await?;
            if let Some(principal) = principal {
                response.extensions_mut().insert(principal);
            }
            Ok(response)
        })
    }
}

/// The key of `authorization: Bearer ...`; more than one such header counts as none.
fn key_of(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (one, more) = (all.next()?, all.next());
    let (scheme, key) = one.to_str().ok()?.split_once(' ')?;
    (more.is_none() && scheme.eq_ignore_ascii_case("bearer")).then(|| key.trim())
}

/// Handlers neither see the secret nor headers that claim an identity.
fn strip(headers: &mut HeaderMap) {
    headers.remove(header::AUTHORIZATION);
    let spoofed: Vec<_> =
        headers.keys().filter(|name| name.as_str().starts_with(SPOOFABLE)).cloned().collect();
    for name in spoofed {
        headers.remove(name);
    }
}

fn missing() -> Status {
    let text = "an API key is required: authorization: Bearer wlp_...";
    crate::status(Code::Unauthenticated, "KEY_MISSING", text, [])
}

fn denied(why: KeyError) -> Status {
    let reason = match why {
        KeyError::Unknown => "KEY_UNKNOWN",
        KeyError::Expired => "KEY_EXPIRED",
    };
    crate::status(Code::Unauthenticated, reason, why.to_string(), [])
}
