"""Plays tests/board_bench.py against a board in Verilog."""

import json
import os
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
from cocotb_tools.runner import get_results

from sim.build import built, cache_folder
from sim.cocotb.simulators import Icarus, Verilator, working_environment
from sim.verilator import ARGUMENTS

ADDRESS = 0x20000


class BoardBench:
    """A board as cocotb sees it: a module ``bench`` with ports clk, rst, rx and tx.

    With a flash (in it, called ``flash``) in Icarus: the flash's model is written for event-driven
    simulators. Without one in Verilator.
    """

    def __init__(self, design, texts, divisor, *, flash):
        self.design, self._texts, self._divisor, self._flash = design, texts, divisor, flash
        self._simulator = Icarus() if flash else Verilator()
        if flash:
            path = files("cocotbext.qspi").joinpath("verilog", "qspi_flash.v")
            self._texts = {**texts, "flash.v": path.read_text()}

    def _build(self):
        def make(folder, shared):
            sources = [folder / name for name in self._texts]
            arguments = {"defines": {"FLASH": 1}}
            if not self._flash:
                control = folder / "public.vlt"
                pins = ("clk", "rst", "rx", "tx")
                lines = [f'public_flat_rw -module "bench" -var "{pin}"' for pin in pins]
                control.write_text("\n".join(["`verilator_config", *lines]) + "\n")
                sources.append(control)
                arguments = {"build_args": ARGUMENTS}
            with working_environment(self._simulator.environment()):
                self._simulator.runner(shared, waves="").build(
                    sources=sources,
                    hdl_toplevel="bench",
                    build_dir=folder,
                    timescale=("1ns", "1ps"),
                    log_file=folder / "build.log",
                    **arguments,
                )

        identity = [*self._simulator.identity, self._simulator.version]
        return built(self._texts, identity, make, self._simulator.name)

    def play(self, test, folder, job, **arrays):
        """What the bench called ``test`` found."""
        job = {
            "divisor": self._divisor,
            "address": ADDRESS,
            "patience": 60,
            "outputs": self.design.link.outputs,
            "result": self.design.link.result,
            "counters": len(self.design.link.counters),
            **job,
        }
        arrays["weights"] = np.frombuffer(self.design.emission.weights, dtype=np.uint8)
        if self._flash:
            arrays["image"] = np.frombuffer(self.design.flash, dtype=np.uint8)
        (folder / "job.json").write_text(json.dumps(job))
        np.savez(folder / "arrays.npz", **arrays)
        variables = {
            **self._simulator.environment(),
            "PYTHONPATH": os.pathsep.join(str(Path(p or ".").resolve()) for p in sys.path),
        }
        with working_environment(variables):
            found = self._simulator.runner(cache_folder(), waves="").test(
                test_module="tests.board_bench",
                test_filter=f"{test}$",
                hdl_toplevel="bench",
                hdl_toplevel_lang="verilog",
                build_dir=self._build(),
                test_dir=folder,
                results_xml=str(folder / "results.xml"),
                timescale=("1ns", "1ps"),
                extra_env={"DELTARNN_JOB": str(folder), "COCOTB_LOG_LEVEL": "WARNING"},
                log_file=folder / "log",
            )
        assert get_results(found) == (1, 0), (folder / "log").read_text()[-3000:]
        return json.loads((folder / "found.json").read_text())
