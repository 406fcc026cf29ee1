"""The Play button, in an event loop without a page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from eqviz.dash.widgets import Player

PERIOD = 0.02


class Counted(Player):
    """Notes when it steps."""

    def __init__(self, seconds: float = PERIOD) -> None:
        self.times: list[float] = []
        super().__init__(lambda: self.times.append(asyncio.get_running_loop().time()), seconds)

    async def steps(self, n: int) -> None:
        """Wait for ``n`` more."""
        wanted = len(self.times) + n
        async with asyncio.timeout(30):
            while len(self.times) < wanted:
                await asyncio.sleep(PERIOD / 4)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """In a thread of its own: the tests' own may hold the loop that drives the browser."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, scenario).result()


def press(player: Player) -> None:
    player.button.value = not player.button.value


@pytest.mark.parametrize("end", [press, Player.stop], ids=["pressed again", "stopped"])
def test_play_steps_until_it_is_ended(end: Callable[[Player], None]) -> None:
    async def scenario() -> None:
        player, clock = Counted(), Counted()
        press(clock)
        await clock.steps(3)
        assert player.times == [] and not player.button.value  # nobody has pressed it
        for _ in range(2):  # it can be played again
            press(player)
            assert player.button.value
            await player.steps(3)
            end(player)
            assert not player.button.value
            done = len(player.times)
            await clock.steps(5)
            assert len(player.times) == done
        clock.stop()

    run(scenario())


def test_the_period_is_kept() -> None:
    async def scenario() -> None:
        slow, fast = Counted(5 * PERIOD), Counted(PERIOD)
        press(slow)
        press(fast)
        await slow.steps(3)
        slow.stop()
        fast.stop()
        # a busy machine leaves steps out, and never adds any
        assert slow.times[2] - slow.times[0] > 2 * 5 * PERIOD * 0.9
        assert len(fast.times) > len(slow.times)

    run(scenario())


def test_to_stop_what_does_not_play_changes_nothing() -> None:
    player = Counted()
    player.stop()
    assert not player.button.value and player.times == []
