"""Measures of a result against its truth."""
