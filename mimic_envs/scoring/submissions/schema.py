"""The part of JSON Schema that `submission.schema.json` needs: all violations, in plain words.

Every string, keys included, must be a line that can be shown as it is, see `mimic_envs.text`.
The formats `name` and `person` are stricter: such names cannot be taken for others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from mimic_envs.text import name_fault, person_fault, plain

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
}
_KEYWORDS = """
$schema additionalProperties const enum format items maxItems maxLength maxProperties maximum
minItems minLength minimum pattern properties required title type
"""
_KNOWN = frozenset(_KEYWORDS.split())


def violations(value: Any, schema: dict[str, Any], where: str = "") -> Iterator[str]:
    """What of a JSON value is not as a schema has it.

    Args:
        value: Parsed JSON.
        schema: A JSON Schema with the keywords of `_KNOWN` only.
        where: Where the value is, for the messages.

    Raises:
        NotImplementedError: The schema has another keyword.
    """
    if unknown := set(schema) - _KNOWN:
        raise NotImplementedError(f"JSON Schema keywords {sorted(unknown)}")
    shown = where or "the file"
    if "const" in schema and (value != schema["const"] or type(value) is not type(schema["const"])):
        yield f"{shown} must be {_json(schema['const'])}, got {_short(value)}"
    if "enum" in schema and value not in schema["enum"]:
        choices = ", ".join(map(_json, schema["enum"]))
        yield f"{shown} must be one of {choices}; got {_short(value)}"
    kind = schema.get("type")
    if kind is None:
        return
    fits = isinstance(value, _TYPES[kind]) and not isinstance(value, bool)
    if not fits:
        yield f"{shown} must be of type {kind}, got {_short(value)}"
    elif kind == "object":
        yield from _object(value, schema, where)
    elif kind == "array":
        yield from _bounds(len(value), schema, "Items", f"{shown} has {len(value)} items")
        for i, item in enumerate(value):
            yield from violations(item, schema.get("items", {}), f"{where}[{i}]")
    elif kind == "string":
        yield from _text(value, schema, shown)
    elif not math.isfinite(value):
        yield f"{shown} must be finite"
    else:
        yield from _bounds(value, schema, "imum", f"{shown} is {_short(value)}")


def _text(value: str, schema: dict[str, Any], shown: str) -> Iterator[str]:
    fault = {"name": name_fault, "person": person_fault}.get(schema.get("format", ""), _line_fault)
    long = list(_bounds(len(value), schema, "Length", f"{shown} has {len(value)} characters"))
    if long:
        yield from long
    elif reason := fault(value):
        yield f"{shown} is {_short(value)}, which {reason}" if value else f"{shown} {reason}"
    elif "pattern" in schema and not re.search(schema["pattern"].replace("$", r"\Z"), value):
        yield f"{shown} is {_short(value)}, expected the form {schema['pattern']}"


def _line_fault(value: str) -> str:
    if plain(value, len(value)) == value:
        return ""
    return "has characters, or spaces, that are not shown as they are"


def _object(value: dict[str, Any], schema: dict[str, Any], where: str) -> Iterator[str]:
    prefix = f"{where}." if where else ""
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{prefix}{name} is missing"
    rest = schema.get("additionalProperties", {})
    most = schema.get("maxProperties", math.inf)
    if len(value) > most:
        yield f"{where or 'the file'} has {len(value)} entries, at most {most} are accepted"
        return
    for name, item in value.items():
        if name in properties:
            yield from violations(item, properties[name], f"{prefix}{name}")
        elif _line_fault(name) or len(name) > 200:
            yield f"{prefix}{_short(name)} is no name of an entry"
        elif rest is False:
            yield f"{prefix}{_short(name)} is not part of the format"
        else:
            yield from violations(item, rest, f"{prefix}{_short(name)}")


def _bounds(number: float, schema: dict[str, Any], suffix: str, what: str) -> Iterator[str]:
    if number < schema.get(f"min{suffix}", -math.inf):
        yield f"{what}, at least {schema[f'min{suffix}']} needed"
    if number > schema.get(f"max{suffix}", math.inf):
        yield f"{what}, at most {schema[f'max{suffix}']} accepted"


def _json(value: Any) -> str:
    return {True: "true", False: "false"}.get(value, repr(value)) if value is not None else "null"


def _short(value: Any) -> str:
    text = plain(repr(value), 1000)
    return text if len(text) <= 60 else text[:57] + "..."
