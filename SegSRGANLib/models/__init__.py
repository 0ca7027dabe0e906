"""Trained networks: card, file, list, download, import."""
