//! The monitor as a process of its own.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: monitor::Config = runtime::config::load("monitor")?;
    let _telemetry = runtime::telemetry::init("monitor", &config.telemetry)?;
    let service = monitor::build(&config, monitor::Deps::connect(&config)?).await?;
    runtime::serve(config.listen()?, service, runtime::shutdown_signal()).await
}
