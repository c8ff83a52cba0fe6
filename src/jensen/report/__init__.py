"""Pictures of results. Matplotlib is imported when the first one is drawn."""
