"""The choice among mixtures: every number of components with every shape."""
