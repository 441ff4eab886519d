"""The kustomize base and the developer's overlay: Kubernetes' own schemas, what is started, the hardening, what is referred to."""

import shutil
import subprocess

import kubernetes_validate
import pytest
import yaml
from conftest import BASE, DEV, ROOT, SERVICES, expected_environment, pick, ports, stores, useful_keys, variable

VERSION = "1.34"
LABEL = "app.kubernetes.io/name"
KINDS = {service: "StatefulSet" if service == "gateway" else "Deployment" for service in SERVICES}


def workloads(objects):
    return [one for one in objects if one["kind"] in ("Deployment", "StatefulSet")]


def pod_of(objects, service):
    return pick(objects, KINDS[service], service)["spec"]["template"]["spec"]


def test_schemas(dev):
    for manifest in dev[0]:
        kubernetes_validate.validate(manifest, VERSION, strict=True)


@pytest.mark.parametrize("folder", [BASE, DEV], ids=["base", "dev"])
def test_every_file_is_a_resource(folder):
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert {name for name in listed if name.endswith(".yaml")} == {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_started(base, service):
    rpc, _, _ = SERVICES[service]
    [container] = pod_of(base, service)["containers"]
    assert container["image"] == f"wlp/{service}"
    assert container["command"] == [f"/usr/local/bin/{service}"]
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == ports(service)
    assert container["startupProbe"]["grpc"]["port"] == rpc
    assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "metrics"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "metrics"}
    settings = pick(base, "ConfigMap", f"wlp-{service}")["data"]
    assert expected_environment(service).items() <= settings.items()
    secret = {entry["name"] for entry in container.get("env", [])}
    assert set(settings) | secret <= useful_keys(service)
    assert not any("DATABASE" in key for key in settings), "addresses with passwords are secrets"
    assert secret == ({variable(service, "database", "url")} if "postgres" in stores(service) else set())


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_kept_outlives_the_pod(base, service):
    workload = pick(base, KINDS[service], service)
    pod = workload["spec"]["template"]["spec"]
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts["data"] == "/var/lib/wlp"
    claims = {volume["name"]: volume.get("persistentVolumeClaim") for volume in pod["volumes"]}
    if workload["kind"] == "StatefulSet":
        assert [template["metadata"]["name"] for template in workload["spec"]["volumeClaimTemplates"]] == ["data"]
        assert workload["spec"]["serviceName"] == service and "data" not in claims
    else:
        pick(base, "PersistentVolumeClaim", claims["data"]["claimName"])
        assert workload["spec"]["strategy"] == {"type": "Recreate"} and workload["spec"]["replicas"] == 1


def test_hardening(dev):
    objects, _ = dev
    assert pick(objects, "Namespace", "wlp")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for workload in workloads(objects):
        pod = workload["spec"]["template"]["spec"]
        [container] = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("service", SERVICES)
def test_services_are_headless_so_that_clients_balance(base, service):
    spec = pick(base, "Service", service)["spec"]
    assert {port["name"]: port["port"] for port in spec["ports"]} == ports(service)
    assert all(port["targetPort"] == port["name"] for port in spec["ports"])
    assert spec["clusterIP"] == "None" and spec["selector"] == {LABEL: service}
    pick(base, "PodDisruptionBudget", service)


def test_the_parts_around_are_those_of_compose(dev, compose):
    objects, _ = dev
    for name in ("postgres", "redis", "otel-collector", "jaeger"):
        [container] = pick(objects, "Deployment", name)["spec"]["template"]["spec"]["containers"]
        assert container["image"] == compose["services"][name]["image"]
        exposed = {port["name"]: port["containerPort"] for port in container["ports"]}
        for port in pick(objects, "Service", name)["spec"]["ports"]:
            assert exposed[port["targetPort"]] == port["port"]
    reached = {"postgres": 5432, "redis": 6379, "otel-collector": 4317, "jaeger": 4317}
    for name, port in reached.items():
        assert port in [entry["port"] for entry in pick(objects, "Service", name)["spec"]["ports"]]


def references(pod):
    """(kind, name, keys) of what a pod takes from secrets and config maps."""
    for container in pod["containers"]:
        for entry in container.get("env", []):
            if "secretKeyRef" in entry.get("valueFrom", {}):
                yield "Secret", entry["valueFrom"]["secretKeyRef"]["name"], {entry["valueFrom"]["secretKeyRef"]["key"]}
        for entry in container.get("envFrom", []):
            yield "ConfigMap", entry["configMapRef"]["name"], set()
    for volume in pod["volumes"]:
        for part in volume.get("projected", {}).get("sources", []):
            yield "Secret", part["secret"]["name"], {item["key"] for item in part["secret"]["items"]}
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"], set()
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"], set()


def test_the_overlay_brings_every_secret_and_config_map_with_its_keys(dev, made_secrets):
    objects, generated = dev
    written = {one["metadata"]["name"] for one in objects if one["kind"] == "ConfigMap"}
    for workload in workloads(objects):
        for kind, name, keys in references(workload["spec"]["template"]["spec"]):
            if kind == "ConfigMap" and name in written:
                continue
            present = set()
            for key in generated[kind, name]:
                lines = (made_secrets.parent / key[5:]).read_text().splitlines() if key.startswith("envs:") else []
                present |= {line.split("=")[0] for line in lines} if lines else {key}
            assert keys <= present, (name, keys - present)


def rendered(made_secrets, folder):
    """What kustomize makes of the overlay, in a copy of the deploy folder with secrets in it."""
    tool = shutil.which("kubectl")
    if not tool:
        pytest.skip("missing: kubectl; the overlay is checked by its parts, not as kustomize renders it")
    shutil.copytree(ROOT / "deploy", folder / "deploy", ignore=shutil.ignore_patterns("secrets*", "bin*"))
    shutil.copytree(made_secrets, folder / "deploy/kubernetes/dev/secrets")
    result = subprocess.run([tool, "kustomize", folder / "deploy/kubernetes/dev"], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    return list(yaml.safe_load_all(result.stdout))


def test_kustomize_renders_the_overlay(made_secrets, tmp_path, dev):
    objects = rendered(made_secrets, tmp_path)
    assert len(objects) == len(dev[0]) + len(dev[1])
    names = {(one["kind"], one["metadata"]["name"]) for one in objects}
    for manifest in objects:
        kubernetes_validate.validate(manifest, VERSION, strict=True)
        assert manifest["kind"] == "Namespace" or manifest["metadata"]["namespace"] == "wlp"
    for workload in workloads(objects):
        pod = workload["spec"]["template"]["spec"]
        assert {(kind, name) for kind, name, _ in references(pod)} <= names
        own = workload["metadata"]["name"] in SERVICES
        assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is not own
        assert workload["spec"]["replicas"] == 1
