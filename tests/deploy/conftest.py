"""What every check of the deploy files reads: the files themselves, and what the five services are."""

import pathlib

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]

# service: (gRPC port, metrics port, the services that it calls)
SERVICES = {
    "registry": (9001, 9101, []),
    "data-pipeline": (9002, 9102, ["registry"]),
    "evaluator": (9003, 9103, ["registry", "data-pipeline"]),
    "monitor": (9004, 9104, ["registry", "data-pipeline", "evaluator"]),
    "gateway": (8001, 8002, ["monitor", "registry"]),
}


def variable(service, *keys):
    """The environment variable of a setting: `WLP_DATA_PIPELINE__DATABASE__URL`."""
    return "__".join(["WLP_" + service.upper().replace("-", "_"), *keys])


def expected_environment(service):
    """What has to be set for a service outside one process, where its value is the same everywhere."""
    rpc, metrics, calls = SERVICES[service]
    values = {
        variable(service, "LISTEN"): f"0.0.0.0:{rpc}",
        variable(service, "METRICS_LISTEN"): f"0.0.0.0:{metrics}",
        variable(service, "DATA_DIR"): "/var/lib/wlp",
        variable(service, "TELEMETRY", "OTLP_ENDPOINT"): "http://otel-collector:4317",
    }
    for peer in calls:
        values[variable(service, "PEERS", peer.upper().replace("-", "_"))] = f"http://{peer}:{SERVICES[peer][0]}"
    return values


def allowed_keys(service):
    """Every key that a service's configuration knows, from the structs in the code: a misspelled one is refused at start."""
    sections = {
        "DATABASE": ["URL"], "KV": ["URL"], "TELEMETRY": ["LOG", "FILTER", "OTLP_ENDPOINT", "SAMPLE_RATIO"],
        "ACCESS": ["CREDENTIALS", "SERVICE_KEY", "SERVICE_KEY_FILE"], "CLOCK": ["SPEED", "FILE"],
        "PEERS": [name.upper().replace("-", "_") for name in SERVICES],
    }
    flat = {variable(service, key) for key in ("LISTEN", "METRICS_LISTEN", "DATA_DIR")}
    return flat | {variable(service, section, key) for section, keys in sections.items() for key in keys}


@pytest.fixture(scope="session")
def compose():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.fixture(scope="session")
def manifests():
    """Every object of the kustomize base, in the order of its resources."""
    base = ROOT / "deploy/kubernetes/base"
    names = yaml.safe_load((base / "kustomization.yaml").read_text())["resources"]
    return [document for name in names for document in yaml.safe_load_all((base / name).read_text())]
