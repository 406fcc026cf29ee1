"""Orbits: what a network makes of an event and of the same event moved by a group element."""

from __future__ import annotations

import io
from functools import partial
from typing import Any, ClassVar

import panel as pn
import panel_material_ui as pmui

from eqviz.dash import library
from eqviz.dash.aside import Aside
from eqviz.dash.cards import notice
from eqviz.dash.jobs import Latest
from eqviz.dash.orbits.controls import OrbitControls
from eqviz.dash.orbits.images import ImagePage
from eqviz.dash.orbits.jetquestions import JetAnimationQuestion, jet_subject
from eqviz.dash.orbits.jets import JetPage
from eqviz.dash.orbits.questions import AnimationQuestion, subject_of
from eqviz.dash.questions import Answers
from eqviz.dash.session import Network, Session
from eqviz.dash.tab import Tab
from eqviz.dash.variants import has_stable_form, is_original
from eqviz.errors import EqvizError
from eqviz.evaluation.orbits import takes_images
from eqviz.plots.animate import has_encoder

ORBITS = Answers()
Film = AnimationQuestion | JetAnimationQuestion
_NO_ENCODER = "MP4 needs ffmpeg on the server's PATH (apt-get install ffmpeg); the GIF needs nothing more."


class View(Tab):
    """An event, an element on a dial, f(g x) beside rho(g) f(x), and the whole orbit."""

    title: ClassVar[str] = "Orbits"
    order: ClassVar[int] = 24
    depends: ClassVar[tuple[str, ...]] = (
        "chosen", "version", "dark", "jet", "dtype", "orbit_run", "orbit_layer", "orbit_field", "angle",
        "mirrored", "shift_eta", "shift_phi", "along", "move", "gamma", "axis", "shuffle", "stable",
    )  # fmt: skip

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._aside = Aside(ORBITS, Latest(self._answered))
        self._film: Film | None = None
        self._page: ImagePage | JetPage

    def build(self) -> None:
        """Make the controls and the cards."""
        self._controls = OrbitControls(self.session)
        self._images, self._jets = ImagePage(self.session, ORBITS), JetPage(self.session, ORBITS)
        self._page = self._images
        kinds = {"GIF": ".gif"} | ({"MP4": ".mp4"} if has_encoder() else {})
        self._make = {
            suffix: pmui.Button(label=f"Make {name}", icon="movie", variant="outlined", size="small")
            for name, suffix in kinds.items()
        }
        for suffix, button in self._make.items():
            button.on_click(partial(self._animate, suffix))
        self._state = pmui.Typography("", variant="caption", margin=(12, 6))
        self._save = pn.Row(margin=0)
        note = [] if has_encoder() else [pmui.Typography(_NO_ENCODER, variant="caption", margin=(12, 6))]
        self._films = pn.FlexBox(
            *self._make.values(), self._save, self._state, *note, gap="4px 10px", align_items="center",
            sizing_mode="stretch_width", margin=(2, 0),
        )  # fmt: skip

    def refresh(self, changed: set[str]) -> list[Any]:
        """Answer what is quick at once and ask for the rest."""
        networks = {network.run.id: network for network in self.session.networks()}
        if not networks:
            return [notice("Choose a run on the left: the orbit of an event under its eyes is shown here.")]
        chosen = networks.get(self.session.orbit_run) or next(iter(networks.values()))
        try:
            model = library.network(chosen.run, True, self.session.dtype)
            if not library.n_images(chosen.run):
                return [notice(f"The test set of {chosen.run.id} is empty.", "warning")]
            if takes_images(model):
                return self._refresh_images(list(networks), chosen)
            return self._refresh_jets(list(networks), chosen)
        except (EqvizError, OSError) as error:
            return [notice(f"{chosen.run.id} cannot be shown here: {error}", "warning")]

    def close(self) -> None:
        """Stop the thread and the player."""
        self._aside.close()
        if self._built:
            self._controls.stop()

    def hide(self) -> None:
        """Nobody sees the player any more."""
        super().hide()
        if self._built:
            self._controls.stop()

    def _refresh_images(self, runs: list[str], chosen: Network) -> list[Any]:
        subject = subject_of(chosen.run, self.session.jet, self.session.dtype)
        layers, layer, fields, field = self._images.choose(subject)
        self._page = self._images
        size = subject.image.shape[-1]
        self._controls.offer(True, runs, chosen.run.id, layers, layer, fields, field, size)
        self._aside.want([*self._images.ask(subject, layer, field), *self._wanted_film()])
        self._images.show()
        self._offer_film()
        return [self._controls, self._films, self._images.body]

    def _refresh_jets(self, runs: list[str], chosen: Network) -> list[Any]:
        session, page = self.session, self._jets
        stable = session.stable and has_stable_form(chosen.run) and not is_original(chosen.run)
        subject = jet_subject(chosen.run, session.jet, session.dtype, stable)
        layers, layer, features, feature = page.choose(subject)
        self._page = page
        self._controls.offer(False, runs, chosen.run.id, layers, layer, features, feature)
        self._aside.want([*page.ask(subject, layer, feature), *self._wanted_film()])
        page.show()
        self._offer_film()
        return [self._controls, self._films, page.body]

    # -- the animation ------------------------------------------------------------------------------------

    def _animate(self, suffix: str, event: Any = None) -> None:
        page, dark = self._page, self.session.dark
        if isinstance(page, ImagePage) and page.orbit is not None and page.field is not None:
            question = page.field
            self._film = AnimationQuestion(page.orbit, question.layer, question.field, suffix, dark)
        elif isinstance(page, JetPage) and page.orbit is not None:
            layer, feature = (page.field.layer, page.field.feature) if page.field else ("", 0)
            self._film = JetAnimationQuestion(page.orbit, layer, feature, suffix, dark)
        self._aside.want([*page.unknown(), *self._wanted_film()])
        self._offer_film()

    def _wanted_film(self) -> list[Film]:
        return [] if self._film is None or ORBITS.done(self._film) else [self._film]

    def _offer_film(self) -> None:
        film = self._film
        found = None if film is None else ORBITS.get(film)
        if film is None or found is None:
            self._save[:] = []
            self._state.object = "" if film is None else "Drawing the animation …"
            return
        if isinstance(found, EqvizError):
            self._state.object = str(found)
            return
        number = (film.field if isinstance(film, AnimationQuestion) else film.feature) + 1
        self._state.object = f"{film.layer or 'jet'}, number {number}, {len(found) / 1000:.0f} kB"
        name = f"orbit-{film.orbit.subject.run.id}-jet{film.orbit.subject.row}{film.suffix}"
        if not self._save.objects or self._save.objects[0].filename != name:
            button = pmui.FileDownload(
                callback=lambda: io.BytesIO(found), filename=name, label=f"Save {name}", size="small"
            )
            self._save[:] = [button]

    def _answered(self) -> None:
        if self.visible and self._built and self._page.subject is not None:
            self._page.show()
            self._offer_film()
