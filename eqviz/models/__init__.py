"""Networks, one file each; a file that registers a model here is all that a new model needs."""

from importlib import import_module
from pkgutil import iter_modules

from eqviz.models.base import MODELS, JetModel, build_model, n_parameters, register_model
from eqviz.models.weights import load_model, save_model

for _module in iter_modules(__path__):
    if not _module.ispkg:
        import_module(f"{__name__}.{_module.name}")

__all__ = [
    "MODELS",
    "JetModel",
    "build_model",
    "load_model",
    "n_parameters",
    "register_model",
    "save_model",
]
