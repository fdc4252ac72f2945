"""Loaders, on small stand-ins for the recordings: splits, labels, and what is refused."""

import io
import pickle
import zipfile

import numpy as np
import pytest

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("torch")

from train.data.audio import RATE  # noqa: E402
from train.data.places import VARIABLE  # noqa: E402
from train.tasks import (  # noqa: E402
    comma2k19,
    command_words,
    digits,
    find_task,
    gestures,
    kitti,
    strings,
    wake_words,
)


def write(path, rng, seconds=0.3):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * rng.normal(size=int(RATE * seconds)), RATE)


@pytest.fixture
def recordings(tmp_path, monkeypatch):
    """Every digit of every speaker, takes 0, 1, 5, 6, 10 and 11; eight of each keyword."""
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    rng = np.random.default_rng(1)
    for speaker in digits.SPEAKERS:
        for digit in range(10):
            for take in (0, 1, 5, 6, 10, 11):
                write(tmp_path / f"fsdd/recordings/{digit}_{speaker}_{take}.wav", rng)
    for keyword in wake_words.KEYWORDS:
        for n in range(8):
            write(tmp_path / f"wake_words/{keyword}/{n}.flac", rng, 0.3 + 0.1 * n)
    return tmp_path


@pytest.mark.usefixtures("recordings")
def test_digits_are_split_by_take_or_by_speaker():
    data = digits.load()
    assert [len(p) for p in (data.train, data.validation, data.test)] == [120, 120, 120]
    assert np.bincount(data.test.labels).tolist() == [12] * 10
    apart = digits.unseen("theo").load()
    assert [len(p) for p in (apart.train, apart.validation, apart.test)] == [200, 100, 60]
    theirs = {x.tobytes() for x in apart.test.frames}
    assert not theirs & {x.tobytes() for x in apart.train.frames}
    assert apart.name == "digits_unseen_theo"


def test_a_digit_of_another_name_is_refused(recordings):
    (recordings / "fsdd/recordings/ten_theo_0.wav").write_bytes(b"")
    with pytest.raises(ValueError, match=r"ten_theo_0\.wav: found a name of another form"):
        digits.load()


@pytest.mark.usefixtures("recordings")
def test_strings_are_three_to_seven_digits_of_their_own_part(monkeypatch):
    monkeypatch.setattr(strings, "STRINGS", {"train": 90, "validation": 30, "test": 60})
    data = strings.load()
    for part, count in strings.STRINGS.items():
        sequences = getattr(data, part)
        assert len(sequences) == count
        assert {len(label) for label in sequences.labels} == set(strings.DIGITS)
        for frames, label in zip(sequences.frames, sequences.labels, strict=True):
            seconds = len(frames) / 100 - 0.3 * len(label)
            assert 0.1 * (len(label) + 1) - 0.1 <= seconds <= 0.4 * (len(label) + 1) + 0.1
    assert data.labels is not None
    assert data.labels[-1] == "blank"
    again = strings.load()
    assert all(
        np.array_equal(a, b) for a, b in zip(data.test.frames, again.test.frames, strict=True)
    )


@pytest.mark.usefixtures("recordings")
def test_wake_words_are_blocks_of_the_index():
    data = wake_words.load()
    rest = wake_words.REST
    for part, each in (("train", 5), ("validation", 1), ("test", 2)):
        counts = np.bincount(getattr(data, part).labels)
        assert counts.tolist() == [each] * 6 + [rest[part]]
    lengths = [len(x) for x in data.test.frames[:2]]
    assert lengths == [int(np.ceil((0.3 + 0.1 * n) * 100 - 1.5)) for n in (6, 7)]


@pytest.mark.usefixtures("recordings")
def test_the_same_wake_words_are_heard_by_the_chip(monkeypatch):
    monkeypatch.setattr(wake_words, "REST", {"train": 4, "validation": 2, "test": 3})
    data, other = find_task("wake_words_pdm").load(), wake_words.load()
    assert (data.name, data.licence) == ("wake_words_pdm", other.licence)
    for part in ("train", "validation", "test"):
        heard, log_mel = getattr(data, part), getattr(other, part)
        np.testing.assert_array_equal(heard.labels, log_mel.labels)
        for frames, beside in zip(heard.frames, log_mel.frames, strict=True):
            assert frames.shape[1] == 32
            assert 0 <= len(frames) - len(beside) <= 2  # whole hops, where a window lasts longer


def words(path, voices, seconds=0.3):
    """An archive of two words by every voice."""
    rng = np.random.default_rng(3)
    recordings, labels, names = [], [], []
    for voice in voices:
        for word in ("stop", "go"):
            sound = 9000 * rng.normal(size=int(RATE * seconds)).clip(-3, 3)
            recordings.append(sound.astype(np.int16))
            labels.append(word)
            names.append(voice)
    path.parent.mkdir()
    start = np.cumsum([0, *map(len, recordings)])
    audio = np.concatenate(recordings)
    np.savez(path, audio=audio, start=start, label=np.array(labels), voice=np.array(names))


VOICES = (
    *(f"espeak-en+{n:02}_0" for n in range(12)),
    *(f"kokoro-a{n}_0" for n in range(8)),
    *("flite-slt_0", "flite-slt_1", "festival-cmuussltarctichts_0", "flite-rms_0"),
    *("hibari-b_0", "piper-joe_0"),
)


