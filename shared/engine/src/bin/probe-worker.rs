//! The worker that tries models, alone: for the tests of this crate, whose own program is no worker.

fn main() {
    engine::probe::answer_if_asked();
    eprintln!("this program is started by an engine that tries models; it does nothing by itself");
    std::process::exit(2);
}
