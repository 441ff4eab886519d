"""What every check of the deploy files reads: the files themselves, and what the sources say of the five services."""

import pathlib

import pytest
import rust_sources
import secrets_tools
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
BASE = ROOT / "deploy/kubernetes/base"
DEV = ROOT / "deploy/kubernetes/dev"

# service: (gRPC port, metrics port, the services that it calls)
SERVICES = {
    name: (rust_sources.port(name, "listen"), rust_sources.port(name, "metrics_listen"), rust_sources.calls(name))
    for name in rust_sources.NAMES
}

# service: its port of HTTP/REST, where it has one
REST = {name: rust_sources.port(name, "rest_listen") for name in rust_sources.NAMES if ("rest_listen",) in rust_sources.known_settings(name)}


def ports(service):
    """{name: port} of all that a service listens on."""
    rpc, metrics, _ = SERVICES[service]
    return {"grpc": rpc, "metrics": metrics} | ({"rest": REST[service]} if service in REST else {})


def variable(service, *keys):
    """The environment variable of a setting: `WLP_DATA_PIPELINE__DATABASE__URL`."""
    return "__".join(["WLP_" + service.upper().replace("-", "_"), *(key.upper() for key in keys)])


def expected_environment(service):
    """What has to be set for a service outside one process, where its value is the same everywhere."""
    rpc, metrics, calls = SERVICES[service]
    values = {
        variable(service, "listen"): f"0.0.0.0:{rpc}",
        variable(service, "metrics_listen"): f"0.0.0.0:{metrics}",
        variable(service, "data_dir"): "/var/lib/wlp",
        variable(service, "telemetry", "otlp_endpoint"): "http://otel-collector:4317",
    }
    if service in REST:
        values[variable(service, "rest_listen")] = f"0.0.0.0:{REST[service]}"
    if rust_sources.reads(service, "kv"):
        values[variable(service, "kv", "url")] = "redis://redis:6379/"
    for peer in calls:
        values[variable(service, "peers", peer.replace("-", "_"))] = f"http://{peer}:{SERVICES[peer][0]}"
    return values


def useful_keys(service):
    """The variables that a service knows and reads. It refuses to start with one that it does not know; one that it knows
    and does not read, because the sections of all services are alike, would say what is not so."""
    keys = set()
    for path in rust_sources.known_settings(service):
        section = path[:2] if path[0] == "peers" else path[:1]
        if path[0] not in ("database", "kv", "peers") or rust_sources.reads(service, *section):
            keys.add(variable(service, *path))
    return keys


def stores(service):
    """What a service keeps its state in, with the port."""
    found = {"postgres": 5432} if rust_sources.reads(service, "database") else {}
    return found | ({"redis": 6379} if rust_sources.reads(service, "kv") else {})


def load(folder):
    """(objects, generated) of a kustomization and of those that it builds on; generated: {(kind, name): keys}."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    objects, generated = [], {}
    for name in kustomization.get("resources", []):
        if (folder / name).is_dir():
            below, made = load((folder / name).resolve())
            objects, generated = objects + below, generated | made
        else:
            objects += list(yaml.safe_load_all((folder / name).read_text()))
    for kind, field in (("Secret", "secretGenerator"), ("ConfigMap", "configMapGenerator")):
        for entry in kustomization.get(field, []):
            files = [text.split("=")[0] if "=" in text else pathlib.Path(text).name for text in entry.get("files", [])]
            generated[kind, entry["name"]] = files + [f"envs:{text}" for text in entry.get("envs", [])]
    return objects, generated


def pick(objects, kind, name):
    found = [one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name]
    assert len(found) == 1, (kind, name)
    return found[0]


@pytest.fixture(scope="session")
def compose():
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


@pytest.fixture(scope="session")
def base():
    """Every object of the kustomize base."""
    return load(BASE)[0]


@pytest.fixture(scope="session")
def dev():
    """Every object of the developer's overlay, and what it generates."""
    return load(DEV)


@pytest.fixture(scope="session")
def made_secrets(tmp_path_factory):
    """The folder that deploy/docker/secrets.sh makes for the overlay."""
    folder = tmp_path_factory.mktemp("checkout")
    script, environment = secrets_tools.checkout(folder)
    result = secrets_tools.run(script, environment, folder / "dev/secrets")
    assert result.returncode == 0, result.stderr
    return folder / "dev/secrets"
