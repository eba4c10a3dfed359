"""Converters: one file a layout, each a pure function from tensors by name to tensors by name.

A new layout is a file with a table of names (`renaming.Names`) and a `RECIPE`, a word in `_LAYOUTS`, and a golden file.
"""

from nlreid.hub.convert import fastreid, gluoncv, hara, mmaction2, pyslowfast, pytorchvideo, torchreid, torchvision
from nlreid.hub.convert.recipe import Conversion as Conversion
from nlreid.hub.convert.recipe import Recipe as Recipe

_LAYOUTS = (pyslowfast, pytorchvideo, mmaction2, gluoncv, torchvision, hara, torchreid, fastreid)
RECIPES: dict[str, Recipe] = {layout.RECIPE.name: layout.RECIPE for layout in _LAYOUTS}
