"""The configuration of Sphinx."""

import sys
from pathlib import Path

import polyrnn

sys.path.insert(0, str(Path(__file__).parent))

project = "polyrnn"
author = "the authors of polyrnn"
version = release = polyrnn.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "generated_pages",
]
# The last two are included in explanation/benchmarks.md.
exclude_patterns = ["_build", "examples", "explanation/ratios.md", "explanation/claims.md"]

html_theme = "furo"
html_title = "polyrnn"
myst_enable_extensions = ["colon_fence", "deflist"]

# Tensors and nests are typed as Any; the docstrings describe them.
autodoc_typehints = "none"
default_role = "code"
napoleon_google_docstring = True
copybutton_prompt_text = "$ "
