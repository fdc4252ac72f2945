import pytest

from boards.synthesis import ICE40, Family, cell_counts
from golden.parameters import CoreParameters
from hw.verilog import TOP, emit
from tests.networks import random_model

GENERIC = Family("generic", "synth", {"flip-flops": r"\$_S?DFF\w*_", "all": r".*"}, {})
MODEL = random_model((5, 9), 3)


@pytest.fixture(scope="module")
def verilog():
    return emit(CoreParameters(MODEL.parameters, 4), MODEL).verilog


def test_the_top_synthesises_for_a_generic_target(verilog):
    cells = cell_counts(verilog, TOP, GENERIC)
    assert cells["all"] > cells["flip-flops"] > 500


def test_ice40_gets_block_rams_and_multipliers(verilog):
    cells = cell_counts(verilog, TOP, ICE40)
    assert cells["MAC16"] >= 4  # one a lane at the least
    assert cells["EBR"] > 0
    assert cells["LUT4"] > 500


def test_yosys_that_fails_says_so():
    with pytest.raises(RuntimeError, match="Yosys failed"):
        cell_counts("module broken(", "broken", ICE40)


def test_no_yosys_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("YOSYS", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"Yosys: found none .*deltarnn\[boards\]"):
        cell_counts("", "top", ICE40)
