//! The `wlp` binary.

fn main() -> std::process::ExitCode {
    wlp::cli::run()
}
