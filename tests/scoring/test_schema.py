"""JSON of strangers against the schemas of this package."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest

from mimic_envs.scoring import policies, schema
from mimic_envs.scoring.submissions.submission import SCHEMA

SCHEMAS = {"submission.json": SCHEMA, "policy.json": policies._SCHEMA}


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """All objects within a schema."""
    if isinstance(value, dict):
        yield value
    for one in value.values() if isinstance(value, dict) else ():
        yield from parts(one)


@pytest.mark.parametrize("name", SCHEMAS)
def test_no_text_goes_unchecked(name) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    for part in parts(SCHEMAS[name]):
        if part.get("type") == "string":
            assert part["format"] in ("line", "name", "person")
            assert "maxLength" in part or "pattern" in part
        if isinstance(part.get("additionalProperties"), dict):
            assert part["propertyNames"]["format"] == "line"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"summery": ""}, "'summery' is not part of the format; did you mean 'summary'?"),
        ({"\u202e": 1}, r"'\u202e' is not part of the format"),
        ({"seeds": 1.0}, "seeds must be of type integer, got 1.0"),
        ({"seeds": True}, "seeds must be of type integer, got True"),
        ({"schema_version": 1.0}, "schema_version must be of type integer, got 1.0"),
        ({"agreement": 1}, "agreement must be true, got 1"),
        ({"kind": "exp"}, 'kind must be one of "controller", "generalist", "expert"; got \'exp\''),
        ({"training": {}}, "training.hardware is missing"),
        ({"authors": ["A", "a\n"]}, r"authors[1] is 'a\n', which is shown as"),
        ({"files": {"x": "\n"}}, r"files.x is '\n', expected the form ^[0-9a-f]{64}$"),
        ({"files": {"a\u200b": 0}}, r"a name in files is 'a\u200b', which has characters, or"),
        ({"summary": "x" * 401}, "summary has 401 characters, at most 400 accepted"),
        (5, "the file must be of type object, got 5"),
    ],
)
def test_messages_name_the_culprit_and_what_is_accepted(value, message) -> None:
    said = list(schema.violations(value, SCHEMA))
    assert any(message in line for line in said), said


@pytest.mark.parametrize(
    "value",
    [
        {"authors": ["ab"] * 200_000},
        {"versions": {str(i): "x" for i in range(105_000)}},
        {str(i): 1 for i in range(105_000)},
        {"authors": ["a" + "\u0301\u0327" * 150_000]},
        {"summary": "x" * 1_000_000},
        {"url": "https://" + "a-" * 500_000},
    ],
)
def test_long_ones_take_no_longer(value) -> None:
    """An array is not looked through that is too long already."""
    began = time.process_time()
    said = [line for _, line in zip(range(40), schema.violations(value, SCHEMA), strict=False)]
    assert time.process_time() - began < 3.0
    assert len("".join(said)) < 10_000
