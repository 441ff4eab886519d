//! The shared memory extensions: what the service answers of them is passed on.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use contracts::inference as wire;
use prost::Message;
use serde_json::Value;
use tonic::Status;

use super::answer::{Refused, ok};
use super::fields::{self, Faults, is, members, once, whole};
use super::scan::{Kind, NotJson, Scanner};
use super::{Names, Rest, shown};

type Answer = Result<Response, Refused>;

/// `GET /v2/systemsharedmemory[/region/{region}]/status`.
pub async fn system_status(State(rest): State<Rest>, names: Names, headers: HeaderMap) -> Answer {
    let asked = wire::SystemSharedMemoryStatusRequest { name: names.region };
    let answer: wire::SystemSharedMemoryStatusResponse =
        rest.ask("SystemSharedMemoryStatus", &headers, &asked).await?;
    listed("SystemSharedMemoryStatusResponse.RegionStatus", answer.regions)
}

/// `GET /v2/cudasharedmemory[/region/{region}]/status`.
pub async fn cuda_status(State(rest): State<Rest>, names: Names, headers: HeaderMap) -> Answer {
    let asked = wire::CudaSharedMemoryStatusRequest { name: names.region };
    let answer: wire::CudaSharedMemoryStatusResponse =
        rest.ask("CudaSharedMemoryStatus", &headers, &asked).await?;
    listed("CudaSharedMemoryStatusResponse.RegionStatus", answer.regions)
}

/// Regions as a list, by name.
fn listed<M: Message>(name: &str, regions: impl IntoIterator<Item = (String, M)>) -> Answer {
    let mut regions: Vec<_> = regions.into_iter().collect();
    regions.sort_by(|(one, _), (other, _)| one.cmp(other));
    let all = regions.iter().map(|(_, region)| shown::whole(name, region)).collect::<Result<_, Status>>()?;
    Ok(ok(&Value::Array(all)))
}

/// `POST /v2/systemsharedmemory/region/{region}/register`.
pub async fn system_register(
    State(rest): State<Rest>,
    names: Names,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let asked = move |body: &[u8]| system(names.region, body);
    let _: wire::SystemSharedMemoryRegisterResponse =
        rest.tell("SystemSharedMemoryRegister", &headers, body, asked).await?;
    Ok(StatusCode::OK.into_response())
}

/// `POST /v2/cudasharedmemory/region/{region}/register`.
pub async fn cuda_register(State(rest): State<Rest>, names: Names, headers: HeaderMap, body: Body) -> Answer {
    let asked = move |body: &[u8]| cuda(names.region, body);
    let _: wire::CudaSharedMemoryRegisterResponse =
        rest.tell("CudaSharedMemoryRegister", &headers, body, asked).await?;
    Ok(StatusCode::OK.into_response())
}

/// `POST /v2/systemsharedmemory[/region/{region}]/unregister`.
pub async fn system_unregister(State(rest): State<Rest>, names: Names, headers: HeaderMap) -> Answer {
    let asked = wire::SystemSharedMemoryUnregisterRequest { name: names.region };
    let _: wire::SystemSharedMemoryUnregisterResponse =
        rest.ask("SystemSharedMemoryUnregister", &headers, &asked).await?;
    Ok(StatusCode::OK.into_response())
}

/// `POST /v2/cudasharedmemory[/region/{region}]/unregister`.
pub async fn cuda_unregister(State(rest): State<Rest>, names: Names, headers: HeaderMap) -> Answer {
    let asked = wire::CudaSharedMemoryUnregisterRequest { name: names.region };
    let _: wire::CudaSharedMemoryUnregisterResponse =
        rest.ask("CudaSharedMemoryUnregister", &headers, &asked).await?;
    Ok(StatusCode::OK.into_response())
}

