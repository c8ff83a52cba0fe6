"""Procedures over whole runs: starts, restarts, and the choice of the number of components."""
