"""Prometheus, the collector, Grafana and the example settings."""

import json
import os
import re
import subprocess
import tomllib

import promql_parser
import pytest
import yaml
from conftest import ROOT, SERVICES, useful_keys, variable

RULES = ROOT / "deploy/prometheus/rules.yml"
DASHBOARD = ROOT / "deploy/grafana/dashboards/mesh.json"


def expressions():
    rules = yaml.safe_load(RULES.read_text())
    found = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        found += [target["expr"].replace("$__rate_interval", "1m") for target in panel["targets"]]
    return found


def test_prometheus_reads_its_files():
    promtool = os.environ.get("WLP_TEST_PROMTOOL")
    if not promtool:
        pytest.skip("promtool is missing; tests/run says so")
    for arguments in (["check", "config", "prometheus.yml"], ["check", "rules", "rules.yml"]):
        result = subprocess.run([promtool, *arguments], cwd=RULES.parent, capture_output=True, text=True, timeout=60)
        assert result.returncode == 0, result.stdout + result.stderr


def test_every_service_is_scraped():
    jobs = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in jobs}
    assert targets == {service: [f"{service}:{metrics}"] for service, (_, metrics, _) in SERVICES.items()}


@pytest.mark.parametrize("expression", expressions())
def test_expression_parses_and_names_follow_the_style(expression):
    promql_parser.parse(expression)
    for name in re.findall(r"\b(wlp_\w+)", expression):
        assert re.fullmatch(r"wlp_(rpc|registry|pipeline|evaluator|gateway|monitor)_\w+", name)


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
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert {panel["datasource"]["uid"] for panel in panels} <= known
    assert len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.parametrize("service", SERVICES)
def test_example_settings(service):
    rpc, metrics, calls = SERVICES[service]
    settings = tomllib.loads((ROOT / f"deploy/config/{service}.toml").read_text())
    assert settings["listen"] == f"127.0.0.1:{rpc}" and settings["metrics_listen"] == f"127.0.0.1:{metrics}"
    assert settings.get("peers", {}) == {c.replace("-", "_"): f"http://127.0.0.1:{SERVICES[c][0]}" for c in calls}
    keys = set()
    for key, value in settings.items():
        keys |= {variable(service, key, k) for k in value} if isinstance(value, dict) else {variable(service, key)}
    assert keys <= useful_keys(service)
