"""The process that validates one submission: `... PATH ANSWER`, started by `mimic_envs.sandbox`."""

from __future__ import annotations

import json
import pathlib
import sys

from mimic_envs.scoring.submissions import problems

if __name__ == "__main__":
    pathlib.Path(sys.argv[2]).write_text(json.dumps(problems(pathlib.Path(sys.argv[1]))))
