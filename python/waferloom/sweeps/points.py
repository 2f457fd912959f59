"""Options with several values become points: dictionaries of options that JSON can hold."""

import itertools
import re

# What a point says besides other options of `waferloom.compile`, in the order of columns.
AXES = {"target": "wse3", "region": "auto", "stages": "auto", "context": None, "chunk": "none", "precision": "model",
        "objective": "balanced"}
WEIGHTS = ("int8", "int4", "fp8", "mxfp4")  # precisions of weights alone; the rest is f16


class PointError(ValueError):
    """An option has a value that no point can have."""


def tokens(text):
    """4096 of "4k" or 4096; PointError if it is none."""
    match = re.fullmatch(r"(\d+)(k?)", str(text))
    if not match or not int(match[1]):
        raise PointError(f"wants a number of tokens, such as 512 or 4k, not '{text}'")
    return int(match[1]) * (1024 if match[2] else 1)


def region(value):
    """ "auto" or "WxH", of that or of a pair."""
    if value in (None, "auto"):
        return "auto"
    text = value if isinstance(value, str) else "x".join(map(str, value))
    if not re.fullmatch(r"[1-9]\d*x[1-9]\d*", text):
        raise PointError(f"wants auto or WxH, not '{text}'")
    return text


def stages(value):
    if value in (None, "auto"):
        return "auto"
    if not re.fullmatch(r"[1-9]\d*", str(value)):
        raise PointError(f"wants auto or a number of regions, not '{value}'")
    return int(value)


def context(value):
    return None if value is None else tokens(value)


def chunk(value):
    """ "none", or the tokens of further entries as "16+64"."""
    if value in (None, "none", 0, "0", "", ()):
        return "none"
    parts = value.split("+") if isinstance(value, str) else [value] if isinstance(value, int) else value
    return "+".join(str(tokens(part)) for part in parts)


def targets(text):
    """ "wse3,hop=1..3" stands for three; "wse3,hop=1|4" for two."""
    parts = []
    for part in str(text).split(","):
        key, equals, value = part.partition("=")
        span = re.fullmatch(r"(\d+)\.\.(\d+)", value)
        if span and int(span[1]) > int(span[2]):
            raise PointError(f"has no number in '{part}'")
        values = list(map(str, range(int(span[1]), int(span[2]) + 1))) if span else value.split("|")
        parts.append([key + equals + each for each in values])
    return [",".join(choice) for choice in itertools.product(*parts)]


READERS = {"region": region, "stages": stages, "context": context, "chunk": chunk, "precision": str, "objective": str}


def values_of(name, given):
    """What one option stands for: a value, several, or a text with commas."""
    if name == "target":
        given = [given] if isinstance(given, str) else given
        return [each for text in given for each in targets(text)]
    if isinstance(given, str):
        given = given.split(",")
    elif not isinstance(given, (list, tuple)) or (name == "region" and given and isinstance(given[0], int)):
        given = [given]
    try:
        return [READERS[name](value) for value in given]
    except PointError as error:
        raise PointError(f"{name} {error}") from None


def grid(**axes):
    """All combinations of the values of AXES, the last one changing quickest; each once."""
    values = [list(dict.fromkeys(values_of(name, axes.get(name, usual)))) for name, usual in AXES.items()]
    return [dict(zip(AXES, choice, strict=True)) for choice in itertools.product(*values)]


def options_of(point):
    """A point as arguments of `waferloom.compile`."""
    options = {key: value for key, value in point.items() if key not in AXES}
    options |= {"target": point["target"], "context": point["context"], "objective": point["objective"]}
    if point["region"] != "auto":
        options["region"] = tuple(map(int, point["region"].split("x")))
    if point["stages"] != "auto":
        options["stages"] = point["stages"]
    if point["chunk"] != "none":
        options["chunks"] = list(map(int, point["chunk"].split("+")))
    if point["precision"] in WEIGHTS:
        return options | {"precision": "f16", "weights": point["precision"]}
    return options | {"precision": point["precision"]}
