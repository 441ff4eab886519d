//! The data-pipeline as a process of its own.

fn main() -> anyhow::Result<()> {
    // Started once more by itself, it reads one input and ends.
    data_pipeline::answer_if_asked();
    serve()
}

#[tokio::main]
async fn serve() -> anyhow::Result<()> {
    let config: data_pipeline::Config = runtime::config::load("data-pipeline")?;
    let _telemetry = runtime::telemetry::init("data-pipeline", &config.telemetry)?;
    let service = data_pipeline::build(&config, data_pipeline::Deps::connect(&config)?).await?;
    runtime::serve(config.listen()?, service, runtime::shutdown_signal()).await
}
