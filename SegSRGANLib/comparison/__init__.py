"""The paper's experiment on any data: simulate thick slices, run every system, measure, tabulate and draw."""
