"""The network policies, read as Kubernetes reads them: who reaches whom, wherever the stores and the watchers run."""

import itertools

import pytest
from conftest import REST, SERVICES, stores

LABEL = "app.kubernetes.io/name"
OWN, OTHER = "wlp", "elsewhere"


class Pod:
    def __init__(self, name, namespace=OWN, **labels):
        self.namespace, self.labels = namespace, {LABEL: name, **labels}


def matches(selector, labels):
    assert set(selector) <= {"matchLabels"}, "not understood"
    return selector.get("matchLabels", {}).items() <= labels.items()


def is_peer(peer, pod):
    """Without a namespaceSelector a peer is in the policies' own namespace; `{}` selects all."""
    assert set(peer) <= {"podSelector", "namespaceSelector"} and peer.get("namespaceSelector", {}) == {}, "not understood"
    there = pod.namespace == OWN or "namespaceSelector" in peer
    return there and matches(peer.get("podSelector", {}), pod.labels)


def allows(policies, pod, side, other, port, protocol="TCP"):
    """Whether a pod may send (Egress) or take (Ingress); one that no policy of that side selects may do all."""
    field, peers = {"Egress": ("egress", "to"), "Ingress": ("ingress", "from")}[side]
    selected = [policy["spec"] for policy in policies
                if pod.namespace == OWN and side in policy["spec"]["policyTypes"] and matches(policy["spec"]["podSelector"], pod.labels)]
    rules = [rule for spec in selected for rule in spec.get(field, [])]
    return not selected or any(
        any((entry["port"], entry.get("protocol", "TCP")) == (port, protocol) for entry in rule["ports"])
        and (peers not in rule or any(is_peer(peer, other) for peer in rule[peers]))
        for rule in rules)


def reaches(policies, source, target, port, protocol="TCP"):
    return allows(policies, source, "Egress", target, port, protocol) and allows(policies, target, "Ingress", source, port, protocol)


@pytest.fixture(scope="module")
def policies(dev):
    return [one for one in dev[0] if one["kind"] == "NetworkPolicy"]


@pytest.fixture(scope="module")
def base_policies(base):
    return [one for one in base if one["kind"] == "NetworkPolicy"]


def test_all_traffic_is_denied_by_default(base_policies):
    [spec] = [policy["spec"] for policy in base_policies if policy["metadata"]["name"] == "default-deny"]
    assert spec == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


@pytest.mark.parametrize("namespace", [OWN, OTHER])
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reaches_what_it_stores_in_and_the_collector(base_policies, service, namespace):
    ports = {"postgres": 5432, "redis": 6379, "otel-collector": 4317}
    needed = {*stores(service), "otel-collector"}
    for name, port in ports.items():
        assert reaches(base_policies, Pod(service), Pod(name, namespace), port) == (name in needed), name


@pytest.mark.parametrize("namespace", [OWN, OTHER])
@pytest.mark.parametrize("service", SERVICES)
def test_prometheus_reaches_the_metrics_and_nothing_else(base_policies, service, namespace):
    rpc, metrics, _ = SERVICES[service]
    assert reaches(base_policies, Pod("prometheus", namespace), Pod(service), metrics)
    for port in {rpc, REST.get(service, rpc)}:
        assert not reaches(base_policies, Pod("prometheus", namespace), Pod(service), port)
    assert not reaches(base_policies, Pod("grafana", namespace), Pod(service), metrics)


@pytest.mark.parametrize("caller, called", list(itertools.permutations(SERVICES, 2)))
def test_the_edges_are_the_calls(base_policies, caller, called):
    rpc, metrics, _ = SERVICES[called]
    assert reaches(base_policies, Pod(caller), Pod(called), rpc) == (called in SERVICES[caller][2])
    assert not reaches(base_policies, Pod(caller), Pod(called), metrics)
    assert called not in REST or not reaches(base_policies, Pod(caller), Pod(called), REST[called])


@pytest.mark.parametrize("service", SERVICES)
def test_programs_with_the_label_call_the_services(base_policies, service):
    for port in {SERVICES[service][0], REST.get(service, SERVICES[service][0])}:
        assert allows(base_policies, Pod(service), "Ingress", Pod("trainer", **{"wlp/client": "true"}), port)
        assert not allows(base_policies, Pod(service), "Ingress", Pod("trainer"), port)


@pytest.mark.parametrize("service", SERVICES)
def test_names_are_looked_up(base_policies, service):
    for protocol in ("UDP", "TCP"):
        assert allows(base_policies, Pod(service), "Egress", Pod("kube-dns", "kube-system"), 53, protocol)


def test_the_collector_hands_traces_to_jaeger(policies):
    assert reaches(policies, Pod("otel-collector"), Pod("jaeger"), 4317)
    assert not any(reaches(policies, Pod(service), Pod("jaeger"), 4317) for service in SERVICES)
    assert not reaches(policies, Pod("jaeger"), Pod("postgres"), 5432)
