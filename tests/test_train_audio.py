"""The log-mel front end, and where recordings are found."""

import numpy as np
import pytest

soundfile = pytest.importorskip("soundfile")

from train.data import places  # noqa: E402
from train.data.audio import RATE, LogMel, levelled, read_audio  # noqa: E402


def tone(hertz: float, seconds: float = 0.2, size: float = 0.5) -> np.ndarray:
    return size * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)


def test_silence_is_0_and_a_louder_tone_is_more():
    front_end = LogMel()
    assert not front_end(np.zeros(2000)).any()
    quiet, loud = (front_end(tone(1000, size=size)).max(axis=1)[3] for size in (0.01, 0.1))
    assert loud - quiet == pytest.approx(2 * np.log2(10), abs=0.2)


@pytest.mark.parametrize("bands", [20, 40])
def test_a_tone_is_in_the_band_of_its_pitch(bands):
    front_end = LogMel(bands)
    low, high = (2595 * np.log10(1 + f / 700) for f in (100, 4000))
    for hertz in (300, 1000, 3000):
        place = (2595 * np.log10(1 + hertz / 700) - low) / (high - low) * (bands + 1) - 1
        assert front_end(tone(hertz))[5].argmax() == pytest.approx(place, abs=1)


@pytest.mark.parametrize(("samples", "frames"), [(1, 1), (200, 1), (201, 2), (280, 2), (281, 3)])
def test_no_sample_is_lost(samples, frames):
    assert LogMel()(np.ones(samples)).shape == (frames, 40)


def test_frames_do_not_look_ahead():
    """To the bit, however many frames there are: a frame's sum has an order of its own."""
    front_end = LogMel()
    sound = np.random.default_rng(1).normal(size=4000) * 0.1
    whole = front_end(sound)
    for count in range(1, 48):
        cut = front_end(sound[: front_end.window + (count - 1) * front_end.hop])
        np.testing.assert_array_equal(cut, whole[:count])


def test_recordings_of_another_rate_and_kind_sound_the_same(tmp_path):
    t = np.arange(2 * RATE) / (2 * RATE)
    soundfile.write(tmp_path / "a.flac", 0.5 * np.sin(2 * np.pi * 700 * t), 2 * RATE)
    soundfile.write(tmp_path / "a.wav", tone(700, 1.0), RATE, subtype="PCM_16")
    a, b = (read_audio(tmp_path / name)[100:-100] for name in ("a.flac", "a.wav"))
    assert len(a) == len(b)
    np.testing.assert_allclose(a, b, atol=5e-3)


def test_what_is_no_recording_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    path.write_text("not a sound")
    with pytest.raises(ValueError, match=r"a\.wav: found no recording, expected WAV or FLAC"):
        read_audio(path)
    soundfile.write(path, np.zeros((100, 2)), RATE)
    with pytest.raises(ValueError, match=r"a\.wav: found 2 channels, expected one"):
        read_audio(path)


def test_levels_are_one():
    assert np.abs(levelled(tone(440, size=0.01))).max() == pytest.approx(0.5)
    assert not levelled(np.zeros(5)).any()


def test_a_folder_must_be_named_and_there(monkeypatch, tmp_path):
    monkeypatch.delenv(places.VARIABLE, raising=False)
    with pytest.raises(ValueError, match="DELTARNN_DATA: found not set, expected a folder"):
        places.folder("fsdd")
    monkeypatch.setenv(places.VARIABLE, str(tmp_path))
    with pytest.raises(ValueError, match="fsdd: found no folder"):
        places.folder("fsdd")


def test_a_package_that_is_not_what_it_was_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cached = tmp_path / "deltarnn" / "some-1-py3-none-any.whl"
    cached.parent.mkdir()
    cached.write_bytes(b"something")
    digest = "3fc9b689459d738f8c88a3a48aa9e33542016b7a4052e001aaa536fca74813cb"
    assert places.package("some==1", cached.name, digest) == cached
    with pytest.raises(ValueError, match="sha256 3fc9b689"):
        places.package("some==1", cached.name, digest[::-1])


def test_a_package_that_cannot_be_had_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(
        ValueError, match=r"pip download no-such-thing==1: found .*expected no-such"
    ):
        places.package("no-such-thing==1", "no-such-thing-1.tar.gz", "0")
