"""Work beside the page: one thread for each session that answers its newest questions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Condition, Thread

from eqviz.dash.questions import Answers, Asked


class Aside:
    """A thread that works out answers one by one; a new request replaces what has not been started.

    Args:
        answers: where results go.
        answered: called from the thread after every answer.
    """

    def __init__(self, answers: Answers, answered: Callable[[], None]) -> None:
        self._answers = answers
        self._answered = answered
        self._condition = Condition()
        self._waiting: list[Asked] = []
        self._closed = False
        self._thread: Thread | None = None

    def want(self, questions: Sequence[Asked]) -> None:
        """Answer these from now on, the first one first."""
        with self._condition:
            if self._closed:
                return
            self._waiting = list(questions)
            if self._thread is None and questions:
                self._thread = Thread(target=self._work, name="eqviz-aside", daemon=True)
                self._thread.start()
            self._condition.notify()

    def close(self) -> None:
        """Stop after the answer that is being worked out."""
        with self._condition:
            self._closed, self._waiting = True, []
            self._condition.notify()

    def _work(self) -> None:
        while True:
            with self._condition:
                while not self._waiting and not self._closed:
                    self._condition.wait()
                if self._closed:
                    return
                question = self._waiting.pop(0)
            if not self._answers.done(question):
                self._answers.work_out(question)
            self._answered()
