"""The C99 file of a model against golden, PyTorch and the page."""

import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal, localcontext
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from deltarnn.commands.reference import reference
from deltarnn.evidence import reference as evidence
from deltarnn.evidence.reference import any_frames, any_model, compare
from deltarnn.reference import emit, program
from deltarnn.reference.against_torch import distance, module_of, recording_of
from deltarnn.reference.tables import sigmoid_table, tanh_table
from golden import tables
from golden.fixed import Q
from golden.formats import Formats
from golden.model_file import save_model
from golden.network import DeltaNetwork
from tests.networks import random_frames, random_model
from tests.slow import every, quick

ROOT = Path(__file__).parents[1]
SMALL = random_model((3, 5, 4), 2, kinds=("gru", "lstm"), shifts=2, theta=(2, 1))


@pytest.mark.parametrize("seed", every(8, range(24)))
def test_any_network_gives_goldens_words(seed):
    rng = np.random.default_rng([7, seed])
    model = any_model(rng)
    found = compare(model, [any_frames(model, length, rng) for length in (1, 60, 90)])
    assert not found.differences
    assert found.words == 151 * (model.parameters.outputs + model.parameters.recurrent[-1].units)


LIMITS = {
    "narrowest": Formats(Q(0, 1), Q(0, 0), Q(1, 0), Q(0, 0), Q(0, 1), Q(0, 0)),
    "widest": Formats(Q(0, 15), Q(1, 28), Q(1, 28), Q(0, 30), Q(5, 10), Q(0, 28)),
    "tables of 2^16 entries": Formats(
        Q(15, 0), Q(30, 13), Q(1, 13), Q(30, 14), Q(0, 15), Q(30, 10)
    ),
}


@pytest.mark.parametrize("formats", quick(LIMITS, ("narrowest", "widest")))
def test_formats_at_their_limits(formats):
    model = random_model(
        (4, 6, 5),
        3,
        kinds=("gru", "lstm"),
        formats=formats,
        theta=(0, 0),
        weight_frac=15,
        scale=128,
    )
    rng = np.random.default_rng(3)
    found = compare(model, [any_frames(model, 80, rng) for _ in range(4)])
    assert not found.differences
    assert found.events > 300


def test_a_difference_is_found(monkeypatch):
    """Another bias in the C alone, one step off."""
    first, *others = SMALL.weights
    other = replace(SMALL, weights=(replace(first, bias=first.bias + (1 << 9)), *others))
    monkeypatch.setattr(evidence, "compiled", lambda model, folder: program.compiled(other, folder))
    found = compare(SMALL, [random_frames(SMALL, 30)])
    assert any("state" in line for line in found.differences)


