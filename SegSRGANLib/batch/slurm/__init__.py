"""A batch as an array of SLURM jobs."""
