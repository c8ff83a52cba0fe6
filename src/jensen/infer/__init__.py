"""After the fit: standard errors, EM's rate, identifiability and a diagnosis, for every model."""
