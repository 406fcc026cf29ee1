"""The dashboard: ``panel serve dashboards/`` serves it at http://localhost:5006/dashboards.

The runs are those in the folder that the environment variable EQVIZ_RUNS names, by default ./runs.
"""

import os

import panel as pn

from eqviz.dash.shell import build

pn.extension(notifications=True)
build(os.environ.get("EQVIZ_RUNS", "runs")).servable(title="eqviz")
