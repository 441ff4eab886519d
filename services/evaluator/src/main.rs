//! The evaluator as a process of its own.

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: evaluator::Config = runtime::config::load("evaluator")?;
    let _telemetry = runtime::telemetry::init("evaluator", &config.telemetry)?;
    let service = evaluator::build(&config, evaluator::Deps::connect(&config)?).await?;
    runtime::serve(config.listen()?, service, runtime::shutdown_signal()).await
}
