//! What docker-compose.yml starts is what the binaries understand: commands, ports, environment, health checks.

use tests::processes::{Processes, compose, http_get};
use wlp::reach::To;

#[test]
fn the_compose_file_starts_the_five_binaries_on_their_ports() {
    let services = compose();
    for (to, rpc, metrics) in [
        (To::Registry, 9001, 9101),
        (To::DataPipeline, 9002, 9102),
        (To::Evaluator, 9003, 9103),
        (To::Monitor, 9004, 9104),
        (To::Gateway, 8001, 8002),
    ] {
        let service = &services[to.name()];
        let command = service["command"][0].as_str().expect("a command");
        assert_eq!(command, format!("/usr/local/bin/{}", to.name()));
        let ports: Vec<_> =
            service["ports"].as_sequence().expect("ports").iter().filter_map(|port| port.as_str()).collect();
        let mut wanted = vec![rpc, metrics];
        wanted.extend((to == To::Gateway).then_some(8000));
        assert_eq!(ports, wanted.iter().map(|port| format!("127.0.0.1:{port}:{port}")).collect::<Vec<_>>());
        let health: Vec<_> = service["healthcheck"]["test"]
            .as_sequence()
            .expect("a check")
            .iter()
            .filter_map(|word| word.as_str())
            .collect();
        assert_eq!(health, ["CMD", "/usr/local/bin/wlp", "health", &format!("http://127.0.0.1:{rpc}")]);
        let prefix = format!("WLP_{}__", to.name().to_uppercase().replace('-', "_"));
        for (key, _) in service["environment"].as_mapping().expect("an environment") {
            let key = key.as_str().expect("a name");
            assert!(
                key == "WLP_CONFIG_DIR" || key.starts_with(&prefix),
                "{key} is not read by {}",
                to.name()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_five_start_with_that_environment_and_show_health_readiness_and_metrics() {
    let Some(mut processes) = Processes::start(None).await else { return };
    for to in To::ALL {
        let at = processes.metrics_address(to);
        assert_eq!(http_get(at, "/livez").map(|(status, _)| status), Some(200), "{}", to.name());
        let health = std::process::Command::new(tests::processes::binaries().expect("binaries").join("wlp"))
            .args(["health", &format!("http://{}", processes.address(to))])
            .output()
            .expect("wlp");
        assert!(health.status.success(), "{}: {health:?}", to.name());
        // the call before is counted
        let (status, metrics) = http_get(at, "/metrics").expect("metrics");
        assert_eq!(status, 200);
        assert!(
            metrics.contains("# TYPE wlp_") && metrics.trim_end().ends_with("# EOF"),
            "{}: {metrics}",
            to.name()
        );
    }
    let live = http_get(processes.rest_address(), "/v2/health/live");
    assert_eq!(live, Some((200, r#"{"live":true}"#.to_owned())));
    // A call of each service is a JSON line with its trace.
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for to in To::ALL {
        let channel = tonic::transport::Endpoint::from_shared(format!("http://{}", processes.address(to)))
            .expect("an address")
            .connect()
            .await
            .expect("a connection");
        let traced = tower::ServiceBuilder::new()
            .map_request(move |mut request: http::Request<tonic::body::Body>| {
                let parent = format!("00-{trace}-00f067aa0ba902b7-01");
                request.headers_mut().insert("traceparent", parent.parse().expect("a header"));
                request
            })
            .service(channel);
        let path = "/wlp.registry.v1.Nothing/Ask";
        let refused = tests::raw::call(traced, path, bytes::Bytes::new()).await.expect_err("nobody has it");
        assert_eq!(refused.code(), tonic::Code::Unimplemented, "{refused:?}");
        let logged = tests::facts::eventually("a log line", || async {
            let log = processes.log(to);
            log.lines().find(|line| line.contains(trace)).map(str::to_owned)
        });
        let line: serde_json::Value = serde_json::from_str(&logged.await).expect("JSON");
        assert_eq!(line["trace_id"].as_str(), Some(trace), "{line}");
    }
    assert!(processes.alive());
    processes.scrape();
    processes.stop().await;
}
