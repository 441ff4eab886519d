"""Prometheus, the collector, Grafana and the example settings."""

import json
import os
import pathlib
import subprocess
import tomllib

import pytest
import yaml
from conftest import REST, ROOT, SERVICES, useful_keys, variable

RULES = ROOT / "deploy/prometheus/rules.yml"
DASHBOARD = ROOT / "deploy/grafana/dashboards/mesh.json"


def test_prometheus_reads_its_files_and_the_rules_fire_as_they_should():
    promtool = os.environ.get("WLP_TEST_PROMTOOL")
    if not promtool:
        pytest.skip("promtool is missing; tests/run says so")
    unit_tests = [pathlib.Path(__file__).with_name(name) for name in ("rules_test.yml", "volume_test.yml")]
    for arguments in (["check", "config", "prometheus.yml"], ["check", "rules", "rules.yml"], ["test", "rules", *unit_tests]):
        result = subprocess.run([promtool, *arguments], cwd=RULES.parent, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stdout + result.stderr


def test_every_service_is_scraped():
    jobs = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in jobs}
    assert targets == {service: [f"{service}:{metrics}"] for service, (_, metrics, _) in SERVICES.items()}


def test_collector_pipelines_use_what_is_declared():
    config = yaml.safe_load((ROOT / "deploy/otel/collector.yaml").read_text())
    for pipeline in config["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= set(config[kind])
    assert set(config["service"]["extensions"]) <= set(config["extensions"])
    assert config["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"] == "0.0.0.0:4317"


def test_dashboard_uses_a_provisioned_source():
    sources = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/sources.yaml").read_text())
    known = {source["uid"] for source in sources["datasources"]}
    panels = [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]
    assert {panel["datasource"]["uid"] for panel in panels} <= known
    assert len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.parametrize("service", SERVICES)
def test_example_settings(service):
    rpc, metrics, calls = SERVICES[service]
    settings = tomllib.loads((ROOT / f"deploy/config/{service}.toml").read_text())
    assert settings["listen"] == f"127.0.0.1:{rpc}" and settings["metrics_listen"] == f"127.0.0.1:{metrics}"
    assert settings.get("rest_listen") == (f"127.0.0.1:{REST[service]}" if service in REST else None)
    assert settings.get("peers", {}) == {c.replace("-", "_"): f"http://127.0.0.1:{SERVICES[c][0]}" for c in calls}

    def below(table, *path):
        for key, value in table.items():
            yield from below(value, *path, key) if isinstance(value, dict) else [variable(service, *path, key)]

    assert set(below(settings)) <= useful_keys(service)
