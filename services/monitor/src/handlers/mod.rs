//! The generated service traits, implemented for [`Monitor`]: one file for each resource.

mod alerts;
mod callers;
mod canaries;
mod duties;
mod feedback;
mod findings;
mod labels;
mod observations;

use contracts::monitor::v1 as wire;
use runtime::ServiceBuilder;

use crate::Monitor;

/// A batch of a busy gateway with the histograms of many columns.
const MESSAGE_BYTES: usize = 32 << 20;

/// Adds every service of the monitor.
pub fn mount(builder: ServiceBuilder, monitor: &Monitor) -> ServiceBuilder {
    use wire::{
        alert_service_server::AlertServiceServer, canary_service_server::CanaryServiceServer,
        duty_service_server::DutyServiceServer, feedback_service_server::FeedbackServiceServer,
        observation_service_server::ObservationServiceServer,
    };
    builder
        .add(ObservationServiceServer::new(monitor.clone()).max_decoding_message_size(MESSAGE_BYTES))
        .add(AlertServiceServer::new(monitor.clone()))
        .add(CanaryServiceServer::new(monitor.clone()))
        .add(FeedbackServiceServer::new(monitor.clone()))
        .add(DutyServiceServer::new(monitor.clone()))
}
