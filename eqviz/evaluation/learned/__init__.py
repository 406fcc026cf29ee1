"""What networks have learned, as plain arrays: one file for each family of layers.

``learned_layers(model)`` lists what a network can show; the readers of the families (``read_filters``,
``read_bells`` ...) give the arrays that ``eqviz.plots.filters`` and ``eqviz.plots.learned`` draw.
"""

from importlib import import_module
from pkgutil import iter_modules

from eqviz.evaluation.learned.base import LearnedLayer, Moved, find_layer, learned_layers, moved, shows
from eqviz.evaluation.learned.initial import initial_model, seeded_model

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = [
    "LearnedLayer",
    "Moved",
    "find_layer",
    "initial_model",
    "learned_layers",
    "moved",
    "seeded_model",
    "shows",
]
