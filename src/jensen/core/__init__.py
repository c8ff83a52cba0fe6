"""The contracts that everything else is written against; no numerics and no input or output live here."""
