"""Published results, by the data set they were measured on: shown beside ours there and nowhere else.

Sources: 'LGN talk' is the 2021 talk on Lorentz group equivariant networks, 'log' the authors' released
training log, 'quoted' another work that quotes the paper. PLANAR_PROPOSAL stands apart: it is shown beside
runs on other images, and marked so.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One published row: metric name -> (value, error or None), and where it was read."""

    label: str
    parameters: str
    metrics: dict[str, tuple[float, float | None]]
    source: str


def published_results(data: str) -> tuple[Published, ...]:
    """What has been published for the data set ``data``; empty where there is nothing comparable."""
    return _TABLES.get(data, ())


def _row(
    label: str,
    parameters: str,
    accuracy: float | None,
    auc: float,
    rejection: float,
    error: float | None,
    source: str,
) -> Published:
    metrics: dict[str, tuple[float, float | None]] = {"auc": (auc, None), "rejection_30": (rejection, error)}
    if accuracy is not None:
        metrics["accuracy"] = (accuracy, None)
    return Published(label, parameters, metrics, source)


# The top-tagging reference set (Zenodo 2603256), trained on its 1.2M jets, tested on its 404,000.
_TOP_TAGGING = (
    _row("TopoDNN", "59k", 0.916, 0.972, 295, 5, "LGN talk"),
    _row("EFN", "82k", 0.927, 0.979, 633, 31, "LGN talk"),
    _row("EFP", "1k", 0.932, 0.980, 384, None, "LGN talk"),
    _row("PFN", "82k", 0.932, 0.982, 891, 18, "LGN talk"),
    _row("P-CNN", "348k", 0.930, 0.980, 732, 24, "LGN talk"),
    _row("ResNeXt", "1.46M", 0.936, 0.984, 1122, 47, "LGN talk"),
    _row("ParticleNet", "498k", 0.938, 0.985, 1298, 46, "LGN talk"),
    Published(
        "LGN",
        "4.5k",
        {"accuracy": (0.929, 0.001), "auc": (0.964, 0.018), "rejection_30": (435, 95)},
        "LGN talk",
    ),
    _row("ParticleNet (366k)", "366k", 0.940, 0.9858, 1615, 93, "arXiv:2405.14806"),
    _row("ParT", "2.1M", 0.940, 0.9858, 1602, 81, "arXiv:2405.14806"),
    _row("LorentzNet", "224k", 0.94252, 0.98700, 2192.8, None, "log of the released weights"),
    _row("LorentzNet, equivariance removed", "224k", 0.934, 0.9832, 1105, 59, "quoted, arXiv:2201.08187 T4"),
    _row("CGENN", "0.3M", 0.942, 0.9869, 2172, None, "arXiv:2405.14806"),
    Published(
        "PELICAN 132/78",
        "208k",
        {"accuracy": (0.9426, 0.0002), "auc": (0.9870, 0.0001), "rejection_30": (2250, 75)},
        "arXiv:2405.14806",
    ),
    _row("PELICAN 25/15", "11k", None, 0.9858, 1879, 103, "quoted, arXiv:2307.16506 T2"),
    _row("PELICAN 6/4", "1k", None, 0.9835, 1145, 74, "quoted, arXiv:2307.16506"),
    _row("PELICAN 6/3, one block", "326", None, 0.9801, 669, 41, "quoted, arXiv:2307.16506"),
    _row("L-GATr", "1.1M", 0.9423, 0.9870, 2240, 70, "quoted, arXiv:2411.00446"),
    _row("L-GATr-slim", "2.0M", 0.9420, 0.9869, 2264, 93, "quoted, arXiv:2512.17011"),
    _row("LLoCa-Transformer", "2.0M", 0.9416, 0.9866, 2150, 130, "quoted, arXiv:2512.17011"),
)
# Quark against gluon jets, peak AUC x 100 of the 2023 proposal on equivariant networks for CMS images:
# 125 x 125 x 3 images of CMS Open Data, millions of them.
PLANAR_PROPOSAL: dict[str, float] = {
    "CNN": 79.51, "C4": 79.29, "C8": 79.52, "D4": 79.54, "D8": 79.52,
    "C4 lite": 79.34, "C8 lite": 79.34, "D4 lite": 79.41, "D8 lite": 79.46,
}  # fmt: skip
_TABLES: dict[str, tuple[Published, ...]] = {"toptag": _TOP_TAGGING}
