"""Draw mutants of modules with Cosmic Ray's operators: `python tests/mutation/sample.py --help`.

One mutant of each drawn place of the code. What tests cannot or need not see is left out: texts of
errors, annotations and decorators.
"""

from __future__ import annotations

import argparse
import ast
import json
import pathlib
import random
from collections.abc import Iterator

from cosmic_ray import plugins
from cosmic_ray.ast import Visitor, get_ast
from cosmic_ray.mutating import mutate_code

OPERATORS = (
    *(f"ReplaceBinaryOperator_{x}" for x in ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul")),
    *(f"ReplaceBinaryOperator_{x}" for x in ("FloorDiv_Mul", "Mod_Mul", "Pow_Mul")),
    *(f"ReplaceBinaryOperator_{x}" for x in ("BitAnd_BitOr", "BitOr_BitAnd")),
    *(f"ReplaceComparisonOperator_{x}" for x in ("Eq_NotEq", "NotEq_Eq", "Lt_LtE", "LtE_Lt")),
    *(f"ReplaceComparisonOperator_{x}" for x in ("Gt_GtE", "GtE_Gt", "Lt_Gt", "Gt_Lt")),
    *(f"ReplaceComparisonOperator_{x}" for x in ("Is_IsNot", "IsNot_Is", "LtE_GtE", "GtE_LtE")),
    *("AddNot", "NumberReplacer", "ReplaceAndWithOr", "ReplaceOrWithAnd", "ZeroIterationForLoop"),
    *("ReplaceTrueWithFalse", "ReplaceFalseWithTrue"),
    *(f"ReplaceUnaryOperator_Delete_{x}" for x in ("USub", "Not", "Invert")),
)
"""Operators of Cosmic Ray whose mutants are plausible mistakes."""

Position = tuple[int, int]


class Places(Visitor):
    """Collects where an operator can change a module."""

    def __init__(self, operator: object) -> None:
        self._operator = operator
        self.found: list[Position] = []

    def visit(self, node: object) -> object:
        self.found += [tuple(start) for start, _ in self._operator.mutation_positions(node)]
        return node


def left_out(tree: ast.AST) -> Iterator[tuple[Position, Position]]:
    """Beginnings and ends of the code that is not mutated."""
    for node in ast.walk(tree):
        parts: list[ast.AST | None] = []
        if isinstance(node, ast.Raise | ast.JoinedStr):
            parts.append(node)
        if isinstance(node, ast.FunctionDef | ast.AnnAssign | ast.arg):
            parts.append(getattr(node, "returns", None) or getattr(node, "annotation", None))
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            parts += node.decorator_list
        for part in parts:
            if part is not None:
                yield (part.lineno, part.col_offset), (part.end_lineno, part.end_col_offset)


def possible(path: pathlib.Path) -> dict[Position, list[tuple[str, int]]]:
    """Operators and their occurrences by place."""
    code, places = path.read_text(), {}
    skipped = list(left_out(ast.parse(code)))
    for name in OPERATORS:
        seen = Places(plugins.get_operator(f"core/{name}")())
        seen.walk(get_ast(code))
        for occurrence, place in enumerate(seen.found):
            if not any(start <= place < stop for start, stop in skipped):
                places.setdefault(place, []).append((name, occurrence))
    return places


def main() -> None:
    """Write a JSON list of mutants: file, line, operator, and the code of the whole file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    given = parser.parse_args()
    places = {(f, place): x for f in given.files for place, x in sorted(possible(f).items())}
    draw, mutants = random.Random(given.seed), []
    for path, place in draw.sample(sorted(places), min(given.count, len(places))):
        name, occurrence = draw.choice(places[path, place])
        operator = plugins.get_operator(f"core/{name}")()
        code = mutate_code(path.read_text(), operator, occurrence)
        mutants.append({"file": str(path), "line": place[0], "operator": name, "code": code})
    given.out.write_text(json.dumps(mutants, indent=1))
    print(f"{len(mutants)} mutants of {len(places)} places in {given.out}")


if __name__ == "__main__":
    main()
