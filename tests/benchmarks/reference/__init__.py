"""The networks as the public implementations write them: what ours is measured against and must agree with.

Plain `Conv3d` on `(b, c, t, h, w)` in its usual layout, batch norms and in-place ReLUs of their own, every pair of positions
in a matrix: slow, and easy to follow. Nothing of `nlreid` is used but the data that says what to build.
"""

from .network import Network as Network
from .network import Output as Output
from .network import reference_of as reference_of
from .non_local import NonLocal as NonLocal
from .trained import as_if_trained as as_if_trained
from .trained import draw_clips as draw_clips
