"""Segmentation by registered atlases: majority voting, IMAPA and a DrawEM-style EM. See `docs/atlas_methods.md`."""