def test_the_commands_file_compiles_and_begins_anew_at_reset(tmp_path):
    """Included in a program of the user's own, whose functions are counted as they are called.

    Each event adds one column, in two parts: what did not fire costs nothing.
    """
    model = replace(SMALL, name="*/ /* ??/ \\\n#error \u202e")
    save_model(model, tmp_path / "model.safetensors")
    arguments = [str(tmp_path / "model.safetensors"), "-o", str(tmp_path / "model.c"), "--json"]
    done = CliRunner().invoke(reference, arguments)
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["bytes"] == (tmp_path / "model.c").stat().st_size
    frames = random_frames(model, 40, moving=0.3)
    codes = ", ".join(map(str, frames.ravel()))
    (tmp_path / "main.c").write_text(f"""
#include "model.c"
#include <stdio.h>
static const deltarnn_value frames[40][DELTARNN_INPUTS] = {{{codes}}};
static unsigned long added, fired;
void __cyg_profile_func_enter(void *function, void *caller) __attribute__((no_instrument_function));
void __cyg_profile_func_exit(void *function, void *caller) __attribute__((no_instrument_function));
void __cyg_profile_func_enter(void *function, void *caller)
{{
    (void)caller;
    added += function == (void *)(size_t)deltarnn_add;
}}
void __cyg_profile_func_exit(void *function, void *caller) {{ (void)function; (void)caller; }}
int main(void)
{{
    static deltarnn_state state;
    deltarnn_out out;
    int round, t, n;
    for (round = 0; round < 2; round++) {{
        deltarnn_reset(&state);
        for (t = 0; t < 40; t++) {{
            deltarnn_frame(&state, frames[t], &out);
            for (n = 0; n < DELTARNN_LAYERS; n++)
                fired += out.events_x[n] + out.events_h[n];
            for (n = 0; n < DELTARNN_OUTPUTS; n++)
                printf("%ld\\n", (long)out.results[n]);
        }}
    }}
    printf("%lu %lu\\n", added, fired);
    return 0;
}}
""")
    flags = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-Wno-missing-braces", "-O0"]
    command = ["cc", *flags, "-finstrument-functions", "main.c", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    said = subprocess.run(tmp_path / "main", capture_output=True, text=True, check=True).stdout
    *results, counts = said.splitlines()
    trace = DeltaNetwork(model).run(frames)
    assert list(map(int, results)) == 2 * trace.outputs.ravel().tolist()
    added, fired = map(int, counts.split())
    assert fired == 2 * int(trace.events_x.sum() + trace.events_h.sum())
    assert added == 2 * fired


BAD = {
    "cut off": (b"\1\2\3\4", "found frame 1 cut off, expected 3 codes from -64 to 63"),
    "out of range": (b"\1\2\100", "found frame 0 with a code out of range, expected 3 codes"),
}


@pytest.mark.parametrize(("frames", "message"), BAD.values(), ids=BAD)
def test_the_program_refuses_frames(frames, message, tmp_path):
    model = random_model((3, 2), formats=Formats(activation=Q(3, 3)))
    made = program.compiled(model, tmp_path, ("-O0",))
    done = subprocess.run(made, input=frames, capture_output=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


def test_a_threshold_beyond_all_types_lets_nothing_pass():
    model = random_model((2, 3), theta=((10**20, 10**20),))
    found = compare(model, [random_frames(model, 9, saturating=True)])
    assert (found.events, found.differences) == (0, ())


@pytest.mark.parametrize(
    ("index", "gate"),
    [(Q(3, 4), Q(1, 6)), (Q(0, 1), Q(1, 0)), (Q(6, 3), Q(1, 28)), (Q(0, 9), Q(2, 30))],
)
def test_tables_are_those_of_decimal_and_of_golden(index, gate):
    codes = range(index.min, index.max + 1)
    with localcontext() as context:
        context.prec = 60
        step, half = Decimal(2) ** -index.f, Decimal("0.5")
        for made, theirs, function in (
            (sigmoid_table, tables.sigmoid_table, lambda x: 1 / (1 + (-x).exp())),
            (tanh_table, tables.tanh_table, lambda x: 1 - 2 / (1 + (2 * x).exp())),
        ):
            exact = [function(code * step) * 2**gate.f + half for code in codes]
            wanted = [int(value.to_integral_value(ROUND_FLOOR)) for value in exact]
            assert made(index, gate) == np.clip(wanted, gate.min, gate.max).tolist()
            assert made(index, gate) == theirs(index, gate).tolist()


def test_a_table_takes_more_bits_where_its_intervals_are_too_wide():
    assert tanh_table(Q(3, 4), Q(1, 20), bits=8) == tanh_table(Q(3, 4), Q(1, 20))
    assert sigmoid_table(Q(3, 4), Q(1, 20), bits=8) == sigmoid_table(Q(3, 4), Q(1, 20))


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_floats_are_as_near_as_roundings_allow(kind, tmp_path):
    recording = recording_of(4, 80, 1)
    coarse, fine = (
        distance(module_of(kind, 4, 8, 1, 64), fraction, recording, tmp_path) for fraction in (4, 9)
    )
    assert coarse.of_bound <= 1
    assert fine.of_bound <= 1
    assert fine.worst < coarse.worst / 16
    assert fine.error < coarse.error / 16


def test_a_bound_is_passed_by_another_network(tmp_path, monkeypatch):
    """What PyTorch computes is not what was compiled: one weight is an eighth larger."""
    module = module_of("gru", 4, 8, 1, 64)
    other = module_of("gru", 4, 8, 1, 64)
    other.weight_hh_l0.data[17, 3] += 0.125
    monkeypatch.setattr(
        "deltarnn.reference.against_torch.compiled",
        lambda model, folder: program.compiled(_imported(other, folder), folder),
    )
    assert distance(module, 9, recording_of(4, 80, 1), tmp_path).of_bound > 1


def _imported(module, folder):
    import torch

    from deltarnn.reference.against_torch import formats_of
    from train.importers import read_network
    from train.quantised.quantize import quantize_network

    torch.save(module.state_dict(), folder / "other.pt")
    network = read_network(folder / "other.pt")
    return quantize_network("other", formats_of(9), network, shift_max=3)


def test_the_pages_examples(tmp_path, monkeypatch):
    """Both run, and its sizes are those of this machine's compiler, or close."""
    page = (ROOT / "docs" / "reference.md").read_text()
    (code,) = re.findall(r"```c\n(.*?)```", page, re.DOTALL)
    (shell,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("models").symlink_to(ROOT / "models")
    command, *others = shell.splitlines()
    assert CliRunner().invoke(reference, shlex.split(command)[2:]).exit_code == 0
    script = "\n".join(others).replace("python ", f"{shlex.quote(sys.executable)} ")
    done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, check=True)
    assert done.stdout == "(1153, 45)\n"
    Path("main.c").write_text(code.replace("return out", SIZES + "return out"))
    subprocess.run(["cc", *program.STRICT, "-Os", "main.c", "-o", "main"], check=True)
    said = subprocess.run("./main", capture_output=True, text=True, check=False)
    assert said.returncode in (0, 1)
    assert said.stdout == "688 52\n"
    for size in said.stdout.split():
        assert f" {size}" in page


SIZES = """extern int printf(const char *, ...);
    printf("%u %u\\n", (unsigned)sizeof state, (unsigned)sizeof out);
    """


def test_a_name_stays_in_its_comment():
    assert emit.plain("a*/b\\\n??/") == "a__b_____"
    assert emit.emit(replace(SMALL, name="\u00e9" * 100)).isascii()


@pytest.mark.slow
def test_the_evidence_is_measured_and_shown():
    result = evidence.measure(lambda _: None, share=0.01)
    assert result["differences"] == []
    assert json.loads(json.dumps(result)) == result
    assert f"{result['words']:,}" in evidence.section(result)
