"""The demo: a shortcut planted in drawings, found by an audit, and what undoes it."""

from equiderm.demo.archive import Labels, Size, against_truth, draw_photographs, label_photographs

__all__ = ["Labels", "Size", "against_truth", "draw_photographs", "label_photographs"]
