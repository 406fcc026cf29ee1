"""Animations of an orbit as GIF (Pillow) or MP4 (ffmpeg, where it is installed), made of arrays.

A frame shows panels side by side and below them a curve with a mark that travels along it. Nothing of a
browser is needed.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eqviz.errors import ConfigError
from eqviz.plots.fields import arrow_columns, cyclic, phase_images
from eqviz.plots.style import INK, MUTED, PAPER

Array = NDArray[np.float64]
Pixels = NDArray[np.uint8]
SUFFIXES = (".gif", ".mp4")
COLOURS = 64  # of a GIF's palette
_LETTERS = {"ρ": "rho", "η": "eta", "φ": "phi", "Φ": "Phi", "γ": "gamma", "−": "-", "→": "->", "·": " "}


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture of a frame.

    Attributes:
        title: above it.
        image: (H, W) numbers, rows along eta; NaN is background.
        colours: hex colours of the scale from ``limits[0]`` to ``limits[1]``.
        limits: ends of the scale.
        log: logarithmic scale.
        arrows: (2, H, W) along eta and phi drawn on top, or None.
        amplitude: (H, W) from 0 to 1: how much of the colour shows, or None.
        points: (n, 3) x, y in [-1, 1] and radius in pixels, coloured by ``image`` (1, n), or None.
    """

    title: str
    image: Array
    colours: Sequence[str]
    limits: tuple[float, float]
    log: bool = False
    arrows: Array | None = None
    amplitude: Array | None = None
    points: Array | None = None


@dataclass(frozen=True, eq=False)
class Frame:
    """One element of the orbit: its name, the pictures, and where on the curves it is."""

    name: str
    panels: Sequence[Panel]
    at: float


@dataclass(frozen=True, eq=False)
class Track:
    """Curves below the pictures: (n,) positions, name -> (n,) values; ``least`` is half of their axis."""

    at: ArrayLike
    curves: dict[str, ArrayLike]
    xlabel: str
    ylabel: str
    least: float = 0.1


def phase_panel(title: str, components: ArrayLike, limit: float, dark: bool = False) -> Panel:
    """A frequency-k field as a panel."""
    phase, veil = phase_images(components, limit)
    return Panel(title, phase, cyclic(dark), (-np.pi, np.pi), amplitude=veil)


def save_orbit(
    path: str | Path,
    frames: Sequence[Frame],
    track: Track | None = None,
    *,
    seconds: float = 4.0,
    side: int = 200,
    dark: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Path:
    """Write an orbit as an animation that repeats.

    Args:
        path: ends in .gif or .mp4.
        frames: in the order of the orbit.
        track: curves below the pictures.
        seconds: for the whole orbit.
        side: of a picture in screen pixels.
        dark: dark background.
        progress: called with the fraction that is done.

    Raises:
        ConfigError: another suffix, no frames, or an MP4 where ffmpeg is not on the PATH.
    """
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"expected a file that ends in .gif or .mp4, got {target.name!r}")
    if not frames:
        raise ConfigError("expected one frame or more to animate, got none")
    if target.suffix.lower() == ".mp4":
        _encoder()
    drawn = []
    for number, frame in enumerate(frames):
        drawn.append(draw_frame(frame, track, side, dark))
        _advance(drawn[-1], (number + 1) / len(frames), dark)
        if progress is not None:
            progress((number + 1) / len(frames))
    write = _write_gif if target.suffix.lower() == ".gif" else _write_mp4
    write(target, drawn, len(frames) / seconds)
    return target


def has_encoder() -> bool:
    """Whether MP4 files can be written here."""
    return shutil.which("ffmpeg") is not None


