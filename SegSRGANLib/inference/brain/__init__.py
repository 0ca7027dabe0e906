"""Where the brain of a scan is: given, found, or the whole volume; and what speaks against a mask."""
