"""The Tiltfile, run with stand-ins for Tilt's functions, and the two scripts that lay new binaries into running pods."""

import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest
import starlark
from conftest import ROOT, SERVICES, ports, stores

DEV = ROOT / "deploy/docker/dev"


@pytest.fixture(scope="module")
def tilt():
    """What the Tiltfile asks of Tilt."""
    asked = {"local": [], "yaml": [], "local_resource": {}, "images": {}, "resources": {}, "contexts": []}
    module = starlark.Module()
    module.add_callable("allow_k8s_contexts", asked["contexts"].extend)
    module.add_callable("local", lambda command, **_: asked["local"].append(command))
    module.add_callable("kustomize", lambda path: path)
    module.add_callable("k8s_yaml", asked["yaml"].append)
    module.add_callable("local_resource", lambda name, **rest: asked["local_resource"].update({name: rest}))
    module.add_callable("sync", lambda here, there: [here, there])
    module.add_callable("docker_build", lambda ref, context, **rest: asked["images"].update({ref: {"context": context, **rest}}))
    module.add_callable("k8s_resource", lambda name, **rest: asked["resources"].update({name: rest}))
    text = (ROOT / "Tiltfile").read_text()
    starlark.eval(module, starlark.parse("Tiltfile", text, starlark.Dialect.extended()), starlark.Globals.standard())
    return asked


def test_it_applies_the_overlay_after_its_secrets_are_made(tilt):
    assert tilt["yaml"] == ["deploy/kubernetes/dev"]
    assert tilt["local"] == [["deploy/docker/secrets.sh", "deploy/kubernetes/dev/secrets"]]
    assert all("prod" not in context for context in tilt["contexts"]) and tilt["contexts"]


def test_sources_are_compiled_when_they_change(tilt):
    [settings] = tilt["local_resource"].values()
    [command] = settings["cmd"]
    assert os.access(ROOT / command, os.X_OK)
    assert all((ROOT / path).exists() for path in settings["deps"])
    for member in ("Cargo.toml", "Cargo.lock", "proto", "shared", "services", "deploy/policy"):
        assert member in settings["deps"]
    assert not any((ROOT / command).is_relative_to(ROOT / path) for path in settings["deps"]), "it would start itself again"


@pytest.mark.parametrize("service", SERVICES)
def test_a_new_binary_is_laid_over_the_old_one(tilt, service):
    image = tilt["images"][f"wlp/{service}"]
    context, binary = ROOT / image["context"], f"/usr/local/bin/{service}"
    assert (ROOT / image["dockerfile"]).is_file() and image["build_args"] == {"SERVICE": service}
    [[here, there]] = image["live_update"]
    # Tilt syncs from inside the image's context alone, and builds anew for any other file of `only`
    assert there == binary and (ROOT / here).relative_to(context) == pathlib.PurePath(image["only"][0])
    text = (ROOT / image["dockerfile"]).read_text()
    sources = {word for line in text.splitlines() if line.startswith("COPY") for word in line.split()[1:-1] if not word.startswith("--")}
    assert {source.replace("${SERVICE}", service) for source in sources} == set(image["only"])
    assert "COPY --chown=65532:65532 bin/${SERVICE} /usr/local/bin/${SERVICE}" in text, "the user may replace it"
    assert image["entrypoint"] == ["/usr/local/bin/reload", binary]
    assert "reload.sh /usr/local/bin/reload" in text


@pytest.mark.parametrize("service", SERVICES)
def test_pods_start_after_what_they_need(tilt, service):
    resource = tilt["resources"][service]
    assert resource["port_forwards"] == list(ports(service).values())
    assert set(resource["resource_deps"]) == {"binaries", *stores(service)}


def test_no_image_but_the_services_is_built(tilt):
    assert set(tilt["images"]) == {f"wlp/{service}" for service in SERVICES}


def write(path, text):
    path.write_text(text)
    path.chmod(0o755)


def until(what, seconds=20):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.05)


SERVICE = "#!/bin/sh\ntrap 'echo {name} ends; exit 7' TERM\necho {name} runs with $1\nwhile :; do sleep 0.1; done\n"


@pytest.fixture
def reloading(tmp_path):
    """A service under reload.sh, and a function that reads what it has said."""
    binary, log = tmp_path / "service", tmp_path / "log"
    write(binary, SERVICE.format(name="first"))
    with log.open("w") as out:
        process = subprocess.Popen(["sh", DEV / "reload.sh", binary, "argument"], stdout=out, stderr=out, start_new_session=True)
    yield process, binary, log.read_text
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_a_replaced_binary_is_started_again(reloading, tmp_path):
    process, binary, said = reloading
    until(lambda: "first runs with argument" in said())
    fresh = tmp_path / "fresh"
    write(fresh, SERVICE.format(name="second"))
    binary.unlink()  # as tar does: away first, then there and growing
    time.sleep(1.5)
    fresh.rename(binary)
    until(lambda: "second runs with argument" in said())
    assert "first ends" in said() and process.poll() is None


def test_an_end_by_a_signal_is_the_services_own(reloading):
    process, _, said = reloading
    until(lambda: "first runs" in said())
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 7 and "first ends" in said()


def test_a_service_that_ends_by_itself_is_not_started_again(tmp_path):
    binary = tmp_path / "service"
    write(binary, "#!/bin/sh\necho runs\nexit 3\n")
    result = subprocess.run(["sh", DEV / "reload.sh", binary], capture_output=True, text=True, timeout=20)
    assert (result.returncode, result.stdout) == (3, "runs\n")


def test_only_binaries_that_are_different_are_replaced(tmp_path):
    here = tmp_path / "deploy/docker/dev"
    here.mkdir(parents=True)
    shutil.copy(DEV / "binaries.sh", here)
    (tmp_path / "built").mkdir()
    docker = tmp_path / "tools/docker"
    docker.parent.mkdir()
    # stands for `docker build --output type=local,dest=FOLDER`: lays there what is in built/, always as new files
    write(docker, f"""#!/bin/sh
echo "$*" > {tmp_path}/asked
for word; do case $word in type=local,dest=*) cp -R {tmp_path}/built/. "${{word#type=local,dest=}}" ;; esac; done
""")
    environment = {**os.environ, "PATH": f"{docker.parent}:{os.environ['PATH']}"}

    def build(**contents):
        for name, text in contents.items():
            write(tmp_path / "built" / name, text)
        subprocess.run(["bash", here / "binaries.sh"], env=environment, check=True, capture_output=True, timeout=60)
        return {path.name: path.stat().st_ino for path in (here / "bin").iterdir()}

    (tmp_path / "built/onnxruntime").mkdir()
    write(tmp_path / "built/onnxruntime/libonnxruntime.so.1", "library")
    (tmp_path / "built/onnxruntime/libonnxruntime.so").symlink_to("libonnxruntime.so.1")
    first = build(registry="one", gateway="one")
    assert (here / "bin/onnxruntime/libonnxruntime.so").read_text() == "library"
    second = build(registry="one", gateway="two")
    assert first["registry"] == second["registry"] and first["gateway"] != second["gateway"]
    assert (here / "bin/gateway").read_text() == "two"
    assert {path.name for path in here.iterdir()} == {"binaries.sh", "bin"}, "nothing is left beside"
    asked = (tmp_path / "asked").read_text()
    assert "--target binaries" in asked and str(tmp_path / "deploy/docker/Dockerfile") in asked
