"""The front end's golden model against exact arithmetic, and its bounds against the worst input."""

import hashlib
import math
from fractions import Fraction

import numpy as np
import pytest

from golden.fixed import Q, rshift
from golden.sound import bank, cic, log
from golden.sound.decision import NOTHING, Decision
from golden.sound.front_end import FrontEnd
from golden.sound.modulator import FULL, interpolated, modulated

FRONT = FrontEnd()
SMALL = FrontEnd(pdm_rate=384_000, decimation=24, drop=0, bands=6, hop=20, floor=6)


def tone(hertz: float, rate: float, seconds: float, size: float = 0.5) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    return np.rint(size * FULL * np.sin(2 * np.pi * hertz * t)).astype(np.int64)


def test_the_parameters_that_everything_is_measured_with():
    assert (FRONT.sample_rate, FRONT.sample_width, FRONT.sum_width) == (16000, 16, 24)
    assert FRONT.sample_max == 27648
    text = repr([(band.f, band.h) for band in FRONT.resonators])
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "cebe76622e416ba8"


def test_no_coefficient_hangs_on_the_last_bit_of_a_sine():
    """Each real coefficient is far from where it would round another way, on any machine."""
    edges = bank.mel_centres(FRONT.bands, FRONT.lowest, FRONT.highest)
    for left, centre, right in zip(edges, edges[1:], edges[2:], strict=False):
        fine = bank.resonator(centre, (right - left) / 2, FRONT.sample_rate, 32)
        for value in (fine.f, fine.h):
            part = value / 2**20 % 1
            assert abs(part - 0.5) > 1e-4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bands": 33}, "bands: found 33, expected an integer from 1 to 32"),
        ({"hop": 31}, "hop: found 31, expected an integer >= 32"),
        ({"highest": 4001.0}, "bands: found 100.0 to 4001.0 Hz, expected rising, at most 4000.0"),
        ({"overlap": 0.0}, "overlap: found 0.0, expected more than 0"),
        ({"gains": (1, 2)}, "gains: found 2, expected 32, one a band"),
        ({"gains": (256,) * 32}, "gain: found 256, expected an integer from 0 to 255"),
        ({"coefficient_frac": 11}, "coefficient_frac: found 11, expected an even number"),
        ({"drop": 23}, "drop: found 23, expected an integer from 0 to 22"),
        ({"floor": 40}, "floor: found 40, expected an integer from 0 to"),
    ],
)
def test_what_cannot_be_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        FrontEnd(**change)


@pytest.mark.parametrize(("order", "rate"), [(1, 8), (3, 24), (4, 10), (3, 192)])
def test_the_decimator_is_a_sum_of_sums(order, rate):
    """Against a convolution in Python's integers, for bits of all kinds."""
    rng = np.random.default_rng(order)
    bits = np.concatenate([rng.integers(0, 2, 6 * rate), np.ones(5 * rate), np.zeros(5 * rate)])
    taps = [1]
    for _ in range(order):
        taps = [sum(taps[max(0, n - rate + 1) : n + 1]) for n in range(len(taps) + rate - 1)]
    signs = [2 * int(bit) - 1 for bit in bits]
    exact = [
        sum(tap * signs[n - k] for k, tap in enumerate(taps) if n >= k)
        for n in range(rate - 1, len(bits), rate)
    ]
    assert cic.decimated(bits, order, rate, 0).tolist() == exact
    assert max(map(abs, exact)) == rate**order  # the width holds it, and no less would
    assert 1 << (cic.width(order, rate) - 2) <= rate**order < 1 << (cic.width(order, rate) - 1)


def test_integrators_that_wrap_at_their_width_give_the_same():
    """The gates' arithmetic: everything modulo 2^width, for ones without end."""
    order, rate, width = FRONT.order, FRONT.decimation, FRONT.sum_width
    bits = np.append(np.ones(400 * rate), np.random.default_rng(1).integers(0, 2, 100 * rate))
    sums = 2 * bits.astype(np.int64) - 1
    for _ in range(order):
        sums = np.cumsum(sums)
        assert np.abs(sums[-1]) > 0
        sums &= (1 << width) - 1
    sums = sums[rate - 1 :: rate]
    for _ in range(order):
        sums = np.diff(sums, prepend=0) & ((1 << width) - 1)
    signed = np.where(sums >> (width - 1), sums - (1 << width), sums)
    assert (signed >> FRONT.drop).tolist() == FRONT.samples(bits).tolist()
    with pytest.raises(ValueError, match="bits of a microphone: found another number"):
        FRONT.samples(np.array([0, 2]))


