"""Pictures of what a model does: who was found, how often, where people lie, and where a non-local block looks.

What is computed (`attend`, `project`, `RankedList`) needs nothing; figures (`draw_…`) need matplotlib, the extra `[viz]`.
"""

from nlreid.visualize.attention import Attention as Attention
from nlreid.visualize.attention import attend as attend
from nlreid.visualize.figures.attention import draw_attention as draw_attention
from nlreid.visualize.figures.cmc import draw_cmc as draw_cmc
from nlreid.visualize.figures.embedding_map import draw_embedding_map as draw_embedding_map
from nlreid.visualize.figures.ranked_lists import draw_ranked_lists as draw_ranked_lists
from nlreid.visualize.picture_file import save_picture as save_picture
from nlreid.visualize.projection import Projection as Projection
from nlreid.visualize.projection import project as project
from nlreid.visualize.ranked_list import RankedList as RankedList
