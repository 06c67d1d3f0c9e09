"""`python -m mimic_envs` is the `mimic-envs` command."""

from mimic_envs.cli import main

main()
