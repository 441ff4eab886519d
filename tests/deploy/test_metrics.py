"""The alert rules and the dashboard ask for what the services export, with the policy's numbers."""

import json
import math
import os
import pathlib
import re

import promql
import promql_parser
import pytest
import rust_sources
import yaml
from conftest import ROOT

RULES = [rule for group in yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((ROOT / "deploy/grafana/dashboards/mesh.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
# PyYAML is YAML 1.1: there a plain text in braces must not end with a question mark
POLICY = yaml.safe_load((ROOT / "deploy/policy/wlp-mldev-001.yaml").read_text().replace("?,", ","))
ALERTS = {alert["metric"]: alert for alert in POLICY["monitoring"]["alerts"]}
NINE_ONE = [rule for rule in RULES if "metric" in rule.get("labels", {})]


def shown():
    """Every expression with where it is and the text that shows its result."""
    for rule in RULES:
        yield pytest.param(rule["expr"], rule["annotations"]["summary"], id=rule["alert"])
    for panel in PANELS:
        for target in panel["targets"]:
            yield pytest.param(target["expr"], target["legendFormat"], id=f"{panel['title']} {target['refId']}")


def parsed(expression):
    return promql_parser.parse(expression.replace("$__rate_interval", "1m"))


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)([smhd])", text).groups()
    return int(number) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]


@pytest.mark.parametrize("expression, text", list(shown()))
def test_names_labels_and_values_are_exported(expression, text):
    found = promql.labels(parsed(expression))
    assert promql.named_in(text) <= found, f"{sorted(promql.named_in(text) - found)} is not in the result"


@pytest.mark.parametrize("wrong", [
    "wlp_gateway_infer_failures_total",
    "sum by (deployment) (wlp_gateway_requests_total)",
    'rate(wlp_gateway_requests_total{outcome="failed"}[1m])',
    'rate(wlp_gateway_requests_total{deployment="d"}[1m])',
    "wlp_gateway_requests",
    "sum by (endpoint) (rate(wlp_gateway_requests_total[1m])) / sum by (version) (rate(wlp_gateway_requests_total[1m]))",
    "histogram_quantile(0.95, sum by (endpoint) (rate(wlp_gateway_infer_duration_seconds_bucket[1m])))",
])
def test_the_check_finds_what_is_not_exported(wrong):
    with pytest.raises(AssertionError):
        promql.labels(parsed(wrong))


@pytest.mark.parametrize("metric", [rule["labels"]["metric"] for rule in NINE_ONE])
def test_an_alert_of_section_9_1_has_the_policys_numbers(metric):
    [rule] = [rule for rule in NINE_ONE if rule["labels"]["metric"] == metric]
    policy, tree = ALERTS[metric], parsed(rule["expr"])
    assert policy["fires"] == ">" and rule["labels"]["category"] == policy["category"]
    unit = 1000 if metric.endswith("-ms") else 1
    assert promql.bound(tree, ">") * unit == policy["threshold"]
    assert promql.bound(tree, ">=") == policy["min_samples"]
    assert promql.windows(tree) == {seconds(policy["window"])}
    assert "for" not in rule, "one window is enough"
    assert seconds(rule["keep_firing_for"]) == POLICY["monitoring"]["quiet_windows"]["value"] * seconds(policy["window"])


def test_what_the_gateway_counts_is_watched_without_the_monitor():
    assert {rule["labels"]["metric"] for rule in NINE_ONE} == {"latency-p95-ms", "error-rate", "volume-drop"}


def test_a_bucket_ends_at_each_threshold_of_latency():
    text = rust_sources.metrics()["wlp_gateway_infer_duration_seconds"].path.read_text()
    [bounds] = re.findall(r"const BUCKETS: \[f64; \d+\] = \[(.*?)\];", text, re.S)
    bounds = {float(bound) for bound in bounds.replace("_", "").replace("\n", "").split(",") if bound.strip()}
    triggers = {row["trigger"]: row["above"] for row in POLICY["rollout"]["triggers"]}
    assert {ALERTS["latency-p95-ms"]["threshold"] / 1000, triggers["latency-p95"] / 1000} <= bounds


def lines(title):
    [panel] = [panel for panel in PANELS if panel["title"] == title]
    return [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"][1:]]


def test_the_dashboards_lines_are_the_policys():
    rollback = {row["trigger"]: row["above"] for row in POLICY["rollout"]["triggers"]}
    breaker = {key: entry["value"] for key, entry in POLICY["rollout"]["breaker"].items()}
    assert lines("Error rate") == [ALERTS["error-rate"]["threshold"], rollback["error-rate"]]
    assert lines("Latency") == [ALERTS["latency-p95-ms"]["threshold"] / 1000, rollback["latency-p95"] / 1000]
    assert lines("Canary error rate") == [breaker["max_error_rate"]]
    assert lines("Evidence of the breaker") == [pytest.approx(-math.log(breaker["error_budget"]), abs=1e-5)]
    levels = POLICY["monitoring"]["service_levels"]
    assert lines("Availability over 30 days") == [levels["availability"]["value"]]
    assert f"[{levels['period']['value']}]" in next(p for p in PANELS if p["title"].startswith("Availability"))["targets"][0]["expr"]


def test_the_dashboard_has_every_category_of_section_9_1():
    rows = " ".join(panel["title"].lower() for panel in DASHBOARD["panels"] if panel["type"] == "row")
    assert all(row["category"] in rows for row in POLICY["monitoring"]["dashboard"])


def test_open_alerts_are_shown_by_every_rule_of_the_monitor():
    words = re.search(r"fn rule_word.*?\n\}", (ROOT / "services/monitor/src/convert/alert.rs").read_text(), re.S)[0]
    rules = set(re.findall(r'=> "(\w+)"', words))
    assert len(rules) == len(ALERTS)
    asked = "|".join(target["expr"] for panel in PANELS for target in panel["targets"] if "wlp_monitor_alerts_open{" in target["expr"])
    by_panel = set(re.findall(r"\w+", asked))
    # latency, errors and volume have panels of their own numbers
    assert rules - by_panel == {"latency_p95", "error_rate", "volume_drop"}


def test_panels_do_not_overlap():
    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells


def scrape(text):
    """({family: kind}, {sample: labels}) of an OpenMetrics text, or of several one after the other."""
    kinds = dict(re.findall(r"^# TYPE (wlp_\w+) (\w+)$", text, re.M))
    samples = {}
    for name, inside in re.findall(r"^(wlp_\w+)(?:\{(.*)\})? \S+$", text, re.M):
        samples.setdefault(name, set()).update(re.findall(r'(\w+)="', inside))
    return kinds, samples


def differences(text):
    """Where a scrape of the five services is not what the sources register."""
    kinds, samples = scrape(text)
    registered, known = rust_sources.metrics(), rust_sources.samples()
    for family, kind in kinds.items():
        if family not in registered or registered[family].kind.lower() != kind:
            yield f"{family} is a {kind}"
    for name, found in samples.items():
        if name not in known or found != known[name][0]:
            yield f"{name} has the labels {sorted(found)}"
    # a family without labels is there from the start; one with labels, once something has happened
    for name, metric in registered.items():
        if not metric.labels and name not in kinds:
            yield f"{name} is missing"


def exported(metric):
    """What a service writes of a metric."""
    yield f"# TYPE {metric.name} {metric.kind.lower()}"
    for name, names in metric.samples().items():
        inside = ",".join(f'{label}="1"' for label in sorted(names))
        yield f"{name}{{{inside}}} 1.0" if inside else f"{name} 1"


def test_a_scrape_is_compared_by_name_kind_and_labels():
    text = "\n".join(line for metric in rust_sources.metrics().values() for line in exported(metric)) + "\n# EOF\n"
    assert list(differences(text)) == []
    for old, new in [
        ("wlp_gateway_requests", "wlp_gateway_infers"), ("endpoint=", "deployment="),
        ("TYPE wlp_monitor_windows gauge", "TYPE wlp_monitor_windows counter"),
        ("# TYPE wlp_evaluator_running gauge\nwlp_evaluator_running 1\n", ""),
    ]:
        assert old in text and list(differences(text.replace(old, new))), old


def test_a_real_scrape_has_what_the_sources_say():
    """What the process tests scraped from the five services is in the file that WLP_TEST_METRICS names."""
    text = pathlib.Path(os.environ["WLP_TEST_METRICS"]).read_text()
    assert list(differences(text)) == []
