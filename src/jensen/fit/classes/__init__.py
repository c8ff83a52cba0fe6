"""Discriminant analysis: mixtures whose rows have labels."""
