"""How Sphinx builds these pages: `sphinx-build -W -b html docs docs/_build/html`, from the project's root."""  # noqa: INP001  Sphinx executes this file, nobody imports it

import importlib.metadata
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "EveLab"
author = "The EveLab developers"
release = version = importlib.metadata.version("evelab")

extensions = ["myst_parser", "evelab_tables"]
exclude_patterns = ["_build", "_ext", "_templates"]
templates_path = ["_templates"]
html_static_path = ["_static"]
html_css_files = ["narrow.css"]
nitpicky = True
smartquotes = False  # a scenario's text must survive being copied
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"EveLab {release}"
html_show_sphinx = False
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
html_use_index = False
