"""The tiny model of the command's tests."""

from support.command_line import model  # noqa: F401 (a fixture)
