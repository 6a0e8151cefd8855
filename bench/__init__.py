"""Benchmarks: each runs the product beside its reference in one run and tells ratios (`vqi bench NAME`)."""
