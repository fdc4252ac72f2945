"""Random configurations until time is up or one is wrong."""

import sys
from pathlib import Path

import click

from deltarnn.console import JSON, OutputPath, extra, print_json, progress, say, table
from golden.errors import refusal
from golden.files import require_distinct, require_writable_file


@click.command()
@click.option(
    "--hours", type=float, default=0.1, show_default=True, help="How long to go on, roughly."
)
@click.option("--cases", "most", type=int, help="How many cases to try at most.")
@click.option("--seed", type=int, default=1, show_default=True, help="Which cases are tried.")
@click.option("--jobs", type=int, default=2, show_default=True, help="Processes side by side.")
@click.option(
    "--save",
    type=OutputPath(),
    default="soak-failure.json",
    show_default=True,
    help="Where the smallest case that fails goes.",
)
@click.option(
    "--journal",
    "known",
    type=OutputPath(),
    help="Where the soak writes down what it has tried, and goes on from.",
)
@click.option("--case", "file", type=click.Path(path_type=Path), help="Try this saved case alone.")
@JSON
def soak(
    hours: float,
    most: int | None,
    seed: int,
    jobs: int,
    save: Path,
    known: Path | None,
    file: Path | None,
    as_json: bool,
) -> None:
    """Tries random models, cores and inputs; whatever is accepted must equal golden in every bit.

    Each case is a model file's worth of sizes, kinds, formats, thresholds and weights, a core for
    it, and a job of frames, resets, loads, broken frames and thresholds. Its Verilog is built and
    played. A case that fails shrinks to the smallest that does, and is saved. The exit status is
    then 1. A soak with the journal of an earlier one of the same sources counts what that tried,
    and goes on behind it.
    """
    if not 0 < hours <= 1000:
        raise refusal("--hours", hours, "above 0, at most 1000")
    if most is not None and most < 1:
        raise refusal("--cases", most, "at least 1")
    if not 0 <= seed < 1 << 32:
        raise refusal("--seed", seed, "from 0 to 2^32 - 1")
    if not 1 <= jobs <= 64:
        raise refusal("--jobs", jobs, "from 1 to 64")
    require_distinct({"--save": save, "--journal": known}, {"--case": file})
    require_writable_file(save)
    with extra("dev"):
        from deltarnn.evidence import soak as evidence
        from deltarnn.evidence.journal import Journal

    journal = None
    if known is not None:
        require_writable_file(known)
        journal = Journal(known)

    tally = evidence.Tally()
    if file is not None:
        case = evidence.load_case(file)
        try:
            evidence.check(case, tally)
        except Exception as error:
            say(f"{file}: {type(error).__name__}: {error}")
            sys.exit(1)
    else:
        with progress.status("building the first cores") as status:

            def tell(tally: evidence.Tally) -> None:
                status.update(f"{tally.equal} equal, {tally.refused} refused by name")

            tally = evidence.soak(seed, hours, jobs, tell, most, journal)
    if as_json:
        print_json(tally.as_json())
    else:
        report = tally.as_json()
        refusals, features = report.pop("refusals"), report.pop("features")
        table(report, "soak")
        for title, rows in (("refused", refusals), ("equal, by what was in them", features)):
            if rows:
                table(rows, title)
    if tally.failure is not None:
        case, reason = tally.failure
        evidence.save_case(case, reason, save)
        say(f"{save}: {' '.join(reason.split())}")
        sys.exit(1)
