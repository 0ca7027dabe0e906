"""One volume in, its super-resolution and classes out."""
