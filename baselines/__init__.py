"""Reference algorithms of the benchmark. They use the public surface of `mimic_envs` only."""
