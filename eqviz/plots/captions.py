"""One-sentence captions with units and sample sizes, for the dashboard, notebooks and reports."""

from __future__ import annotations

_AXES = {
    "z": "along the beam (z)",
    "x": "transverse to the beam (x)",
    "random": "along a random axis per jet",
}


def jets(n: int) -> str:
    """``12,000 jets``."""
    return f"{n:,} jet{'' if n == 1 else 's'}"


def roc(n_jets: int) -> str:
    """Caption of the ROC and inverse ROC."""
    return f"Test set of {jets(n_jets)}; bands are 95 % intervals, the marker is the working point."


def score_histogram(n_jets: int) -> str:
    """Caption of the score histograms."""
    return f"{jets(n_jets)} of the test set in bins of the score; bars are √N errors."


def calibration(n_jets: int) -> str:
    """Caption of the calibration curve."""
    return f"Fraction of signal among {jets(n_jets)} in bins of the score, with 68 % binomial errors."


def confusion(n_jets: int) -> str:
    """Caption of the confusion matrix."""
    return f"{jets(n_jets)} of the test set by their larger logit; percentages add up over each true class."


def learning(n_train: int, n_val: int) -> str:
    """Caption of the learning curves."""
    return f"Trained on {jets(n_train)}, validated on {jets(n_val)} after every epoch."


def deviation(n_jets: int, axis: str, dtype: str, moved: bool) -> str:
    """Caption of the deviation under boosts."""
    frame = "moved with the jet" if moved else "fixed in the lab"
    along = (
        " Transverse momenta and angles about the jet cannot notice a boost along z." if axis == "z" else ""
    )
    return (
        f"Median over {jets(n_jets)} boosted {_AXES.get(axis, axis)}, networks in {dtype}, reference vectors "
        f"{frame}; bands hold 95 % of the jets, dash-dotted lines are one rounding step.{along}"
    )


def auc(n_jets: int, axis: str) -> str:
    """Caption of the AUC under boosts."""
    return f"AUC of {jets(n_jets)} after a boost {_AXES.get(axis, axis)}, with 95 % errors; 0.5 is a coin."


def before_after(n_jets: int, gamma: float, axis: str) -> str:
    """Caption of the score before against the score after."""
    return (
        f"Y = logit(signal) − logit(background) of {jets(n_jets)} before and after a boost of "
        f"γ = {gamma:,.4g} {_AXES.get(axis, axis)}; on the diagonal nothing has changed."
    )


def event(index: int, summary: dict[str, float]) -> str:
    """Caption of an event display from ``jets.jet_summary``."""
    s = summary
    return (
        f"Jet {index}: {s['constituents']:.0f} constituents, pT {s['pt']:.4g} GeV, η {s['eta']:.3g}, "
        f"φ {s['phi']:.3g}, mass {s['mass']:.4g} GeV; a constituent's area is proportional to its pT."
    )


def turned(n_jets: int, what: str) -> str:
    """Caption of AUC and accuracy against the angle of a turn of ``what``, "deposits" for instance."""
    return (
        f"{jets(n_jets)} of the test set, the same at every angle: their {what} turned in the (η, φ) plane "
        "before pixels are made, so that no picture is interpolated."
    )
