//! The `wlp` binary.

fn main() -> std::process::ExitCode {
    // Started once more by itself, it tries one model or reads one input, and ends.
    engine::probe::answer_if_asked();
    data_pipeline::answer_if_asked();
    let code = wlp::cli::run();
    engine::settle();
    code
}
