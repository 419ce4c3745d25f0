"""Data sets: one table of images for every source, made, split, checked and stored."""
