"""Photographs: which files are meant, and their pixels."""

from equiderm.photo.decode import Photo, PhotoError, Source, load_photo

__all__ = ["Photo", "PhotoError", "Source", "load_photo"]
