"""A server of one file."""

from support.file_server import server

__all__ = ["server"]
