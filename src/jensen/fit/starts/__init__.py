"""Where runs begin: kinds of start, seeds, trees of merges."""
