"""Run tests against mutants: `python tests/mutation/run.py MUTANTS RESULTS -- OPTIONS_OF_PYTEST`.

Changes files where it is run, and puts them back: run it in a copy of the repository. JAX and
MuJoCo are imported once; each mutant gets a fork of this process, before JAX has started.
"""

from __future__ import annotations

import difflib
import gc
import json
import os
import pathlib
import resource
import signal
import sys

os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
os.environ.setdefault("MUJOCO_GL", "osmesa")
sys.dont_write_bytecode = True
sys.path.insert(0, os.getcwd())

import gymnasium  # noqa: E402, F401
import jax  # noqa: E402
import mujoco  # noqa: E402, F401
import pytest  # noqa: E402

CPU_S = 120
"""Time after which a mutant counts as found: it hangs."""


def outcome(tests: list[str], log: pathlib.Path) -> str:
    """`survived` if the tests pass, `timeout`, or the first test that fails."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 2))
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        gc.collect = jax.clear_caches = lambda *_: 0  # the process ends after the tests
        code = 1
        try:
            code = int(pytest.main(["-x", "-q", "--tb=line", "-p", "no:cacheprovider", *tests]))
        finally:
            os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return "timeout"
    lines = log.read_text(errors="replace").splitlines()
    failed = [x for x in lines if x.startswith(("FAILED", "ERROR"))]
    return "survived" if status == 0 else (failed or [f"status {status}"])[0][:160]


def stop(*_: object) -> None:
    raise SystemExit(1)


def main(mutants: pathlib.Path, out: pathlib.Path, tests: list[str]) -> None:
    """Write a JSON list of results and print them."""
    signal.signal(signal.SIGTERM, stop)
    log, results = out.with_suffix(".log"), []
    if (unchanged := outcome(tests, log)) != "survived":
        raise SystemExit(f"the tests fail without a mutation: {unchanged}, see {log}")
    for mutant in json.loads(mutants.read_text()):
        path = pathlib.Path(mutant["file"])
        original = path.read_text()
        try:
            path.write_text(mutant["code"])
            for cached in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
                cached.unlink()
            found = outcome(tests, log)
        finally:
            path.write_text(original)
        both = original.splitlines(), mutant.pop("code").splitlines()
        change = [x for x in difflib.unified_diff(*both, n=0, lineterm="") if x[1:2] not in "+-@"]
        results.append({**mutant, "change": change, "result": found})
        out.write_text(json.dumps(results, indent=1))
        print(f"{path}:{mutant['line']}", found, *change, sep="\n  ", flush=True)
    killed = sum(x["result"] != "survived" for x in results)
    print(f"{killed} of {len(results)} mutants found")


if __name__ == "__main__":
    where = sys.argv.index("--")
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[where + 1 :])
