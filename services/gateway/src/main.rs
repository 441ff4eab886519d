//! The gateway as a process of its own.

fn main() -> anyhow::Result<()> {
    // Started once more by itself, it tries one model and ends.
    engine::probe::answer_if_asked();
    let served = serve();
    engine::settle();
    served
}

#[tokio::main]
async fn serve() -> anyhow::Result<()> {
    let config: gateway::Config = runtime::config::load("gateway")?;
    let _telemetry = runtime::telemetry::init("gateway", &config.telemetry)?;
    let service = gateway::build(&config, gateway::Deps::connect(&config)?).await?;
    runtime::serve(config.listen()?, service, runtime::shutdown_signal()).await
}
