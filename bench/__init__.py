"""Benchmarks: `python -m bench`. See docs/benchmarks.md."""
