//! The data-pipeline as a process of its own.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: data_pipeline::Config = runtime::config::load("data-pipeline")?;
    let _telemetry = runtime::telemetry::init("data-pipeline", &config.telemetry)?;
    let service = data_pipeline::build(&config, data_pipeline::Deps::connect(&config)?).await?;
    runtime::serve(config.listen()?, service, runtime::shutdown_signal()).await
}
