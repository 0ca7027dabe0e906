"""What the training reads: subjects, splits, simulated patches."""
