"""Sources: where data lives and where its work runs; data frames and files in, tables out."""
