"""Mutants of golden/: each has one operator or number changed, and a judge has to notice.

The judges are those of deltarnn.reference.judges: none of them asks golden what is right. Mutants
are made in a copy of the package, by cosmic-ray's operators and, for whole statements, by two more.
"""

import ast
import importlib.metadata
import os
import re
import resource
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

import golden
from deltarnn.evidence.reference import any_frames, any_model
from deltarnn.markdown import lines
from deltarnn.reference.judges import JUDGES, Case, verdict
from deltarnn.reference.program import answers, compiled
from golden.files import temporary_folder
from golden.fixed import Q
from golden.formats import Formats
from golden.model import Model

WANTED = 0.9  # of the mutants that are not equivalent
MODULES = (
    "fixed",
    "delta",
    "accumulate",
    "gru",
    "lstm",
    "linear",
    "tables",
    "network",
    "recurrent",
)
SEED, CASES = 3, 14
# What is kept is coarser than gates, by a number that no other operator makes of both.
COARSE = Formats(state=Q(3, 3), cell=Q(3, 3))
SECONDS, BYTES = 60, 4 << 30  # of the CPU and of memory: a mutant that takes more is noticed
SURVIVED = "none"


@dataclass(frozen=True)
class Same:
    """Mutants of a line that compute what golden computes: no judge can tell them apart.

    ``line`` is one that they begin as, or a part of it; ``after`` a pattern of what they become.
    """

    module: str
    line: str
    after: str
    why: str

    def matches(self, module: str, before: str, after: str) -> bool:
        return (
            module == self.module
            and self.line in before
            and re.search(self.after, after) is not None
        )


_WRAPS = "a negative index of NumPy counts from the end of the table, and finds the same entry"
_BITS = "no matrix of a model file comes near 2^53 with a few bits more or less"
EQUIVALENT = (
    Same("fixed", "half = np.where", "right != 0", "`right` is never negative"),
    Same("fixed", "half = np.where", "- 1, -1", "where `right` is 0, `where` takes the 0"),
    Same("accumulate", "if fired.size * 2", "", "both ways give the same product; one is faster"),
    Same("accumulate", "bound = int", "initial= -1", "only a matrix without rows has it"),
    Same("gru", "- pre.min]", r"[+^] pre\.min", _WRAPS),
    Same("lstm", "- pre.min", r"[+^] pre\.min", _WRAPS),
    Same("linear", "ExactMatrix(", r"width (?!<<)", _BITS),
    Same("recurrent", "delta_bits =", r"width (?!<<)", _BITS),
    Same("network", "_sequence(trace, 0, length)", "-1", "a batch of one: its last is its first"),
    Same(
        "recurrent",
        "layer.theta_h or 0",
        "or -1",
        "-1 lets a d of 0 pass too, which adds nothing and is no event",
    ),
    Same("recurrent", "gates - splits]", r"gates \^ splits", "3 - 1 is 3 ^ 1, and 4 - 0 is 4 ^ 0"),
    Same("recurrent", "whole = len(of_x)", "!=", "biases are never fewer than rows"),
)


@dataclass(frozen=True)
class Mutant:
    """A module of golden with one change.

    Attributes
    ----------
    module
        Its name within golden.
    operator
        What cosmic-ray calls the change.
    line
        Its number.
    before, after
        The line as it was and as it is; ``after`` is empty where it is gone.
    source
        The whole module.
    """

    module: str
    operator: str
    line: int
    before: str
    after: str
    source: str


def mutants(module: str) -> Iterator[Mutant]:
    """Every mutant of a module. Annotations compute nothing and are left out."""
    text = (_place() / f"{module}.py").read_text()
    for operator, line, source in (*_of_cosmic_ray(text), *_of_statements(text)):
        yield Mutant(module, operator, line, *_changed(text, source), source)


def _of_cosmic_ray(text: str) -> Iterator[tuple[str, int, str]]:
    """All operators of cosmic-ray but those that want to be told names of variables."""
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    plain = _annotations(text)
    tree = get_ast(text)
    for name in sorted(operator_names()):
        operator_class = get_operator(name)
        if operator_class.arguments():
            continue
        operator = operator_class()
        places = [p for node in ast_nodes(tree) for p in operator.mutation_positions(node)]
        for occurrence, (start, _) in enumerate(places):
            if not any(first <= start < last for first, last in plain):
                source = mutate_code(text, operator, occurrence)
                assert source is not None
                yield name.partition("/")[2], start[0], source


