//! The registry as a process of its own.

fn main() -> anyhow::Result<()> {
    // Started once more by itself, it tries one model and ends.
    engine::probe::answer_if_asked();
    serve()
}

#[tokio::main]
async fn serve() -> anyhow::Result<()> {
    let config: registry::Config = runtime::config::load("registry")?;
    let _telemetry = runtime::telemetry::init("registry", &config.telemetry)?;
    let service = registry::build(&config, registry::Deps::connect(&config)?).await?;
    runtime::serve(config.listen()?, service, runtime::shutdown_signal()).await
}
