"""The search for the best optimum: rounds of starts, escapes, and the account of them."""
