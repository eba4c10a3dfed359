"""From 2D networks to 3D ones: temporal plans, one rule per module type, and the same on state dicts."""

from nlreid.inflation.backbone import Backbone3d as Backbone3d
from nlreid.inflation.backbone import insert_after as insert_after
from nlreid.inflation.inflate import inflate as inflate
from nlreid.inflation.layouts import LAYOUTS as LAYOUTS
from nlreid.inflation.layouts import Layout as Layout
from nlreid.inflation.plans import PLANS as PLANS
from nlreid.inflation.plans import TemporalPlan as TemporalPlan
from nlreid.inflation.plans import resolve_plan as resolve_plan
from nlreid.inflation.rules import Site as Site
from nlreid.inflation.rules import register_rule as register_rule
from nlreid.inflation.weights import inflate_kernel as inflate_kernel
from nlreid.inflation.weights import inflate_state_dict as inflate_state_dict
from nlreid.inflation.weights import register_weights as register_weights
