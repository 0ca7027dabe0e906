"""Measures of a scan and of a result without a truth."""
