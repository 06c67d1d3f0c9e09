"""The JSON of strangers against a JSON Schema, by `jsonschema`, in plain words.

JSON Schema leaves to its users what a `format` is. Every string of our schemas has one, keys
included: a `line` can be shown as it is, see `mimic_envs.text`; a `name` or a `person` cannot be
taken for another, either.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema

from mimic_envs.messages import nearest
from mimic_envs.text import name_fault, person_fault, plain

_LONGEST = 2000
"""Characters that a format looks at; `maxLength` refuses a text but does not stop other checks."""
_MESSAGES = {
    "const": "must be {limit}, got {value}",
    "enum": "must be one of {limit}; got {value}",
    "format": "is {value}, which {cause}",
    "maxItems": "has {size} items, at most {limit} accepted",
    "maxLength": "has {size} characters, at most {limit} accepted",
    "maxProperties": "has {size} entries, at most {limit} accepted",
    "maximum": "is {value}, at most {limit} accepted",
    "minItems": "has {size} items, at least {limit} needed",
    "minLength": "has {size} characters, at least {limit} needed",
    "minimum": "is {value}, at least {limit} needed",
    "pattern": "is {value}, expected the form {limit}",
    "type": "must be of type {limit}, got {value}",
}
"""Messages by keyword; those of jsonschema quote whole values, however long they are."""


def violations(value: Any, schema: dict[str, Any]) -> Iterator[str]:
    """What of a JSON value is not as a schema has it.

    Args:
        value: Parsed JSON, by `mimic_envs.scoring.untrusted` if a stranger wrote it.
        schema: A JSON Schema with the keywords of `_MESSAGES` and those for objects and items.
    """
    for error in _Validator(schema, format_checker=_FORMATS).iter_errors(value):
        where = plain(error.json_path.removeprefix("$").removeprefix("."))
        known = error.schema.get("properties", ())
        if error.validator == "required":  # one error for each name, which only its message has
            name = error.message.removesuffix(" is a required property")[1:-1]
            yield f"{where}.{name} is missing".removeprefix(".")
        elif error.validator == "additionalProperties":  # one error for all names
            for name in filter(lambda x: x not in known, error.instance):
                shown = f"{where}.{_short(name)}".removeprefix(".")
                yield f"{shown} is not part of the format{nearest(name, known, 0.6)}"
        else:
            place = where or "the file"
            if "propertyNames" in error.schema_path:
                place = f"a name in {place}"
            yield f"{place} {_message(error)}"


def _message(error: jsonschema.ValidationError) -> str:
    value, limit = error.instance, error.validator_value
    return _MESSAGES[str(error.validator)].format(
        value=_short(value),
        limit=limit if isinstance(limit, str) else json.dumps(limit).strip("[]"),
        size=len(value) if isinstance(value, str | list | dict) else "",
        cause=error.cause,
    )


def _short(value: Any) -> str:
    text = plain(repr(value), 1000)
    return text if len(text) <= 60 else text[:57] + "..."


def _line_fault(value: str) -> str:
    if plain(value, len(value)) == value:
        return ""
    return "has characters, or spaces, that are not shown as they are"


def _check(fault: Callable[[str], str], value: object) -> bool:
    """Check a format; what is no text breaks `type`."""
    if not isinstance(value, str):
        return True
    if reason := fault(value) if len(value) <= _LONGEST else "is too long to be looked at":
        raise ValueError(reason)
    return True


def _bounded(keyword: str) -> Callable[..., Iterator[jsonschema.ValidationError]]:
    """A keyword that looks at nothing where `maxItems` or `maxProperties` is broken: it is long."""
    check = jsonschema.Draft202012Validator.VALIDATORS[keyword]

    def bounded(validator: Any, limit: Any, value: Any, schema: dict[str, Any]) -> Iterator[Any]:
        most = schema.get("maxItems", schema.get("maxProperties", math.inf))
        if isinstance(value, list | dict) and len(value) <= most:
            yield from check(validator, limit, value, schema)

    return bounded


_FORMATS = jsonschema.FormatChecker(formats=())
for _name, _fault in {"line": _line_fault, "name": name_fault, "person": person_fault}.items():
    _FORMATS.checks(_name, raises=ValueError)(functools.partial(_check, _fault))

_Validator = jsonschema.validators.extend(
    jsonschema.Draft202012Validator,
    {name: _bounded(name) for name in ("items", "additionalProperties", "propertyNames")},
    # by the standard 1.0 is an integer, but not for `seeds` and the like
    type_checker=jsonschema.Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: type(value) is int
    ),
)
