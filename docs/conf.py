"""How the documentation is built: `make docs`."""

import sys
from pathlib import Path

from equiderm import __version__
from equiderm.debias.describe import FIGURES, write_figures

sys.path.insert(0, str(Path(__file__).parent))
from tour.pictures import draw

project = "Equiderm"
author = "The Equiderm developers"
copyright = "the Equiderm developers, Apache-2.0"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_custom_sections = ["Differs", "Source", "Example"]
napoleon_use_ivar = True
html_theme = "furo"
html_title = "Equiderm"


def setup(app):
    """Draw the figures of the methods' page and the tours before the sources are read."""
    app.connect("builder-inited", lambda app: write_figures(Path(app.srcdir) / FIGURES))
    app.connect("builder-inited", lambda app: draw(Path(app.srcdir) / FIGURES))
