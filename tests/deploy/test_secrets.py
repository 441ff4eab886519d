"""deploy/docker/secrets.sh: whole or not at all, readable to user 65532, and what compose and the overlay ask for."""

import hashlib
import os
import re
import stat
import subprocess
import tomllib

import pytest
import secrets_tools
from conftest import ROOT, SERVICES, stores

READ_BY_SERVICES = ["credentials.toml", *(f"{service}.key" for service in SERVICES)]


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(params=[None, secrets_tools.real()] if secrets_tools.real() else [None], ids=lambda wlp: "real" if wlp else "stand-in")
def made(request, tmp_path):
    script, environment = secrets_tools.checkout(tmp_path, request.param)
    result = secrets_tools.run(script, environment)
    assert result.returncode == 0, result.stderr
    assert "wlp_" not in result.stdout + result.stderr, "a key is shown to nobody"
    return tmp_path, script, environment


def test_the_stand_in_takes_the_options_of_the_command():
    source = (ROOT / "services/wlp/src/cli/keys.rs").read_text()
    body = re.search(r"pub struct Create \{(.*?)\n\}", source, re.S)[1]
    options = set(re.findall(r'long = "(\w+)"', body)) | set(re.findall(r"#\[arg\(long(?:, [^\]]*)?\)\]\s+(\w+):", body))
    assert options == {"principal", "kind", "role", "file", "expires"}
    assert all(f'"--{option}"' in secrets_tools.STAND_IN for option in options)


def test_each_service_has_a_key_and_compose_finds_its_files(made, compose):
    root, _, _ = made
    rows = tomllib.loads((root / "secrets/credentials.toml").read_text())["key"]
    assert {row["principal"] for row in rows} == set(SERVICES)
    for row in rows:
        key = (root / "secrets" / f"{row['principal']}.key").read_text().strip()
        assert hashlib.sha256(key.encode()).hexdigest() == row["sha256"]
        assert (row["kind"], row["roles"]) == ("service", [row["principal"]]) and not row.get("development")
    for entry in compose["secrets"].values():
        assert (root / entry["file"]).stat().st_size > 0
    password = (root / "secrets/postgres.password").read_text()
    assert (root / ".env").read_text() == f"WLP_POSTGRES_PASSWORD={password}\n"
    addresses = dict(line.split("=", 1) for line in (root / "secrets/databases.env").read_text().splitlines())
    assert addresses == {
        service: f"postgres://wlp:{password}@postgres:5432/{service.replace('-', '_')}"
        for service in SERVICES if "postgres" in stores(service)}


def test_user_65532_reads_the_files_and_other_users_of_the_machine_do_not(made):
    root, _, _ = made
    assert mode(root / "secrets") == 0o700
    assert all(mode(root / "secrets" / name) & stat.S_IROTH for name in READ_BY_SERVICES)
    assert not any(mode(path) & 0o022 for path in (root / "secrets").iterdir())
    assert mode(root / ".env") == mode(root / "secrets/postgres.password") == mode(root / "secrets/databases.env") == 0o600
    if os.geteuid() != 0:
        return  # only root may become another user; the modes say the same
    root.chmod(0o755)
    for parent in root.parents:
        if parent.stat().st_uid == 0 and parent.name.startswith("pytest-"):
            parent.chmod(0o755)
    for name in READ_BY_SERVICES:
        # as a container sees it: the file alone, mounted into a folder that is open
        shown = root / "shown"
        shown.unlink(missing_ok=True)
        os.link(root / "secrets" / name, shown)
        subprocess.run(["cat", shown], user=65532, group=65532, extra_groups=[], check=True, capture_output=True)
        refused = subprocess.run(["cat", root / "secrets" / name], user=65532, group=65532, extra_groups=[], capture_output=True)
        assert refused.returncode != 0


def test_what_is_there_is_kept(made):
    root, script, environment = made
    before = {path: path.read_bytes() for path in [*(root / "secrets").iterdir(), root / ".env"]}
    assert secrets_tools.run(script, environment).returncode == 0
    assert {path: path.read_bytes() for path in before} == before
    assert len(list((root / "secrets").iterdir())) + 1 == len(before)


def test_a_password_that_is_in_use_stays(tmp_path):
    script, environment = secrets_tools.checkout(tmp_path)
    (tmp_path / ".env").write_text("OTHER=1\nWLP_POSTGRES_PASSWORD=in-use\n")
    assert secrets_tools.run(script, environment).returncode == 0
    assert (tmp_path / "secrets/postgres.password").read_text() == "in-use"
    assert (tmp_path / ".env").read_text() == "OTHER=1\nWLP_POSTGRES_PASSWORD=in-use\n"


def test_a_failure_half_way_leaves_nothing(tmp_path):
    script, environment = secrets_tools.checkout(tmp_path)
    result = secrets_tools.run(script, {**environment, "STAND_IN_FAILS": "gateway"})
    assert result.returncode != 0 and "no randomness" in result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"deploy", "stand-in"}


def test_a_folder_that_is_not_whole_is_refused(tmp_path):
    script, environment = secrets_tools.checkout(tmp_path)
    assert secrets_tools.run(script, environment).returncode == 0
    (tmp_path / "secrets/monitor.key").unlink()
    result = secrets_tools.run(script, environment)
    assert result.returncode != 0 and "monitor.key" in result.stderr


def test_the_overlays_folder_touches_nothing_else(made_secrets):
    assert {path.name for path in made_secrets.parent.parent.iterdir()} == {"deploy", "dev", "stand-in"}
    assert made_secrets.name == "secrets"


def test_compose_says_how():
    head = (ROOT / "docker-compose.yml").read_text().split("x-service")[0]
    assert "deploy/docker/secrets.sh" in head and os.access(ROOT / "deploy/docker/secrets.sh", os.X_OK)
