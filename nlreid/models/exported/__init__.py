"""Networks in files that need no code of ours to run: ONNX, and packages of AOTInductor."""

from nlreid.models.exported.about import About as About
from nlreid.models.exported.network import ExportedModel as ExportedModel
from nlreid.models.exported.onnx_file import load_onnx as load_onnx
from nlreid.models.exported.package_file import load_package as load_package
