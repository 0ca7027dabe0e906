"""The networks, each an nn.Module with its frozen configuration."""
