"""A training that fits into a given time, on one device, with torch, numpy and safetensors alone."""
