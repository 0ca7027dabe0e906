"""The one error of reading and writing volumes, in a file of its own because every reader raises it."""


class VolumeError(ValueError):
    """A file cannot be used; the message is one sentence: which file, what is wrong with it and what to do."""