def _of_statements(text: str) -> Iterator[tuple[str, int, str]]:
    """What cosmic-ray leaves alone: statements left out, and what += does."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Assign | ast.AugAssign | ast.Raise) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        ):
            yield "LeaveOutStatement", node.lineno, _with(text, node, "pass")
        if isinstance(node, ast.AugAssign):
            statement = ast.get_source_segment(text, node) or ""
            for other in ("-=", "="):
                changed = statement.replace("+=", other, 1)
                yield "ReplaceAugmentedAssignment", node.lineno, _with(text, node, changed)


def _with(text: str, node: ast.stmt, other: str) -> str:
    """``text`` with a statement replaced."""
    statement = ast.get_source_segment(text, node)
    assert statement is not None
    before = "".join(text.splitlines(keepends=True)[: node.lineno - 1])
    start = len(before) + node.col_offset
    return text[:start] + other + text[start + len(statement) :]


Span = tuple[tuple[int, int], tuple[int, int]]


def _annotations(text: str) -> list[Span]:
    """Where annotations begin and end, in lines and columns."""
    found = []
    for node in ast.walk(ast.parse(text)):
        for name in ("annotation", "returns"):
            part = getattr(node, name, None)
            if part is not None:
                end = (part.end_lineno, part.end_col_offset)
                found.append(((part.lineno, part.col_offset), end))
    return found


def _changed(text: str, source: str) -> tuple[str, str]:
    """The first line that differs, without its indent, as it was and as it is."""
    before, after = text.splitlines(), source.splitlines()
    n = next(n for n, line in enumerate(before) if after[n : n + 1] != [line])
    if before[n + 1 :] == after[n:]:
        return before[n].strip(), ""
    return before[n].strip(), after[n].strip()


@cache
def cases(count: int = CASES) -> tuple[Case, ...]:
    """Networks of every kind, and what C makes of frames for them.

    Half of them have every threshold at 0: there the network without deltas is judged as well.
    """
    found: list[Case] = []
    seed = 0
    while len(found) < count:
        rng = np.random.default_rng([SEED, seed])
        model = any_model(rng, None if len(found) > 3 else COARSE)
        model = _without_thresholds(model) if len(found) % 2 else model
        if model.parameters.formats.preactivation.width < 12:  # others have large tables
            case = _case(model, rng)
            if len(np.unique(np.concatenate([each["state"] for each in case.answers]))) > 16:
                found.append(case)
        seed += 1
    return tuple(found)


def _without_thresholds(model: Model) -> Model:
    layers = tuple(
        replace(layer, theta_x=0, theta_h=0 if layer.recurrent else None)
        for layer in model.parameters.layers
    )
    return Model.of(model.name, model.parameters.formats, layers, model.weights)


def _case(model: Model, rng: np.random.Generator) -> Case:
    sequences = tuple(any_frames(model, length, rng).astype(np.int64) for length in (30, 21, 6))
    with temporary_folder() as folder:
        program = compiled(model, folder)
        found = tuple(answers(program, model, frames) for frames in sequences)
    return Case(
        {name: (q.m, q.f) for name, q in vars(model.parameters.formats).items()},
        tuple(tuple(vars(layer).values())[:6] for layer in model.parameters.layers),
        tuple({k: v for k, v in vars(w).items() if v is not None} for w in model.weights),
        sequences,
        found,
    )


def judged(mutant: Mutant, given: list[Case], folder: Path) -> str:
    """What notices a mutant, by name; SURVIVED where nothing does.

    ``folder`` holds a copy of golden, of which a process of its own imports it.
    """
    place = folder / "golden" / f"{mutant.module}.py"
    whole = place.read_text()
    place.write_text(mutant.source)
    child = os.fork()
    if not child:
        _judge(given, folder)
    _, status = os.waitpid(child, 0)
    place.write_text(whole)
    if not os.WIFEXITED(status):
        return "time or memory"
    return [SURVIVED, *(judge.__name__ for judge in JUDGES)][os.WEXITSTATUS(status)]


def _judge(given: list[Case], folder: Path) -> None:
    """Ends this process with the number of the judge that finds the golden of ``folder`` wrong."""
    status = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # warnings of what is broken
        sys.dont_write_bytecode = True
        for name in [name for name in sys.modules if name.partition(".")[0] == "golden"]:
            del sys.modules[name]
        sys.path.insert(0, str(folder))
        name = verdict(given)
        status = [None, *(judge.__name__ for judge in JUDGES)].index(name)
    finally:
        os._exit(status)


@contextmanager
def copy_of_golden() -> Iterator[Path]:
    """A folder with a copy of golden that may be changed; gone at the end."""
    with temporary_folder() as folder:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(_place(), folder / "golden", ignore=ignored)
        yield folder


def _place() -> Path:
    return Path(next(iter(golden.__path__)))


def measure(say: Callable[[str], None], share: float = 1.0) -> dict:
    """Judges ``share`` of all mutants."""
    begun = time.monotonic()
    given = list(cases())
    wrong = verdict(given)
    if wrong is not None:
        raise RuntimeError(f"golden as it is: {wrong} finds it wrong")
    every = [mutant for module in MODULES for mutant in mutants(module)]
    chosen = every[:: max(1, round(1 / share))]
    modules = {module: Counter[str]() for module in MODULES}
    judges: Counter[str] = Counter()
    survivors = []
    with copy_of_golden() as folder:
        for n, mutant in enumerate(chosen, start=1):
            by = judged(mutant, given, folder)
            judges[by] += by != SURVIVED
            equivalent = by == SURVIVED and _reason(mutant) is not None
            kind = "equivalent" if equivalent else "survived" if by == SURVIVED else "killed"
            modules[mutant.module][kind] += 1
            if by == SURVIVED:
                survivors.append(
                    {k: v for k, v in vars(mutant).items() if k != "source"}
                    | {"reason": _reason(mutant)}
                )
            if n % 100 == 0:
                say(f"golden mutants: {n} of {len(chosen)}, {len(survivors)} survived")
    return {
        "made_by": f"cosmic-ray {importlib.metadata.version('cosmic-ray')}",
        "cases": len(given),
        "mutants": len(chosen),
        "modules": {module: dict(counts) for module, counts in modules.items()},
        "judges": {judge.__name__: judges[judge.__name__] for judge in JUDGES}
        | {"time or memory": judges["time or memory"]},
        "survivors": survivors,
        "seconds": round(time.monotonic() - begun),
    }


def _reason(mutant: Mutant) -> str | None:
    """Why a mutant is equivalent; None where it is not known to be."""
    what = mutant.module, mutant.before, mutant.after
    return next((same.why for same in EQUIVALENT if same.matches(*what)), None)


def killed_of(result: dict) -> tuple[int, int]:
    """Mutants that were noticed, and all that are not equivalent."""
    total = Counter[str]()
    for counts in result["modules"].values():
        total.update(counts)
    return total["killed"], total["killed"] + total["survived"]


def short(result: dict) -> str | None:
    """How few mutants were noticed, where that is less than was wanted."""
    killed, wanted = killed_of(result)
    return f"{killed} of {wanted} noticed" if killed < WANTED * wanted else None


def found(result: dict) -> str:
    """What was found, in a line."""
    killed, wanted = killed_of(result)
    return f"{killed:,} of {wanted:,} faults put into the golden model were noticed"


def section(result: dict) -> str:
    """The section of docs/evidence.md."""
    killed, wanted = killed_of(result)
    modules = [
        [
            f"`golden/{name}.py`",
            *(str(counts.get(k, 0)) for k in ("killed", "survived", "equivalent")),
        ]
        for name, counts in result["modules"].items()
    ]
    judges = [[name.replace("_", " "), str(count)] for name, count in result["judges"].items()]
    survivors = Counter(
        (f"{each['module']}:{each['line']}", _code(each["before"]), each["reason"] or "unknown")
        for each in result["survivors"]
    )
    rows = [[place, line, str(n), why] for (place, line, why), n in survivors.items()]
    return f"""\
## Mutants of the golden model

{result["made_by"]} changes one operator, number, comparison or decorator at a time of the modules
that compute, in a copy of them; besides, statements are left out. No judge asks golden what is
right: {result["cases"]} networks have to give the words of the C99 reference, and each part has to
give what Python's whole numbers and fractions give. {killed:,} of {wanted:,} mutants were noticed
({killed / wanted:.1%}), beside those that compute the same.

{lines(["module", "noticed", "survived", "the same"], modules)}

Judges stand in a row, and the first that notices counts:

{lines(["judge", "mutants"], judges)}

What no judge noticed, each listed in `docs/evidence/golden_mutants.json`:

{lines(["place", "as it is", "mutants", "why"], rows)}

What this does not show: mistakes that are no change of one operator, and any in numerics.md itself.
It took {result["seconds"]:,} seconds on one core.
"""


def _code(text: str) -> str:
    """A line as a cell of a table may hold it."""
    return f"`{text}`".replace("|", "\\|") if text else "(gone)"
