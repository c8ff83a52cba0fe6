"""Iteration only: the loop, solvers, stopping rules. Nothing here knows what a Gaussian is."""
