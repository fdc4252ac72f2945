"""Measures what an import loses on strangers' networks, and fills in docs/fidelity.md.

Run it as ``python tools/fidelity.py FOLDER``; with ``--tune`` it tunes some of them instead, and
fills in the other table. The reader fetches what FOLDER has to hold, since
none of it may be committed here; docs/fidelity.md lists the sources and their licences. What is
missing is left out. It needs the extras ``import,train`` and the package einops, for GTCRN.

Every network is calibrated on one recording and measured on another one.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import onnxruntime
import soundfile
import torch
from onnx import helper
from safetensors.numpy import load_file

from deltarnn.markdown import fill, lines
from golden.fixed import quantize
from golden.network import DeltaNetwork
from train.course.distil import Parts, distil
from train.data.recordings import Floats
from train.importers.conversion import Calibration, convert
from train.importers.onnxruntime_int8 import int8_results
from train.quantised.float_network import FloatGRU, FloatLinear, FloatLSTM, FloatNetwork

CALIBRATE, MEASURE = 600, 400  # frames
BANDS = [2, 10, 18, 26]  # of the 33 sequences that a GRU between frames sees
DOCUMENT = Path("docs/fidelity.md")
TUNED = (
    "GTCRN dns3, encoder.en.3",
    "GTCRN dns3, dpgrnn1.inter 1",
    "GTCRN dns3, decoder.de.1",
    "Silero VAD 6.2",
)
FEWER = 5  # times


@dataclass(frozen=True)
class Subject:
    """A network, a recording [T, I] to calibrate with, and another one to measure with.

    ``recordings`` are whole ones to tune with, and the last one to judge that: each of one or more
    sequences [n, T, I]. There are none where too little is known of what the network is given.
    """

    name: str
    network: FloatNetwork
    calibration: Floats
    test: Floats
    recordings: Sequence[Floats] = ()


def gtcrn(folder: Path, wavs: list[Floats]) -> Iterator[Subject]:
    """The GRUs of one direction, and what reaches them of noisy speech."""
    sys.path.insert(0, str(folder / "gtcrn"))
    from gtcrn import GTCRN  # type: ignore[import-not-found]  # fetched by the reader

    window = torch.hann_window(512).sqrt()
    for data in ("dns3", "vctk"):
        model = GTCRN().eval()
        file = folder / "gtcrn" / "checkpoints" / f"model_trained_on_{data}.tar"
        model.load_state_dict(torch.load(file, map_location="cpu", weights_only=True)["model"])
        grus = {
            name: module
            for name, module in model.named_modules()
            if isinstance(module, torch.nn.GRU) and not module.bidirectional
        }

        def inputs(wav: Floats, model: Any = model, grus: dict = grus) -> dict[str, Floats]:
            seen: dict[str, Floats] = {}

            def keep(name: str) -> Callable:
                return lambda _, arguments: seen.__setitem__(name, arguments[0].double().numpy())

            hooks = [gru.register_forward_pre_hook(keep(name)) for name, gru in grus.items()]
            spectrum = torch.stft(
                torch.tensor(wav, dtype=torch.float32), 512, 256, 512, window, return_complex=True
            )
            with torch.no_grad():
                model(torch.view_as_real(spectrum)[None])
            for hook in hooks:
                hook.remove()
            return seen

        seen = [inputs(wav) for wav in wavs]
        for name, gru in grus.items():
            every = [x[name][BANDS] if len(x[name]) > 1 else x[name] for x in seen]
            pair = [
                np.concatenate(list(x[:, : frames // len(BANDS)])) if len(x) > 1 else x[0]
                for x, frames in zip(every, (CALIBRATE, MEASURE), strict=False)
            ]
            short = name.replace("_convs", "").replace(".tra.att_gru", "").replace("_rnn.rnn", " ")
            yield Subject(f"GTCRN {data}, {short}", FloatNetwork((of_torch(gru),)), *pair, every)


def silero(folder: Path, wavs: list[Floats]) -> Iterator[Subject]:
    """The LSTM and the score behind it."""
    data = folder / "silero_vad" / "data"
    graph = onnx.load(data / "silero_vad_16k_sequence.onnx")
    (lstm,) = (node for node in graph.graph.node if node.op_type == "LSTM")
    graph.graph.output.append(helper.make_tensor_value_info(lstm.input[0], 1, None))
    session = onnxruntime.InferenceSession(graph.SerializeToString())

    def inputs(wav: Floats) -> Floats:
        padded = np.concatenate([np.zeros(64), wav])
        starts = range(0, len(wav) - 511, 512)
        chunks = np.stack([padded[n : n + 576] for n in starts]).astype(np.float32)
        zero = np.zeros((1, 1, 128), dtype=np.float32)
        return session.run(None, {"input": chunks, "h": zero, "c": zero})[-1].reshape(-1, 128)

    t = load_file(data / "silero_vad_16k.safetensors")
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    layer = FloatLSTM(*(t[f"lstm_cell.{name}"].astype(np.float64) for name in names))
    head = FloatLinear(
        t["final_conv.weight"][..., 0].astype(float), t["final_conv.bias"].astype(float)
    )
    x = [inputs(wav) for wav in wavs]
    pair = [np.concatenate(x[:2]), np.concatenate(x[2:])]
    yield Subject("Silero VAD 6.2", FloatNetwork((layer, head)), *pair, [each[None] for each in x])


def dtln(folder: Path, wavs: list[Floats]) -> Iterator[Subject]:
    """Both cores of the real-time denoiser: of spectra, and of learned features."""
    for file in ("model", "DTLN_norm_40h"):
        t = of_keras(folder / "DTLN" / "pretrained_model" / f"{file}.h5")

        def scope(prefix: str, n: int, t: dict = t) -> str:
            return sorted({key.split("/")[0] for key in t if key.startswith(prefix)})[n]

        def lstm(n: int, t: dict = t, scope: Callable = scope) -> FloatLSTM:
            name = scope("lstm", n)
            kernels = (t[f"{name}/kernel"].T, t[f"{name}/recurrent_kernel"].T)
            return FloatLSTM.with_bias(*kernels, t[f"{name}/bias"])

        def head(n: int, t: dict = t, scope: Callable = scope) -> FloatLinear:
            name = scope("dense", n)
            return FloatLinear(t[f"{name}/kernel"].T, t[f"{name}/bias"])

        def normed(x: Floats, n: int, t: dict = t) -> Floats:
            name = sorted({key.split("/")[0] for key in t if "norm" in key})[n]
            x = x - x.mean(axis=-1, keepdims=True)
            x = x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-7)
            return x * t[f"{name}/gamma"] + t[f"{name}/beta"]

        first = FloatNetwork((lstm(0), lstm(1), head(0)))
        every: list[list[Floats]] = [[], []]
        for wav in wavs:
            frames = np.lib.stride_tricks.sliding_window_view(wav, 512)[::128]
            spectra = np.fft.rfft(frames)
            size = np.abs(spectra)
            x = normed(np.log(size + 1e-7), 0) if "norm" in file else size
            masked = np.fft.irfft(spectra / (1 + np.exp(-first.run(x))))
            encoded = masked @ t[f"{scope('conv1d', 0)}/kernel"][0]
            every[0].append(x[None])
            every[1].append(normed(encoded, -1)[None])
        second = FloatNetwork((lstm(2), lstm(3), head(1)))
        for name, network, x in zip(("spectra", "features"), (first, second), every, strict=True):
            yield Subject(f"DTLN {file}, {name}", network, x[0][0], x[1][0], x)


def g2p(folder: Path, _: list[Floats]) -> Iterator[Subject]:
    """The encoder of spellings."""
    t = np.load(folder / "g2p_en" / "checkpoint20.npz")
    names = ("w_ih", "w_hh", "b_ih", "b_hh")
    layer = FloatGRU(*(t[f"enc_{name}"].astype(np.float64) for name in names))

    def letters(text: str) -> Floats:
        codes = [3 + ord(c) - ord("a") if c != " " else 2 for c in text]
        return t["enc_emb"][codes].astype(np.float64)

    calibration = "temporal sparsity lets networks skip columns whose inputs rested between frames "
    test = "another engineer measured loudness before breakfast although nobody listened carefully "
    yield Subject("g2p_en, encoder", FloatNetwork((layer,)), letters(calibration), letters(test))


def textgenrnn(folder: Path, _: list[Floats]) -> Iterator[Subject]:
    """Two layers that write text, a letter a frame."""
    t = of_keras(folder / "textgenrnn" / "textgenrnn_weights.hdf5")

    def layer(name: str) -> FloatLSTM:  # cuDNN's kernels lie the other way round
        kernel, recurrent = (
            np.split(t[f"{name}/{k}"], 4, axis=1) for k in ("kernel", "recurrent_kernel")
        )
        turned = [k.T.reshape(k.shape, order="F").T for k in kernel]
        return FloatLSTM(
            np.concatenate(turned), np.concatenate(recurrent), *np.split(t[f"{name}/bias"], 2)
        )

    codes = json.loads((folder / "textgenrnn" / "textgenrnn_vocab.json").read_text())

    def letters(text: str) -> Floats:
        return t["embedding/embeddings"][[codes.get(c, 0) for c in text]].astype(np.float64)

    texts = (
        "What is the best way to learn an instrument as an adult? My neighbour plays the cello "
        "at night and I would like to answer him. The library has new chairs, and nobody is happy "
        "about it. She said that the train would be late, so we walked home through the rain and "
        "talked about 3 films we had never seen. Do you keep your receipts? I lost mine in 2015.",
        "How do I get better at cooking rice without burning it? My dog learned a trick and wants "
        "to show it to everybody. This morning a man on the bus told me that his garden is full of "
        "foxes. I made a chair out of old skis last week, and it holds! Is it normal to forget the "
        "names of people you met twice? They closed the bakery at 5, which was news to the baker.",
    )
    network = FloatNetwork((layer("rnn_1"), layer("rnn_2")))
    licence = " ".join(Path("LICENSE").read_text().split())[:4000]
    every = [letters(text) for text in (licence, *texts)]
    yield Subject("textgenrnn", network, every[1], every[2], [x[None] for x in every])


def of_torch(gru: torch.nn.GRU) -> FloatGRU:
    return FloatGRU(*(parameter.detach().double().numpy() for parameter in gru.parameters()))


def of_keras(path: Path) -> dict[str, Floats]:
    """Weights by their layer and name."""
    tensors: dict[str, Floats] = {}

    def keep(name: str, value: Any) -> None:
        if isinstance(value, h5py.Dataset):
            tensors["/".join(name.split("/")[-2:]).removesuffix(":0")] = np.asarray(
                value, np.float64
            )

    with h5py.File(path) as file:
        file.visititems(keep)
    return tensors


def error(found: Floats, expected: Floats) -> float:
    """RMS of the error over the spread of what is expected."""
    spread = np.mean((expected - expected.mean(axis=0)) ** 2)
    return float(np.sqrt(np.mean((found - expected) ** 2) / spread))


def measure(subject: Subject, folder: Path) -> list[str]:
    """A row of the table."""
    frames = subject.test[:MEASURE]
    found = convert(
        subject.name,
        subject.network,
        Calibration(subject.network, subject.calibration[:CALIBRATE]),
    )
    network = found.model.parameters
    codes = quantize(frames * found.input_scale, network.formats.activation)
    results = DeltaNetwork(found.model).run(codes).outputs / 2.0**network.output_frac
    expected = subject.network.run(frames)
    int8 = int8_results(subject.network, [frames])
    sizes = [subject.network.inputs, *(layer.units for layer in subject.network.layers)]
    return [
        subject.name,
        " -> ".join(map(str, sizes)),
        f"{network.formats.activation}",
        f"{error(results, expected):.1%}",
        "" if int8 is None else f"{error(int8[0], expected):.1%}",
    ]


def tuned(subject: Subject) -> list[str]:
    """A row of the other table: tuned on all recordings but the last, measured on that."""
    *others, last = subject.recordings
    calibration = Calibration(subject.network, subject.calibration[:CALIBRATE])
    model = convert(subject.name, subject.network, calibration).model
    parts = Parts.parted([x for recording in others for x in recording], list(last))
    found = distil(model, subject.network, parts)
    scores = [f"{score.error:.1%} at {score.macs:.0%}" for score in found.scores.values()]
    best = found.scores["tuned"]
    errors = found.at(FEWER).values()
    return [
        subject.name,
        *scores,
        f"{best.occupancy_x:.0%}, {best.occupancy_h:.0%}",
        ", ".join("-" if error is None else f"{error:.0%}" for error in errors),
    ]


SOURCES = {
    "gtcrn": gtcrn,
    "silero_vad": silero,
    "DTLN": dtln,
    "g2p_en": g2p,
    "textgenrnn": textgenrnn,
}


def main(folder: Path, tune: bool) -> None:
    """Measures what is there, and fills in the document."""
    paths = [folder / "gtcrn/test_wavs/mix.wav", *sorted((folder / "wavs").glob("*.wav"))]
    wavs = [soundfile.read(path)[0] for path in paths]
    mark, header = (
        (
            "tuned",
            [
                "network",
                "thresholds 0",
                "thresholds alone",
                "tuned",
                "fired",
                "at 20%: alone, tuned",
            ],
        )
        if tune
        else ("fidelity", ["network", "sizes", "activation", "error", "onnxruntime int8"])
    )
    rows = []
    for name, subjects in SOURCES.items():
        if (folder / name).is_dir():
            for subject in subjects(folder, wavs):
                if tune and subject.name not in TUNED:
                    continue
                rows.append(tuned(subject) if tune else measure(subject, folder))
                print(*rows[-1], sep=", ", flush=True)
    fill(DOCUMENT, {mark: lines(header, rows)})


if __name__ == "__main__":
    *options, path = sys.argv[1:]
    main(Path(path), options == ["--tune"])