fn system(name: String, body: &[u8]) -> Result<wire::SystemSharedMemoryRegisterRequest, Status> {
    let (mut key, mut offset, mut byte_size) = (None, None, None);
    members(body, |scanner, field, faults| {
        match field {
            "key" => once(&mut key, fields::text(scanner, field, faults)?, field, faults),
            "offset" => once(&mut offset, whole(scanner, field, faults)?, field, faults),
            "byte_size" => once(&mut byte_size, whole(scanner, field, faults)?, field, faults),
            _ => _ = scanner.skip()?,
        }
        Ok(())
    })?;
    let mut faults = Faults::default();
    let key = needed(key, "key", &mut faults);
    let byte_size = needed(byte_size, "byte_size", &mut faults);
    faults.done()?;
    let offset = offset.unwrap_or_default();
    Ok(wire::SystemSharedMemoryRegisterRequest { name, key, offset, byte_size })
}

fn cuda(name: String, body: &[u8]) -> Result<wire::CudaSharedMemoryRegisterRequest, Status> {
    let (mut handle, mut device_id, mut byte_size) = (None, None, None);
    members(body, |scanner, field, faults| {
        match field {
            "raw_handle" => once(&mut handle, raw_handle(scanner, field, faults)?, field, faults),
            "device_id" => once(&mut device_id, whole(scanner, field, faults)?, field, faults),
            "byte_size" => once(&mut byte_size, whole(scanner, field, faults)?, field, faults),
            _ => _ = scanner.skip()?,
        }
        Ok(())
    })?;
    let mut faults = Faults::default();
    let raw_handle = needed(handle, "raw_handle", &mut faults);
    let device_id = needed(device_id, "device_id", &mut faults);
    let byte_size = needed(byte_size, "byte_size", &mut faults);
    faults.done()?;
    Ok(wire::CudaSharedMemoryRegisterRequest { name, raw_handle, device_id, byte_size })
}

/// `{"b64": "..."}`.
fn raw_handle(
    scanner: &mut Scanner<'_>,
    field: &str,
    faults: &mut Faults,
) -> Result<Option<Vec<u8>>, NotJson> {
    let mut found = None;
    if is(scanner, Kind::Object, field, faults)? {
        let field = format!("{field}[b64]");
        scanner.object(|scanner, name| {
            if name != "b64" {
                return scanner.skip().map(|_| ());
            }
            let Some(text) = fields::text(scanner, &field, faults)? else { return Ok(()) };
            match BASE64_STANDARD.decode(text) {
                Ok(bytes) => once(&mut found, Some(bytes), &field, faults),
                Err(_) => faults.add(field.as_str(), "is not base64"),
            }
            Ok(())
        })?;
    }
    Ok(found)
}

fn needed<T: Default>(value: Option<T>, field: &str, faults: &mut Faults) -> T {
    value.unwrap_or_else(|| {
        faults.add(field, "is missing");
        T::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_registered_with_all_that_it_needs() {
        let read = system("r".into(), br#"{"key": "/k", "offset": 8, "byte_size": 64}"#).unwrap();
        assert_eq!((read.name.as_str(), read.key.as_str(), read.offset, read.byte_size), ("r", "/k", 8, 64));
        let wrong = system("r".into(), b"{}").unwrap_err();
        assert_eq!(wrong.message(), "key: is missing; byte_size: is missing");
        let wrong = system("r".into(), br#"{"key": 1, "byte_size": -1}"#).unwrap_err();
        assert!(wrong.message().contains("key: is a number") && wrong.message().contains("byte_size: is -1"));
        let body = br#"{"raw_handle": {"b64": "aGk="}, "device_id": 0, "byte_size": 64}"#;
        assert_eq!(cuda("r".into(), body).unwrap().raw_handle, b"hi");
        let wrong = cuda("r".into(), br#"{"raw_handle": {"b64": "?"}, "device_id": 0, "byte_size": 1}"#);
        assert_eq!(wrong.unwrap_err().message(), "raw_handle[b64]: is not base64");
    }
}
