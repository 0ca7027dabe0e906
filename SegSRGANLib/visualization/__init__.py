"""Pictures: cut planes, grey window, outlines, palette."""
