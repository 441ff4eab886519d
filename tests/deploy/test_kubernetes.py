"""The kustomize base: Kubernetes' own schemas, the hardening, and the edges of the run-time calls."""

import kubernetes_validate
import pytest
import yaml
from conftest import ROOT, SERVICES, allowed_keys, expected_environment

VERSION = "1.34"
LABEL = "app.kubernetes.io/name"


def pick(manifests, kind, name):
    found = [m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name]
    assert len(found) == 1, (kind, name)
    return found[0]


def test_schemas(manifests):
    for manifest in manifests:
        kubernetes_validate.validate(manifest, VERSION, strict=True)


def test_every_file_is_a_resource():
    base = ROOT / "deploy/kubernetes/base"
    listed = yaml.safe_load((base / "kustomization.yaml").read_text())["resources"]
    assert set(listed) == {path.name for path in base.glob("*.yaml")} - {"kustomization.yaml"}


@pytest.mark.parametrize("service", SERVICES)
def test_deployment(manifests, service):
    rpc, metrics, _ = SERVICES[service]
    deployment = pick(manifests, "Deployment", service)
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["command"] == [f"/usr/local/bin/{service}"]
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {"grpc": rpc, "metrics": metrics}
    assert container["startupProbe"]["grpc"]["port"] == rpc
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "metrics"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    settings = pick(manifests, "ConfigMap", f"wlp-{service}")["data"]
    assert expected_environment(service).items() <= settings.items()
    assert set(settings) | {entry["name"] for entry in container["env"]} <= allowed_keys(service)
    assert not any("DATABASE" in key for key in settings), "addresses with passwords are secrets"


@pytest.mark.parametrize("service", SERVICES)
def test_hardening(manifests, service):
    pod = pick(manifests, "Deployment", service)["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    pick(manifests, "PodDisruptionBudget", service)


@pytest.mark.parametrize("service", SERVICES)
def test_service_ports(manifests, service):
    rpc, metrics, _ = SERVICES[service]
    ports = {port["name"]: port["port"] for port in pick(manifests, "Service", service)["spec"]["ports"]}
    assert ports == {"grpc": rpc, "metrics": metrics}


def peers_of(rule, side):
    return {peer["podSelector"]["matchLabels"].get(LABEL) for peer in rule[side]}


def test_all_traffic_is_denied_by_default(manifests):
    spec = pick(manifests, "NetworkPolicy", "default-deny")["spec"]
    assert spec == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.parametrize("service", SERVICES)
def test_edges_are_the_calls(manifests, service):
    rpc, _, calls = SERVICES[service]
    spec = pick(manifests, "NetworkPolicy", service)["spec"]
    out = {name for rule in spec["egress"] for name in peers_of(rule, "to")}
    assert out & set(SERVICES) == set(calls)
    for rule in spec["egress"]:
        for name in peers_of(rule, "to") & set(SERVICES):
            assert [port["port"] for port in rule["ports"]] == [SERVICES[name][0]]
    [inward] = [rule for rule in spec["ingress"] if rule["ports"][0]["port"] == rpc]
    callers = {name for name, (_, _, others) in SERVICES.items() if service in others}
    assert peers_of(inward, "from") - {None} == callers
