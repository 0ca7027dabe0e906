"""The Slicer side of SegSRGAN: panel, logic and nodes. Importing it loads neither torch nor numpy."""
