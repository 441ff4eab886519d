//! Takes traces over OTLP and forgets them, so that a server under measurement exports its spans as it would at work.

use std::net::SocketAddr;

use clap::Parser;
use serving_bench::server;
use tonic::Status;

/// Answers every export of spans with success.
#[derive(Debug, Parser)]
struct Args {
    /// Where to listen; port 0 is a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

#[derive(Clone)]
struct Sink;

impl server::Method for Sink {
    const SERVICE: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
    const NAME: &'static str = "Export";
    // Read as a message without fields: nothing of the spans is decoded.
    type Request = ();
    type Answer = ();

    fn answer(&self, (): ()) -> Result<(), Status> {
        Ok(())
    }
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(server::serve(args.listen, Sink))
}
