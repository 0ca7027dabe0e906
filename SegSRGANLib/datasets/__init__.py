"""Volumes with known truth."""
