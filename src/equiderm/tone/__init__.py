"""Skin tone: measured as colour, computed as bands, judged by people."""
