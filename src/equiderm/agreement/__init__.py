"""Skin types that people judged, and labels compared with them."""
