//! `wlp health URL`: grpc.health.v1, for people and for container health checks.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use runtime::Peer;
use tonic::Request;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

#[derive(Debug, Args)]
pub struct Health {
    /// `http://host:port` or `https://host:port` of a service.
    url: String,
    /// A service of the contracts, `wlp.registry.v1.ModelService`; without it, the whole.
    #[arg(long, default_value = "")]
    service: String,
    #[command(flatten)]
    secured: super::secured::Secured,
}

impl Health {
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let mut client = HealthClient::new(Peer::connect_with(&self.url, "", &self.secured.tls())?);
        let mut request = Request::new(HealthCheckRequest { service: self.service });
        request.set_timeout(Duration::from_secs(5));
        let status = client.check(request).await?.into_inner().status();
        println!("{}", status.as_str_name());
        Ok(if status == ServingStatus::Serving { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
