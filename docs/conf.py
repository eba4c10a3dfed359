"""How the documentation is built; it needs the extra [docs] and no network.

sphinx-build -W --keep-going -n -b html docs OUT
"""

from __future__ import annotations

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).with_name("_extensions")))

project = "nlreid"
author = "The nlreid developers"
project_copyright = author
release = version = version_of("nlreid")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "docstrings",
    "outside",
    "mathml",
]
exclude_patterns = ["_build", "_extensions", "_static"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4  # links to headings, as in page.md#a-heading

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_inherit_docstrings = False  # torch's are written for torch's own pages
autodoc_typehints = "description"  # types from the signatures, beside what the docstrings say of each argument
autodoc_typehints_description_target = "documented_params"
autodoc_typehints_format = "short"
autosummary_generate = False
default_role = "py:obj"
napoleon_use_ivar = True
napoleon_use_rtype = False
python_maximum_signature_line_length = 100

# Cross-references must resolve. What is no part of the library has no inventory here: the build asks no network for one.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(torch|numpy|np|timm|PIL|matplotlib|pathlib|collections|typing|types)(\..*)?"),
    (r"py:.*", r"(str|int|float|bool|bytes|object|type|slice|tuple|list|dict|set|None)"),
    (
        r"py:class",
        r"(Figure|Image\.Image|Path|ProcessGroup|Tensor|Scores)",
    ),  # beside imports for type checkers, annotations stay as written
    (r"py:class", r"nlreid\.optimize\.inference\.Model"),  # a type variable
]

html_theme = "furo"
html_title = f"nlreid {release}"
html_static_path = ["_static"]
html_css_files = ["nlreid.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_copy_source = False
