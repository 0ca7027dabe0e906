"""The command line; nothing is imported from here but its `main.main`."""
