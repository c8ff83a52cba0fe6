"""The hot pass: everything that touches each row and each component."""
