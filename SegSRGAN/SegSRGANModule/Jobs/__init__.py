"""Work in child processes: commands, their inputs and outcomes."""
