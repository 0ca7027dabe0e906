"""Several stacks of one child: registered, fused, segmented once, and measured."""
