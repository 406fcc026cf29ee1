"""nanoPELICAN written down with its numbers, as HTML."""

from __future__ import annotations

import re
from collections.abc import Sequence

SYMBOL = re.compile(r"([a-zδ])_([a-z]+)")


def number(value: float, digits: int = 4) -> str:
    """Four digits, with a real minus sign."""
    return f"{value:.{digits}g}".replace("-", "−")


def symbols(text: str) -> str:
    """``d_ij`` as an italic letter with an index."""
    found = SYMBOL.sub(r"<i>\1</i><sub>\2</sub>", text)
    return re.sub(r"\b(s|t)\b(?![^<]*>)", r"<i>\1</i>", found)


def sum_of_terms(terms: Sequence[tuple[str, float]]) -> str:
    """``0.3 + 1.2 d_ij − 0.4 r_i`` as HTML; terms that are exactly zero are left out."""
    out = ""
    for name, value in terms:
        if value == 0 and name:
            continue
        sign = "−" if value < 0 else "+"
        shown = f"{number(abs(value))} {symbols(name)}".strip()
        out += f" {sign} {shown}" if out else (f"−{shown}" if value < 0 else shown)
    return out or "0"


def nanopelican_html(
    channels: Sequence[Sequence[tuple[str, float]]],
    u: Sequence[float],
    v: Sequence[float],
    c: float,
    *,
    encoded: bool,
    explain: str,
) -> str:
    """The network as lines of text with numbers.

    Args:
        channels: z_ij of every hidden channel as names and numbers, the constant under the name "".
        u, v: weights of the two means of every channel.
        c: the constant of the answer.
        encoded: whether products are compressed by a logarithm.
        explain: what the letters mean.
    """
    d = "log(1 + <i>p</i><sub>i</sub>·<i>p</i><sub>j</sub> / GeV²)"
    lines = [f"<i>d</i><sub>ij</sub> = {d if encoded else d[8:-1]}"]
    several = len(channels) > 1
    for h, terms in enumerate(channels, 1):
        z = f"<i>z</i><sup>({h})</sup>" if several else "<i>z</i>"
        lines.append(f"{z}<sub>ij</sub> = {sum_of_terms(terms)}")
    answer = number(c)
    for h, (pairs, same) in enumerate(zip(u, v), 1):
        z = f"<i>z</i><sup>({h})</sup>" if several else "<i>z</i>"
        for value, place in ((pairs, "ij"), (same, "ii")):
            sign, mean = "−" if value < 0 else "+", f"mean<sub>{place[: 1 + (place == 'ij')]}</sub>"
            answer += f" {sign} {number(abs(value))} {mean} max(0, {z}<sub>{place}</sub>)"
    lines.append(f"<b><i>y</i> = {answer}</b>")
    rows = "".join(
        f"<p style='margin:0.5em 0;padding-left:2em;text-indent:-2em'>{line}</p>" for line in lines
    )
    style = "font:17px/1.6 'STIX Two Text','Latin Modern Roman',Georgia,serif;overflow-x:auto"
    return f"<div style=\"{style}\">{rows}</div><p style='margin:0.4em 0 0'>{explain}</p>"