def test_straight_lines_between_samples():
    lines = interpolated(np.array([4, -2]), 4)
    assert lines.tolist() == [4, 8, 12, 16, 10, 4, -2, -8]
    assert interpolated(np.array([[1], [2]]), 2).tolist() == [[1, 2], [2, 4]]


def test_a_modulator_keeps_the_signal_and_shapes_its_noise():
    """A tone of half the range: the noise that 16 kHz samples keep lies 75 dB below it."""
    bits = modulated(tone(1000, 32000, 0.15), 96)
    samples = FRONT.samples(bits)[400:2000].astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(1600))) ** 2
    signal = spectrum[98:103].sum()
    noise = spectrum.sum() - signal - spectrum[:3].sum()
    assert 10 * np.log10(signal / noise) > 75
    full = 10 ** (20 * math.log10(np.sinc(1 / 16)) * 5 / 20)
    assert np.abs(samples).max() == pytest.approx(0.5 * full * FRONT.sample_max, rel=0.01)


def test_samples_without_a_modulator_are_those_of_its_bits_but_for_its_noise():
    pcm = tone(700, 32000, 0.1) + tone(3100, 32000, 0.1, 0.2)
    bits = modulated(pcm, 96)
    through = FRONT.samples(np.append(bits[1:], 0))  # a modulator's answer comes a bit later
    without = FRONT.samples_of(pcm, 2)
    assert len(through) == len(without)
    assert np.abs(through - without)[3:].max() <= 8  # without the missing bit's
    loud = np.full(200, FULL)
    assert FRONT.samples_of(loud, 2)[-1] == FRONT.sample_max
    with pytest.raises(ValueError, match="oversampling: found 5, expected a divisor of 192"):
        FRONT.samples_of(loud, 5)


