"""MRML nodes: volumes, results, views, plots, sample data."""
