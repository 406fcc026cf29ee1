"""Measurements of speed, memory and numerics: `python -m benchmarks [name ...] [--gpu] [--quick]`."""
