//! The five built in this process, each over the peers of those before it.

use runtime::{Peer, Service};

use super::MeshOptions;
use crate::reach::To;
use crate::settings::Settings;

/// A service that was built, with the addresses of its configuration: for gRPC, metrics and HTTP (the last two empty: none).
pub(super) type Built = (To, Service, [String; 3]);

/// Builds the five, the registry first; gives the monitor's loops too.
///
/// # Errors
/// If a folder or database cannot be used.
pub(super) async fn build(
    settings: Settings,
    options: &MeshOptions,
) -> anyhow::Result<([Built; 5], monitor::Monitor)> {
    let MeshOptions { clock, engine, keys, .. } = options;
    let credentials = keys.credentials();

    let config = settings.registry;
    let deps =
        registry::Deps { clock: clock.clone(), engine: engine.clone(), credentials: credentials.clone() };
    let registry = registry::build(&config, deps).await?;
    let called =
        |service: &Service, by: To| -> anyhow::Result<Peer> { Ok(service.peer(keys.key(by.name())?)?) };
    let listen_registry = [config.listen, config.metrics_listen, String::new()];

    let config = settings.data_pipeline;
    let asked = called(&registry, To::DataPipeline)?;
    let deps = data_pipeline::Deps::new(&asked, clock.clone(), credentials.clone());
    let pipeline = data_pipeline::build(&config, deps).await?;
    let listen_pipeline = [config.listen, config.metrics_listen, String::new()];

    let config = settings.evaluator;
    let (asked, splits) = (called(&registry, To::Evaluator)?, called(&pipeline, To::Evaluator)?);
    let deps = evaluator::Deps::new(clock.clone(), credentials.clone(), engine.clone(), asked, splits);
    let evaluator = evaluator::build(&config, deps).await?;
    let listen_evaluator = [config.listen, config.metrics_listen, String::new()];

    let config = settings.monitor;
    let clients = monitor::RegistryClients::over(&called(&registry, To::Monitor)?);
    let deps = monitor::Deps { clock: clock.clone(), credentials: credentials.clone(), registry: clients };
    let (monitor, loops) = monitor::assemble(&config, deps).await?;
    let listen_monitor = [config.listen, config.metrics_listen, String::new()];

    let config = settings.gateway;
    let clients = gateway::Clients::over(called(&registry, To::Gateway)?, called(&monitor, To::Gateway)?);
    let deps = gateway::Deps { clock: clock.clone(), engine: engine.clone(), credentials, clients };
    let gateway = gateway::build(&config, deps).await?;
    let listen_gateway = [config.listen, config.metrics_listen, config.rest_listen];

    let built = [
        (To::Registry, registry, listen_registry),
        (To::DataPipeline, pipeline, listen_pipeline),
        (To::Evaluator, evaluator, listen_evaluator),
        (To::Monitor, monitor, listen_monitor),
        (To::Gateway, gateway, listen_gateway),
    ];
    Ok((built, loops))
}
