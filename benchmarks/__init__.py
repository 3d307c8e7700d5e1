"""Measurements: `python -m benchmarks --help`, from the project's root."""
