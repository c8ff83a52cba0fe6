"""Latent structures: how hidden variables tie component families together."""
