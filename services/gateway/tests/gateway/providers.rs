//! Where a version really runs is told wherever somebody looks; how long its stages take is told in native histograms.
use super::stage::{Stage, request, until};
use contracts::inference as wire;
use contracts::inference::infer_parameter::ParameterChoice;
use engine::{Provider, ProviderPolicy};
use prometheus_client::encoding::prometheus_protobuf::prometheus_data_model::{Histogram, MetricFamily};
use prost::Message;

/// A gateway that wants CUDA, on a host that has it or not.
async fn served(has_it: bool, allow_fallback: bool) -> Stage {
    let mut stage = Stage::new().await;
    stage.stop().await;
    let preferred = vec![Provider::Cuda, Provider::Cpu];
    stage.config.infer.provider = ProviderPolicy { preferred, allow_fallback, ..ProviderPolicy::default() };
    if has_it {
        stage.engine.add_device(Provider::Cuda);
    }
    stage.start().await;
    stage.publish(1, vec![stage.backend("1.0.0", 1, 100, false)]);
    stage
}

fn metrics(stage: &Stage) -> String {
    stage.service.as_ref().unwrap().metrics().encode().unwrap()
}

#[tokio::test]
async fn the_provider_in_use_is_in_configuration_metrics_list_and_answers() {
    for (has_it, provider, kind) in [
        (true, "cuda", wire::model_instance_group::Kind::Gpu),
        (false, "cpu", wire::model_instance_group::Kind::Cpu),
    ] {
        let stage = served(has_it, true).await;
        stage.in_force(1).await;
        let mut client = stage.client();
        let answer = client.model_infer(request()).await.unwrap().into_inner();
        let told = answer.parameters["provider"].parameter_choice.clone();
        assert_eq!(told, Some(ParameterChoice::StringParam(provider.into())));
        let asked = wire::ModelConfigRequest { name: "scorer".into(), version: String::new() };
        let config = client.model_config(asked).await.unwrap().into_inner().config.unwrap();
        assert_eq!(config.parameters["provider"].string_value, provider);
        assert_eq!(config.instance_group[0].kind(), kind);
        assert_eq!(stage.served("1.0.0").await.provider, provider);
        let line = format!(
            "wlp_gateway_provider{{endpoint=\"scorer\",version=\"1.0.0\",provider=\"{provider}\"}} 1"
        );
        until(|| async { metrics(&stage).contains(&line) }).await;
        assert_eq!(metrics(&stage).matches("wlp_gateway_provider{").count(), 1);
    }
}

#[tokio::test]
async fn a_version_does_not_run_elsewhere_unless_that_is_allowed() {
    let stage = served(false, false).await;
    until(|| async { stage.served("1.0.0").await.state == "failed" }).await;
    let served = stage.served("1.0.0").await;
    assert!(served.error.contains("execution provider cuda is not available here"), "{}", served.error);
    assert!(stage.infer(request()).await.is_err());
    assert!(!metrics(&stage).contains("wlp_gateway_provider{"));
}

/// Observations in the native buckets; `None` of a histogram without them. Counts are told as differences to the bucket
/// before.
fn native_count(histogram: &Histogram) -> Option<u64> {
    if histogram.positive_span.is_empty() && histogram.zero_threshold == 0.0 {
        return None;
    }
    let (mut count, mut all) = (0_i64, histogram.zero_count);
    for delta in &histogram.positive_delta {
        count += delta;
        all += u64::try_from(count).unwrap();
    }
    Some(all)
}

#[tokio::test]
async fn stages_of_requests_are_native_histograms() {
    let stage = served(false, true).await;
    stage.in_force(1).await;
    for _ in 0..3 {
        stage.infer(request()).await.unwrap();
    }
    let shown = stage.service.as_ref().unwrap().metrics().encode_protobuf().unwrap();
    let (mut rest, mut families) = (shown.as_slice(), Vec::new());
    while !rest.is_empty() {
        families.push(MetricFamily::decode_length_delimited(&mut rest).unwrap());
    }
    for of in ["infer", "queue", "batch", "compute"] {
        let name = format!("wlp_gateway_{of}_duration_seconds");
        let family = families.iter().find(|family| family.name == name).unwrap();
        let labels: Vec<_> = family.metric[0].label.iter().map(|label| label.value.as_str()).collect();
        assert_eq!(labels, ["scorer", "1.0.0"], "{name}");
        let histogram = family.metric[0].histogram.as_ref().unwrap();
        assert_eq!((histogram.schema, histogram.sample_count), (3, 3), "{name}");
        assert_eq!(native_count(histogram), Some(3), "{name}");
        assert_eq!(histogram.bucket.last().unwrap().cumulative_count, 3, "{name}: the classic buckets too");
    }
}