def draw_frame(frame: Frame, track: Track | None = None, side: int = 200, dark: bool = False) -> Pixels:
    """One frame as (height, width, 3) bytes."""
    from PIL import Image, ImageDraw

    gap, top = 14, 52
    width = len(frame.panels) * (side + gap) + gap
    height = top + side + gap + (130 if track is not None else 0)
    width, height = width + width % 2, height + height % 2  # video encoders want even numbers
    sheet = Image.new("RGB", (width, height), PAPER[dark])
    pen = ImageDraw.Draw(sheet)
    pen.text((gap, 6), _plain(frame.name), fill=INK[dark], font=_font(15))
    for number, panel in enumerate(frame.panels):
        left = gap + number * (side + gap)
        pen.text((left, 30), _plain(panel.title), fill=INK[dark], font=_font(13))
        sheet.paste(Image.fromarray(_panel(panel, side, dark)), (left, top))
        pen.rectangle((left, top, left + side - 1, top + side - 1), outline=MUTED[dark])
        _marks(pen, panel, (left, top), side, dark)
    if track is not None:
        _track(pen, track, frame.at, (gap, top + side + gap), (width - 2 * gap, 120), dark)
    return np.array(sheet)


def _advance(frame: Pixels, fraction: float, dark: bool) -> None:
    """A thin bar along the bottom: how far the orbit has got, so that no two frames are equal."""
    frame[-3:, : max(1, round(fraction * frame.shape[1]))] = _rgb([MUTED[dark]])[0].astype(np.uint8)


