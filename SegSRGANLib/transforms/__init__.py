"""Deterministic operations on volumes, each with its adjoint where it has one."""