def test_command_words_are_split_by_voice(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    words(tmp_path / "command_words" / command_words.ARCHIVE, VOICES)
    data = command_words.load()
    assert data.labels == ("go", "stop")
    speakers = np.array([voice.rpartition("_")[0] for voice in VOICES])
    parts = command_words.split(speakers)
    assert parts["test"] == [
        *("festival-cmuussltarctichts", "flite-slt", "hibari-b", "kokoro-a3", "kokoro-a7"),
        "piper-joe",
    ]
    assert parts["validation"] == ["espeak-en+07", "kokoro-a2"]
    assert sorted(name for names in parts.values() for name in names) == sorted(set(speakers))
    # Eleven of espeak's voices, and six others at five speeds each.
    sizes = [len(p) for p in (data.train, data.validation, data.test)]
    assert sizes == [2 * (11 + 5 * 6), 4, 14]
    hops = [len(x) for x in data.train.frames[-5:]]
    seconds = [0.3 * 100 / speed for speed in command_words.SPEEDS]
    np.testing.assert_allclose(hops, [(s - 0.016) / 0.016 for s in seconds], atol=1)
    assert {len(x) for x in data.test.frames} == {hops[0]}


def test_no_archive_of_words_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    (tmp_path / "command_words").mkdir()
    file = tmp_path / "command_words" / command_words.ARCHIVE
    with pytest.raises(ValueError, match="found no such recordings, expected an"):
        command_words.load()
    np.savez(file, audio=np.zeros(3))
    with pytest.raises(ValueError, match="found no such recordings"):
        command_words.load()


def test_the_order_of_the_index_is_that_of_its_numbers(recordings):
    write(recordings / "wake_words/alexa/10.flac", np.random.default_rng(0))
    names = sorted((recordings / "wake_words/alexa").glob("*.flac"), key=wake_words._index)
    assert [path.stem for path in names][-2:] == ["7", "10"]


def test_a_drive_is_cut_in_time(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    t = np.arange(1000) / 80
    signals = {
        "CAN/steering_angle": np.sin(t),
        "CAN/speed": np.full((1000, 1), 20.0),
        "CAN/wheel_speed": np.full((1000, 4), 20.0),
        "IMU/gyro": np.stack([0 * t, 0 * t, np.cos(t)], axis=1),
        "IMU/accelerometer": np.zeros((1000, 3)),
    }
    for name, value in signals.items():
        (tmp_path / "comma2k19" / name).mkdir(parents=True)
        np.save(tmp_path / "a.npy", t)
        (tmp_path / "a.npy").rename(tmp_path / "comma2k19" / name / "t")
        np.save(tmp_path / "a.npy", value)
        (tmp_path / "a.npy").rename(tmp_path / "comma2k19" / name / "value")
    data = comma2k19.load()
    assert [len(p.frames[0]) for p in (data.train, data.validation, data.test)] == [480, 120, 300]
    np.testing.assert_allclose(data.test.labels[0], np.sin(t)[700:])
    (tmp_path / "comma2k19/CAN/speed/t").write_bytes(b"no array")
    with pytest.raises(ValueError, match="CAN/speed/t: found no array"):
        comma2k19.load()


def test_a_car_in_a_circle_turns_its_wheels_for_it():
    """A curve of ten metres' radius to the right at five metres a second."""
    times = np.arange(50) / 10
    heading = times * 5 / 10
    poses = np.zeros((50, 3, 4))
    poses[:, 1, 1] = 1
    poses[:, 0, 0] = poses[:, 2, 2] = np.cos(heading)
    poses[:, 0, 2], poses[:, 2, 0] = np.sin(heading), -np.sin(heading)
    poses[:, 0, 3], poses[:, 2, 3] = 10 * (1 - np.cos(heading)), 10 * np.sin(heading)
    motion = kitti._motion(poses.reshape(50, 12), times)
    np.testing.assert_allclose(motion[:, 0], 5, rtol=1e-3)
    np.testing.assert_allclose(motion[:, 1], 0.5, rtol=1e-9)
    np.testing.assert_allclose(motion[:, 2], 0.1, rtol=1e-3)


def test_a_pickle_is_read_without_running_it(tmp_path):
    rng = np.random.default_rng(1)
    first, second = rng.normal(size=(30, 6)), np.asfortranarray(rng.normal(size=(40, 6)))
    many = np.arange(140) % 7
    content = {
        "X": [first, second, *(first.copy() for _ in range(138))],
        "y_labels": ["PEN"],
        "y": many,
    }
    content |= {"subject": many[::-1].copy(), "side": np.ones(140)}
    file = io.BytesIO()
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|O", "fortran_order": False, "shape": ()}
    )
    file.write(header.getvalue() + pickle.dumps(content, protocol=2))
    wheel = tmp_path / "some.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(gestures.MEMBER, file.getvalue())
    arrays, labels, people = gestures._read(wheel)
    np.testing.assert_array_equal(arrays[0], first)
    np.testing.assert_array_equal(arrays[1], second)
    assert labels.tolist() == many.tolist()
    assert people.tolist() == many[::-1].tolist()


def test_a_task_that_is_none_is_refused():
    with pytest.raises(ValueError, match="task: found 'unicorns', expected japanese_vowels or "):
        find_task("unicorns")
