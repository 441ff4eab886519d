"""Runs deploy/docker/secrets.sh in a folder of the tests' own, with a stand-in for `wlp` or the real one."""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# `wlp keys create` as services/wlp/src/cli/keys.rs has it: the same options, a key on stdout, a row in a file for its owner only.
STAND_IN = f"""#!{sys.executable}
import argparse, hashlib, os, secrets, sys
if os.environ.get("STAND_IN_FAILS") in sys.argv:
    sys.exit("no randomness")
parser = argparse.ArgumentParser(allow_abbrev=False)
commands = parser.add_subparsers(required=True).add_parser("keys").add_subparsers(required=True)
create = commands.add_parser("create", allow_abbrev=False)
create.add_argument("--principal", required=True)
create.add_argument("--kind", required=True, choices=["person", "program", "service"])
create.add_argument("--role", required=True, action="append")
create.add_argument("--file", default="data/credentials.toml")
create.add_argument("--expires")
asked = parser.parse_args()
key = "wlp_" + secrets.token_urlsafe(32)
with open(os.open(asked.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as file:
    file.write(f'[[key]]\\nsha256 = "{{hashlib.sha256(key.encode()).hexdigest()}}"\\nprincipal = "{{asked.principal}}"\\n')
    file.write(f'kind = "{{asked.kind}}"\\nroles = {{asked.role}}\\ndevelopment = false\\n'.replace("'", '"'))
print(key)
print("the hash is in", asked.file, file=sys.stderr)
"""


def real():
    """The compiled command, where there is one."""
    folders = [os.environ.get("WLP_TEST_BIN_DIR"), os.path.join(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"), "release")]
    found = [pathlib.Path(folder) / "wlp" for folder in folders if folder]
    return next((path for path in found if os.access(path, os.X_OK)), None)


def checkout(folder, wlp=None):
    """A folder with the script at its place, and the environment to run it with."""
    script = folder / "deploy/docker/secrets.sh"
    script.parent.mkdir(parents=True)
    shutil.copy(ROOT / "deploy/docker/secrets.sh", script)
    if wlp is None:
        wlp = folder / "stand-in"
        wlp.write_text(STAND_IN)
        wlp.chmod(0o755)
    return script, {**os.environ, "WLP": str(wlp)}


def run(script, environment, *arguments):
    return subprocess.run(["bash", script, *arguments], env=environment, capture_output=True, text=True, timeout=60)
