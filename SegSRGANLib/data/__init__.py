"""The values that travel through the library: voxel grid, axes, tissue classes."""
