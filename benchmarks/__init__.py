"""Benchmarks of agfrun beside the plain training loop, generic solvers and JAX; see README.md."""
