"""Forms of the networks that compute the same numbers in less time and memory."""
