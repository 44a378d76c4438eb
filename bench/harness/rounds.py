"""Rounds in which every contender has one turn: drift meets all of them alike.

pytest-benchmark would run one contender to its end before the next begins. So the
rounds are run here, and it is given the figures afterwards.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.contenders import label, load

from .contender_processes import ContenderProcesses, Failed
from .timed_run import TASKS

Entrant = tuple[str, str]


@dataclass(frozen=True)
class Case:
    """What a suite says about one of its tests."""

    name: str
    title: str
    times: int
    per: str
    related: bool = False
    tasks: bool = False
    # A line of the table of that name, of ratios, instead of a table of its own.
    table: str = ""

    def order(self, quick: bool) -> dict[str, Any]:
        return {
            "times": (self.times + 9) // 10 if quick else self.times,
            "related": self.related,
        }

    def count(self, quick: bool) -> int:
        """Return how many times the thing is done in one turn."""
        times: int = self.order(quick)["times"]
        return times * TASKS if self.tasks else times


@dataclass
class Outcome:
    """The seconds per pass, get, block ... of one entrant, a figure for each round."""

    entrant: Entrant
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    failure: str = ""

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def title(self) -> str:
        name, method = self.entrant
        variant = method.partition("__")[2].replace("_", " ")
        return f"{load(name).title} {variant}".strip()


def run(
    processes: ContenderProcesses,
    case: Case,
    entrants: list[Entrant],
    rounds: int,
    quick: bool,
    advance: Callable[[str], None],
) -> dict[Entrant, Outcome]:
    outcomes = {entrant: Outcome(entrant) for entrant in entrants}
    order = case.order(quick)
    for number in range(-1, rounds):  # the first looks at every row, and warms up
        # Nobody always comes after the same one. The same shuffles in every run.
        shuffled = random.Random(f"{case.name} {number}").sample(
            entrants, len(entrants)
        )
        for entrant in shuffled:
            name, method = entrant
            advance(f"{case.name} {label(name, method)}")
            outcome = outcomes[entrant]
            if outcome.failure:
                continue
            try:
                seconds, cpu = processes.take_turn(
                    name, method=method, verify=number < 0, **order
                )
            except Failed as failed:
                outcome.failure = str(failed)
                continue
            if number >= 0:
                outcome.seconds.append(seconds / case.count(quick))
                outcome.cpu_seconds.append(cpu / case.count(quick))
    return outcomes
