"""Models as files that run without the library: ONNX, `torch.export` programs, and packages of AOTInductor."""

from nlreid.export.onnx_file import to_onnx as to_onnx
from nlreid.export.package import to_package as to_package
from nlreid.export.parity import Exported as Exported
from nlreid.export.program import to_program as to_program
from nlreid.models.exported import ExportedModel as ExportedModel
from nlreid.models.exported import load_onnx as load_onnx
from nlreid.models.exported import load_package as load_package
