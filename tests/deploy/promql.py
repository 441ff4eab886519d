"""What a PromQL expression asks for, held against the metrics that the services register."""

import re

import promql_parser as parser
import rust_sources

TARGET = frozenset({"job", "instance"})  # what Prometheus adds to every sample


def parts(node):
    """A node and all below it."""
    yield node
    for field in ("lhs", "rhs", "expr", "vector_selector"):
        if hasattr(node, field):
            yield from parts(getattr(node, field))
    for argument in getattr(node, "args", []):
        yield from parts(argument)


def selectors(node):
    return [part for part in parts(node) if isinstance(part, parser.VectorSelector)]


def windows(node):
    """The lengths of all ranges in seconds."""
    return {part.range.total_seconds() for part in parts(node) if isinstance(part, parser.MatrixSelector)}


def selector_labels(selector):
    """The labels of what a selector finds; fails for a name, a label or a value that no service exports."""
    if selector.name == "up":
        return TARGET
    known = rust_sources.samples()
    assert selector.name in known, f"no service exports {selector.name}"
    own, metric = known[selector.name]
    for matcher in selector.matchers.matchers:
        assert matcher.name in own | TARGET, f"{selector.name} has no label {matcher.name}"
        possible = rust_sources.values(metric, matcher.name)
        if possible is not None:
            asked = set(matcher.value.split("|")) - {""}
            assert asked <= possible, f"{selector.name}: {matcher.name} is never {sorted(asked - possible)}"
    return own | TARGET


def labels(node):
    """The labels of an expression's result; fails where it groups by, or joins on, what is not there."""
    if isinstance(node, parser.VectorSelector):
        return selector_labels(node)
    if isinstance(node, parser.NumberLiteral):
        return None
    if isinstance(node, parser.AggregateExpr):
        inner = labels(node.expr)
        if node.modifier is None:
            return frozenset()
        assert node.modifier.type == parser.AggModifierType.By, "group by what stays"
        grouped = frozenset(node.modifier.labels)
        assert grouped <= inner, f"{node.expr.prettify()} has no label {sorted(grouped - inner)}"
        return grouped
    if isinstance(node, parser.Call):
        [inner] = [found for found in map(labels, node.args) if found is not None]
        if node.func.name == "histogram_quantile":
            assert "le" in inner, "a quantile needs the buckets"
            return inner - {"le"}
        return inner
    if isinstance(node, parser.BinaryExpr):
        sides = [side for side in (labels(node.lhs), labels(node.rhs)) if side is not None]
        assert node.modifier is None or node.modifier.matching is None, "both sides have the same labels here"
        assert len(set(sides)) <= 1, f"{node.prettify()} joins {[sorted(side) for side in sides]}"
        return sides[0] if sides else None
    if isinstance(node, parser.MatrixSelector):
        return labels(node.vector_selector)
    if isinstance(node, parser.ParenExpr):
        return labels(node.expr)
    raise AssertionError(f"{type(node).__name__} is not understood")


def bound(node, operator):
    """The number that a rule compares with by this operator."""
    found = [part.rhs.val for part in parts(node)
             if isinstance(part, parser.BinaryExpr) and str(part.op) == operator and isinstance(part.rhs, parser.NumberLiteral)]
    assert len(found) == 1, (operator, found)
    return found[0]


def named_in(text):
    """The labels that a summary (`{{ $labels.job }}`) or a legend (`{{job}}`) shows."""
    return set(re.findall(r"\{\{[^}]*\$labels\.(\w+)", text)) | set(re.findall(r"\{\{(\w+)\}\}", text))
