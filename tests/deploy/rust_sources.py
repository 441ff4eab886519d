"""What the Rust sources say of the services: addresses, settings that are known and read, metrics that are registered."""

import dataclasses
import functools
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMES = ("registry", "data-pipeline", "evaluator", "monitor", "gateway")
SUFFIXES = {"Counter": ("_total",), "Gauge": ("",), "Histogram": ("_bucket", "_sum", "_count")}


def struct_fields(text):
    """{struct: {field: type}} of a Rust file."""
    structs = {}
    for name, body in re.findall(r"struct (\w+)[^{;(]*\{(.*?)\n\}", text, re.S):
        structs[name] = dict(re.findall(r"^\s*(?:pub(?:\([a-z]+\))?\s+)?(\w+):\s*(.+?),?$", body, re.M))
    return structs


def source(service):
    """The files of a service that are not tests, with its config.rs left out."""
    folder = ROOT / "services" / service / "src"
    return [path for path in sorted(folder.rglob("*.rs")) if path.name != "config.rs"]


@functools.cache
def code(service):
    return "\n".join(path.read_text() for path in source(service))


def config_text(service):
    return (ROOT / "services" / service / "src/config.rs").read_text()


def port(service, field):
    return int(re.search(rf'\b{field}: "127\.0\.0\.1:(\d+)"', config_text(service))[1])


def reads(service, *path):
    """Whether a service reads a setting that every service's configuration has: `reads("gateway", "kv")`."""
    return re.search(r"\bconfig\." + r"\.".join(path) + r"\b", code(service)) is not None


def calls(service):
    """The services that a service calls."""
    return [other for other in NAMES if reads(service, "peers", other.replace("-", "_"))]


def known_settings(service):
    """Every key that a service's configuration has, as tuples: ("listen",), ("database", "url")."""
    names = ("runtime/src/config.rs", "runtime/src/transport.rs", "engine/src/session.rs", "engine/src/probe/mod.rs")
    structs = {}
    for text in [*((ROOT / "shared" / name).read_text() for name in names), config_text(service)]:
        structs |= struct_fields(text)

    def below(struct):
        for field, kind in structs[struct].items():
            kind = kind.rsplit("::")[-1]
            yield from [(field, *rest) for rest in below(kind)] if kind in structs else [(field,)]

    return set(below("Config"))


@dataclasses.dataclass(frozen=True)
class Metric:
    """A registered metric: its owner is a service, or `runtime` for what all five have."""

    name: str
    kind: str
    labels: frozenset
    owner: str
    path: pathlib.Path

    def samples(self):
        """The names and labels under which Prometheus keeps it."""
        bucket = {"_bucket": frozenset({"le"})}
        return {self.name + end: self.labels | bucket.get(end, frozenset()) for end in SUFFIXES[self.kind]}


def kind_of(text, held):
    """Kind and label names of what a field holds: a metric, or a family of them."""
    aliases = dict(re.findall(r"type (\w+) = (.+?);", text))
    held = aliases.get(held, held)
    family = re.match(r"Family<(\w+), *(\w+)", held)
    label, kind = family.groups() if family else (None, re.match(r"(\w+)", held)[1])
    return kind, frozenset(struct_fields(text)[label]) if label else frozenset()


@functools.cache
def metrics():
    """All metrics by name."""
    found = {}
    files = [(path, name) for name in NAMES for path in source(name)]
    files += [(path, "runtime") for path in sorted((ROOT / "shared/runtime/src").rglob("*.rs"))]
    for path, owner in files:
        text = path.read_text()
        pattern = r'\.register\(\s*"(wlp_\w+)",\s*(?:"[^"]*"|\w+),\s*([\w.]+)\.clone\(\),?\s*\)'
        registered = re.findall(pattern, text)
        assert len(registered) == len(re.findall(r'\.register\w*\(\s*"wlp_', text)), f"{path}: a registration is not understood"
        for name, handle in registered:
            field = rf"\b{handle.split('.')[-1]}:\s*([A-Z].*?),?$"
            # one that is handed on is a field of what it is handed to
            fields = re.findall(field, text, re.M) or re.findall(field, code(owner), re.M)
            held = [held for held in (kind_of(text, field) for field in fields) if held[0] in SUFFIXES]
            assert held, f"{path}: what does {handle} hold?"
            found[name] = Metric(name, *held[0], owner, path)
    return found


def samples():
    """{sample name: (labels, metric)} of all metrics."""
    return {name: (labels, metric) for metric in metrics().values() for name, labels in metric.samples().items()}


def values(metric, label):
    """The values that a label of a metric can have, where the sources fix them; None where they come from data."""
    if label == "service":
        return set(NAMES)
    if label == "code":
        return set(re.findall(r'Code::\w+ => "([A-Z_]+)"', (ROOT / "shared/runtime/src/observe.rs").read_text()))
    if (metric.owner, label) == ("gateway", "outcome"):
        return set(re.findall(r'outcome\("(\w+)"\)', metric.path.read_text()))
    if label in ("endpoint", "version", "rollout", "method", "le", "job", "instance"):
        return None
    return set(re.findall(r'"([a-z][a-z0-9_]*)"', code(metric.owner)))
