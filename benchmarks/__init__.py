"""Benchmarks and evidence: what the platform costs, and how often it is right; none of it is part of the platform."""
