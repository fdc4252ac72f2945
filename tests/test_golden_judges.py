"""The judges that do not ask golden: they pass it, and notice each of some mutants."""

import json

import pytest

from deltarnn.evidence import golden_mutants as evidence
from deltarnn.evidence.golden_mutants import Mutant, copy_of_golden, judged
from deltarnn.reference.judges import JUDGES


@pytest.fixture(scope="module")
def cases():
    return list(evidence.cases(4))


@pytest.mark.parametrize("judge", JUDGES, ids=lambda judge: judge.__name__)
def test_golden_is_what_a_judge_takes_for_right(judge, cases):
    judge(cases)


# A module, some text of it, what it becomes, and who notices.
MUTANTS = [
    ("gru", "u * (h_blend - c_blend)", "u * (h_blend + c_blend)", "sequences_at_once"),
    ("delta", "<= theta", "< theta", "sequences_at_once"),
    ("network", "np.concatenate(column)", "np.concatenate(column[::-1])", "one_by_one"),
    ("network", "x.shape[0] != self.batch", "False", "batches"),
    ("linear", "self._bias + self._product(x)", "self._product(x)", "dense_networks"),
    ("recurrent", "sum(axis=1) * largest", "sum(axis=1) + largest", "wide_layers"),
    ("fixed", "self.m + self.f)) - 1", "self.m + self.f)) - 2", "formats_and_saturation"),
    ("fixed", "0 <= n <= 30 for", "0 <= n <= 31 for", "formats_and_saturation"),
    ("fixed", "np.isnan(real)", "np.isinf(real)", "quantisation"),
    ("tables", "write=False", "write=True", "tables"),
    ("accumulate", "bound >= _EXACT", "bound > _EXACT", "products"),
    ("fixed", "return np.clip(", "while True: pass\n    return (", "time or memory"),
    ("network", '"""A whole network', '"""Any whole network', evidence.SURVIVED),
]


@pytest.mark.parametrize(("module", "old", "new", "by"), MUTANTS)
def test_who_notices_a_mutant(module, old, new, by, cases, monkeypatch):
    # One that never ends is ended sooner; its time is the CPU's, whatever else runs.
    monkeypatch.setattr(evidence, "SECONDS", 1 if by == "time or memory" else evidence.SECONDS)
    with copy_of_golden() as folder:
        place = folder / "golden" / f"{module}.py"
        text = place.read_text()
        assert old in text
        mutant = Mutant(module, "by hand", 1, old, new, text.replace(old, new))
        assert judged(mutant, cases, folder) == by
        assert place.read_text() == text


def test_mutants_of_a_module_are_all_different_and_all_changed():
    pytest.importorskip("cosmic_ray")
    found = list(evidence.mutants("delta"))
    assert len({mutant.source for mutant in found}) == len(found) > 20
    changes = {(mutant.before, mutant.after) for mutant in found}
    assert ("self.memory += d", "pass") in changes
    assert ("self.memory += d", "self.memory -= d") in changes
    assert ("d = v - self.memory", "d = v + self.memory") in changes
    annotated = [mutant for mutant in evidence.mutants("accumulate") if "->" in mutant.before]
    assert not annotated


@pytest.mark.slow
def test_the_evidence_is_measured_and_shown(monkeypatch, cases):
    pytest.importorskip("cosmic_ray")
    monkeypatch.setattr(evidence, "cases", lambda: tuple(cases))
    monkeypatch.setattr(evidence, "MODULES", ("delta", "tables"))
    result = evidence.measure(lambda _: None, share=0.2)
    killed, wanted = evidence.killed_of(result)
    assert 0.6 * wanted < killed <= wanted
    assert json.loads(json.dumps(result)) == result
    assert f"{killed:,} of {wanted:,} mutants" in evidence.section(result)
