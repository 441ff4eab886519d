//! Health, metadata, configuration and statistics.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use contracts::inference as wire;
use serde_json::{Value, json};

use super::answer::{Refused, ok};
use super::{Names, Rest, shown};

type Answer = Result<Response, Refused>;

/// `GET /v2/health/live`.
pub async fn live(State(rest): State<Rest>, headers: HeaderMap) -> Answer {
    let asked = wire::ServerLiveRequest {};
    let answer: wire::ServerLiveResponse = rest.ask("ServerLive", &headers, &asked).await?;
    Ok(held(answer.live, &json!({"live": answer.live})))
}

/// `GET /v2/health/ready`.
pub async fn ready(State(rest): State<Rest>, headers: HeaderMap) -> Answer {
    let asked = wire::ServerReadyRequest {};
    let answer: wire::ServerReadyResponse = rest.ask("ServerReady", &headers, &asked).await?;
    Ok(held(answer.ready, &json!({"ready": answer.ready})))
}

/// `GET /v2/models/{model}[/versions/{version}]/ready`.
pub async fn model_ready(State(rest): State<Rest>, names: Names, headers: HeaderMap) -> Answer {
    let asked = wire::ModelReadyRequest { name: names.model.clone(), version: names.version };
    let answer: wire::ModelReadyResponse = rest.ask("ModelReady", &headers, &asked).await?;
    Ok(held(answer.ready, &json!({"name": names.model, "ready": answer.ready})))
}

/// The protocol says what holds by the status, 200 or 400; some clients read the body.
fn held(holds: bool, body: &Value) -> Response {
    let code = if holds { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    (code, ok(body)).into_response()
}

/// `GET /v2`.
pub async fn server(State(rest): State<Rest>, headers: HeaderMap) -> Answer {
    let asked = wire::ServerMetadataRequest {};
    let mut server: wire::ServerMetadataResponse = rest.ask("ServerMetadata", &headers, &asked).await?;
    server.extensions.extend(["binary_tensor_data".to_owned()]);
    server.extensions.sort();
    server.extensions.dedup();
    Ok(ok(&shown::whole("ServerMetadataResponse", &server)?))
}

/// `GET /v2/models/{model}[/versions/{version}]`.
pub async fn metadata(State(rest): State<Rest>, names: Names, headers: HeaderMap) -> Answer {
    let asked = wire::ModelMetadataRequest { name: names.model, version: names.version };
    let answer: wire::ModelMetadataResponse = rest.ask("ModelMetadata", &headers, &asked).await?;
    Ok(ok(&shown::whole("ModelMetadataResponse", &answer)?))
}

/// `GET /v2/models/{model}[/versions/{version}]/config`.
pub async fn config(State(rest): State<Rest>, names: Names, headers: HeaderMap) -> Answer {
    let asked = wire::ModelConfigRequest { name: names.model, version: names.version };
    let answer: wire::ModelConfigResponse = rest.ask("ModelConfig", &headers, &asked).await?;
    Ok(ok(&shown::whole("ModelConfig", &answer.config.unwrap_or_default())?))
}

/// `GET /v2/models[/{model}[/versions/{version}]]/stats`.
pub async fn statistics(State(rest): State<Rest>, names: Names, headers: HeaderMap) -> Answer {
    let asked = wire::ModelStatisticsRequest { name: names.model, version: names.version };
    let answer: wire::ModelStatisticsResponse = rest.ask("ModelStatistics", &headers, &asked).await?;
    Ok(ok(&shown::whole("ModelStatisticsResponse", &answer)?))
}
