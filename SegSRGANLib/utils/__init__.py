"""Nothing of medical imaging: errors, progress, optional packages, files, devices, memory, worker processes."""
