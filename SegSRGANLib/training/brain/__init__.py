"""Training of the brain extractor on synthetic heads, made on the device from label maps."""
