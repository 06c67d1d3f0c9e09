"""Analyses of recorded behavior: pure functions from a dataset to tables and a figure."""
