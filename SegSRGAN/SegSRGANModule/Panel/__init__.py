"""The tabs of the panel: widgets in, calls of the logic out."""
