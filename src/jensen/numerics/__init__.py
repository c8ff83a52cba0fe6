"""Arrays in, arrays out: log-space, Cholesky factors, weighted order statistics and random streams."""
