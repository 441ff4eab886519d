//! The gateway as a process of its own.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: gateway::Config = runtime::config::load("gateway")?;
    let _telemetry = runtime::telemetry::init("gateway", &config.telemetry)?;
    let service = gateway::build(&config, gateway::Deps::connect(&config)?).await?;
    runtime::serve(config.listen()?, service, runtime::shutdown_signal()).await
}