def _panel(panel: Panel, side: int, dark: bool) -> Pixels:
    """Colours of a square panel, eta to the right and phi upwards; a mosaic is fitted into the square."""
    paper = _rgb([PAPER[dark]])[0]
    if panel.points is not None:
        return np.full((side, side, 3), paper, dtype=np.uint8)
    colours = _colours(panel, panel.image, dark)
    if panel.amplitude is not None:
        share = np.sqrt(np.clip(panel.amplitude, 0, 1))[..., None]
        colours = colours * share + paper * (1 - share)
    picture = np.asarray(np.rint(colours), dtype=np.uint8).transpose(1, 0, 2)[::-1]
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    sizes = ((n, round(n * scale)) for n in (height, width))
    rows, columns = (np.minimum((np.arange(m) / scale).astype(int), n - 1) for n, m in sizes)
    fitted = picture[rows][:, columns]
    out = np.full((side, side, 3), paper, dtype=np.uint8)
    y, x = ((side - n) // 2 for n in fitted.shape[:2])
    out[y : y + fitted.shape[0], x : x + fitted.shape[1]] = fitted[:side, :side]
    return out


def _colours(panel: Panel, values: Array, dark: bool) -> Array:
    low, high = panel.limits
    table = _rgb(panel.colours)
    with np.errstate(invalid="ignore", divide="ignore"):
        if panel.log:
            share = (np.log(np.maximum(values, low)) - np.log(low)) / (np.log(high) - np.log(low))
        else:
            share = (values - low) / ((high - low) or 1.0)
    place = np.nan_to_num(np.clip(share, 0, 1)) * (len(table) - 1)
    found = table[np.rint(place).astype(int)]
    empty = np.isnan(values) | ((values <= 0) if panel.log else np.zeros(values.shape, dtype=bool))
    return np.where(empty[..., None], _rgb([PAPER[dark]])[0], found)


def _marks(pen: Any, panel: Panel, corner: tuple[int, int], side: int, dark: bool) -> None:
    left, top = corner
    if panel.arrows is not None:
        n = panel.arrows.shape[1]
        lines = arrow_columns(panel.arrows, 2 / n, panel.limits[1])
        ends = [np.asarray(lines[name]) for name in ("x0", "y0", "x1", "y1")]
        for x0, y0, x1, y1 in zip(*ends):
            points = [(left + side * (1 + x) / 2, top + side * (1 - y) / 2) for x, y in ((x0, y0), (x1, y1))]
            pen.line(points, fill=INK[dark], width=1)
    if panel.points is not None:
        colours = _colours(panel, panel.image, dark)[0]
        for (x, y, radius), colour in zip(panel.points, colours):
            cx, cy = left + side * (1 + x) / 2, top + side * (1 - y) / 2
            inside = left < cx < left + side and top < cy < top + side
            if inside:
                fill = tuple(int(part) for part in colour)
                pen.ellipse(
                    (cx - radius, cy - radius, cx + radius, cy + radius), fill=fill, outline=MUTED[dark]
                )


def _track(
    pen: Any, track: Track, at: float, corner: tuple[int, int], size: tuple[int, int], dark: bool
) -> None:
    x = np.asarray(track.at, dtype=np.float64)
    curves = {name: np.asarray(y, dtype=np.float64) for name, y in track.curves.items()}
    reach = max([track.least, *(1.1 * float(np.nanmax(np.abs(y))) for y in curves.values())])
    (left, top), (width, height) = (corner[0] + 46, corner[1]), (size[0] - 46, size[1] - 22)
    low, high = float(x.min()), float(x.max())

    def place(value: float, y: float) -> tuple[float, float]:
        return left + width * (value - low) / ((high - low) or 1.0), top + height * (1 - y / reach) / 2

    pen.rectangle((left, top, left + width, top + height), outline=MUTED[dark])
    pen.line([place(low, 0), place(high, 0)], fill=MUTED[dark], width=1)
    for tick in (-reach, 0.0, reach):
        pen.text((corner[0], place(low, tick)[1] - 7), f"{tick:+.2g}", fill=INK[dark], font=_font(11))
    for number, y in enumerate(curves.values()):
        colour = INK[dark] if not number else MUTED[dark]
        pen.line(
            [place(*pair) for pair in zip(x, np.nan_to_num(y))], fill=colour, width=2 if not number else 1
        )
    mark = place(at, 0)[0]
    pen.line([(mark, top), (mark, top + height)], fill=INK[dark], width=2)
    first, *rest = curves
    names = f"{first} (thick) and {len(rest)} more" if rest else first
    text = f"{names}: {track.ylabel}, against {track.xlabel} from {low:.4g} to {high:.4g}"
    pen.text((left, top + height + 5), _plain(text), fill=INK[dark], font=_font(12))


def _write_gif(path: Path, frames: Sequence[Pixels], per_second: float) -> None:
    from PIL import Image

    images = [Image.fromarray(frame) for frame in frames]
    # one palette for all frames: colours must not flicker
    tall = Image.fromarray(np.concatenate([frames[i] for i in {0, len(frames) // 3, 2 * len(frames) // 3}]))
    palette = tall.quantize(COLOURS, method=Image.Quantize.MEDIANCUT)
    drawn = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    duration = max(20, round(1000 / per_second))
    # a frame equal to the one before is kept, so that there are as many as asked for
    drawn[0].save(path, save_all=True, append_images=drawn[1:], duration=duration, loop=0, optimize=False)


def _write_mp4(path: Path, frames: Sequence[Pixels], per_second: float) -> None:
    height, width = frames[0].shape[:2]
    command = [
        _encoder(), "-y", "-loglevel", "error", "-f", "rawvideo", "-pixel_format", "rgb24",
        "-video_size", f"{width}x{height}", "-framerate", f"{per_second:.6g}", "-i", "-",
        "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(path),
    ]  # fmt: skip
    done = subprocess.run(command, input=b"".join(frame.tobytes() for frame in frames), capture_output=True)
    if done.returncode:
        raise ConfigError(f"ffmpeg could not write {path}: {done.stderr.decode(errors='replace')[-300:]}")


def _encoder() -> str:
    found = shutil.which("ffmpeg")
    if found is None:
        raise ConfigError(
            "MP4 files need ffmpeg, which is not on the PATH: install it (apt-get install ffmpeg), "
            "or save a .gif"
        )
    return found


def _rgb(colours: Sequence[str]) -> Array:
    return np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours], dtype=np.float64)


def _plain(text: str) -> str:
    """The text in letters that Pillow's own font has."""
    for letter, name in _LETTERS.items():
        text = text.replace(letter, name)
    return text


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)
