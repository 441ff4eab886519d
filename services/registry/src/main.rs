//! The registry as a process of its own.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: registry::Config = runtime::config::load("registry")?;
    let _telemetry = runtime::telemetry::init("registry", &config.telemetry)?;
    let service = registry::build(&config, registry::Deps::connect(&config)?).await?;
    runtime::serve(config.listen()?, service, runtime::shutdown_signal()).await
}
