"""Pictures of what a model does: who was found, and where a non-local block looks."""

from nlreid.visualize.attention import Attention as Attention
from nlreid.visualize.attention import attend as attend
from nlreid.visualize.heat_map import draw_attention as draw_attention
from nlreid.visualize.picture_file import save_picture as save_picture
from nlreid.visualize.ranked_list import RankedList as RankedList
from nlreid.visualize.ranked_list import draw_ranked_lists as draw_ranked_lists