def test_a_band_in_exact_arithmetic():
    """The recursion of docs/sound.md in fractions, rounded by hand, beside the bank's."""
    rng = np.random.default_rng(2)
    x = rng.integers(-SMALL.sample_max, SMALL.sample_max + 1, 60)
    found = SMALL.envelopes(x)
    one = 1 << SMALL.coefficient_frac

    def rounded(factor: int, of: int) -> int:
        return math.floor(Fraction(factor * of, one) + Fraction(1, 2))

    below = [0] * len(x)
    for n, band in enumerate(SMALL.resonators):
        low = state = envelope = 0
        for t, sample in enumerate(x):
            low += rounded(band.f, state)
            difference = low - (int(sample) << SMALL.guard)
            state = rounded(band.h, state) + rounded(-band.f, difference)
            envelope = rounded(SMALL.decay, envelope) + abs(state - below[t])
            below[t] = state
            if (t + 1) % SMALL.hop == 0:
                assert found[t // SMALL.hop, n] == envelope


def test_several_recordings_at_once_are_each_by_itself():
    x = np.random.default_rng(3).integers(-30, 30, (3, 65))
    together = SMALL.envelopes(x)
    assert together.shape == (3, 3, 6)
    for row, frames in zip(x, together, strict=True):
        np.testing.assert_array_equal(SMALL.envelopes(row), frames)
    np.testing.assert_array_equal(SMALL.envelopes(x[None]), together[None])
    assert SMALL.envelopes(x[:, :0]).shape == (3, 0, 6)  # shorter than a hop


def test_every_band_is_the_filter_that_it_is_meant_to_be():
    """Its peak and its width, and its response to an impulse against scipy's, within 0.1 dB."""
    signal = pytest.importorskip("scipy.signal")
    edges = bank.mel_centres(FRONT.bands, FRONT.lowest, FRONT.highest)
    rate, frac = FRONT.sample_rate, FRONT.coefficient_frac
    for n, band in enumerate(FRONT.resonators):
        f, h = band.f / 2**frac, band.h / 2**frac
        sections = np.array([[f, -f, 0, 1, f * f - 1 - h, h]])
        hertz, response = signal.sosfreqz(sections, 1 << 16, fs=rate)
        decibels = 20 * np.log10(np.abs(response) + 1e-12)
        assert hertz[decibels.argmax()] == pytest.approx(edges[n + 1], rel=0.02)
        passed = hertz[decibels > decibels.max() - 3.0103]
        wanted = (edges[n + 2] - edges[n]) / 2
        assert passed[-1] - passed[0] == pytest.approx(wanted, rel=0.06)
        pole = complex((1 + h - f * f) / 2, math.sqrt(h - ((1 + h - f * f) / 2) ** 2))
        turns = math.atan2(pole.imag, pole.real) / (2 * math.pi)
        assert turns * rate == pytest.approx(edges[n + 1], rel=0.003)
        assert -math.log(abs(pole)) / math.pi * rate == pytest.approx(wanted, rel=0.005)

        # The integers: what leaves of one large sample, by the recursion without an envelope.
        low = state = 0
        out = []
        for t in range(3000):
            x = (FRONT.sample_max << 8) if t == 0 else 0
            low += int(rshift(band.f * state, frac))
            state = int(rshift(band.h * state, frac)) + int(rshift(-band.f * (low - x), frac))
            out.append(state)
        spectrum = np.abs(np.fft.rfft(out, 1 << 17)) / (FRONT.sample_max << 8)
        measured = 20 * np.log10(spectrum[1 : 1 << 16 : 64] + 1e-12)
        exact = np.interp(np.arange(1, 1 << 16, 64), np.arange(1 << 16), decibels)
        near = exact > exact.max() - 40
        assert np.abs(measured - exact)[near].max() < 0.1


def responses(front: FrontEnd, length: int) -> np.ndarray:
    """What each band makes of an impulse, without rounding: float64 [length, bands]."""
    of = np.array([(band.f, band.h) for band in front.resonators]) / 2**front.coefficient_frac
    (f, h), low, found = of.T, np.zeros(front.bands), []
    band = f
    for _ in range(length):
        found.append(band)
        low = low + f * band
        band = h * band - f * low
    return np.array(found)


def peaks(front: FrontEnd, inputs: np.ndarray) -> list[int]:
    """How large |low|, |band| and |band - below| become by the bank's own integers."""
    frac = front.coefficient_frac
    of = np.array([(band.f, band.h) for band in front.resonators])
    f, h = of.T[..., None]
    low = band = np.zeros((front.bands, len(inputs)), dtype=np.int64)
    largest = [0, 0, 0]
    for x in inputs.T << front.guard:
        low = low + rshift(f * band, frac)
        band = rshift(h * band, frac) + rshift(-f * (low - x), frac)
        for n, value in enumerate((low, band, np.diff(band, axis=0, prepend=0))):
            largest[n] = max(largest[n], int(np.abs(value).max()))
    return largest


@pytest.mark.parametrize("front", [FRONT, SMALL, FrontEnd(bands=16, guard=0, leak=4, floor=11)])
def test_no_input_makes_a_band_overflow_and_the_worst_comes_near(front):
    """The signs of a response, backwards, drive a state as far as any samples can."""
    of_band = responses(front, 2500)
    backwards = np.hstack([of_band, np.diff(of_band, prepend=0)])[::-1].T
    found = peaks(front, front.sample_max * np.where(backwards < 0, -1, 1))
    full = (front.sample_max + 1) << front.guard
    limits = bank.limits(front.resonators, full, front.coefficient_frac)
    assert all(a <= b for a, b in zip(found, vars(limits).values(), strict=True))
    assert found[1] > 0.98 * limits.band - 200
    assert found[2] > 0.98 * limits.difference - 400
    assert found[2] << front.leak < 1 << (front.word - 1)
    assert found[2] << front.leak > 1 << (front.word - 4)  # no more than two bits are in vain


@pytest.mark.parametrize("front", [FRONT, SMALL])
def test_a_loud_tone_for_ever_keeps_within_the_word(front):
    """A square wave at each band's centre, until its envelope has settled."""
    t = np.arange(6 << front.leak) / front.sample_rate
    edges = bank.mel_centres(front.bands, front.lowest, front.highest)[1:-1]
    waves = [front.sample_max * np.where(np.sin(2 * np.pi * f * t) < 0, -1, 1) for f in edges]
    envelopes = front.envelopes(np.array(waves))
    assert envelopes.max() < 1 << (front.word - 1)
    strongest = envelopes.argmax(axis=2)[:, -1] - np.arange(front.bands)
    assert set(strongest) <= {0, 1}  # a band lies between its centre and the one below


def test_logarithms_are_near_and_rise():
    values = np.unique((2 ** np.random.default_rng(4).uniform(0, 29, 4000)).astype(np.int64))
    values = np.append(0, values)
    floor, frac = FRONT.floor, FRONT.log_frac
    found = log.log2(values, floor, frac)
    exact = np.log2(1 + values / 2.0**floor)
    error = exact - found / 2**frac
    assert error.min() >= 0
    assert error.max() < 0.0861 + 2**-frac
    assert (np.diff(found) >= 0).all()
    assert found[0] == 0
    powers = (1 << np.arange(floor + 1, 31)) - (1 << floor)
    assert log.log2(powers, floor, frac).tolist() == [n << frac for n in range(1, 31 - floor)]


def test_gains_are_the_models_scale():
    """Where a scale is a gain, activations are what a model's own arithmetic makes of features."""
    from golden.fixed import quantize

    gains = tuple(range(20, 52))
    scale = np.array(gains) / 2**FRONT.gain_frac
    front = FRONT.scaled(scale)
    assert front.gains == gains
    logarithms = np.random.default_rng(5).integers(0, 15 << 6, (50, 32))
    own = quantize(logarithms / 2.0**FRONT.log_frac * scale, Q(3, 4))
    np.testing.assert_array_equal(front.activations(logarithms), own)
    with pytest.raises(ValueError, match="gain: found 640, expected an integer from 0 to 255"):
        FRONT.scaled(5.0)


def test_a_tone_through_all_of_it():
    front = FRONT.scaled(0.4)
    bits = modulated(tone(1000, 16000, 0.12), 192)
    frames = front.frames(bits)
    assert frames.shape == (12, 32)
    centres = np.array(bank.mel_centres(32, 100.0, 4000.0)[1:-1])
    assert (frames[4:].argmax(axis=1) == np.flatnonzero(centres > 1000)[0]).all()
    assert not front.frames(modulated(np.zeros(3200, dtype=int), 192))[4:].any()


def test_words_are_told_once_and_only_above_the_margin():
    decision = Decision(classes=3, background=2, result_width=8, smoothing=2, margin=100, pause=5)
    results = np.zeros((40, 3), dtype=int)
    results[5:20, 1] = 60
    told = decision.words(results)
    averages = decision.averages(results)
    first = int(np.flatnonzero(averages[:, 1] - averages[:, 2] > 100)[0])
    assert np.flatnonzero(told != NOTHING).tolist() == [first, first + 6, first + 12]
    assert set(told[told != NOTHING]) == {1}
    results[:, 2] = 127
    assert (decision.words(results) == NOTHING).all()
    with pytest.raises(ValueError, match=r"results: found \[40, 3\], expected \[T, 2\]"):
        Decision(classes=2, background=0, result_width=8).words(results)
    with pytest.raises(ValueError, match="background: found 2, expected an integer from 0 to 1"):
        Decision(classes=2, background=2, result_width=8)


@pytest.mark.parametrize("smoothing", [0, 3, 10])
def test_no_results_make_an_average_overflow(smoothing):
    decision = Decision(classes=2, background=0, result_width=6, smoothing=smoothing)
    frames = 12 << smoothing
    results = np.full((frames, 2), [31, -32])
    averages = decision.averages(results)
    low, high = averages[:, 1].min(), averages[:, 0].max()
    assert -(1 << (decision.average_width - 1)) <= low
    assert high < 1 << (decision.average_width - 1)
    assert high == 31 << smoothing
    assert low < -(1 << (decision.average_width - 2))  # no bit is in vain
