"""Files to checked images and back."""
