"""Contents of memories out of Verilog and into files of their own."""

import re

_BLOCK = re.compile(
    r"^  initial begin\n((?:    \S+\[\d+\] = \d+'h[0-9a-f]+;\n)+)  end\n", re.MULTILINE
)
_WORD = re.compile(r"    (\S+)\[(\d+)\] = \d+'h([0-9a-f]+);\n")


def apart(verilog: str) -> tuple[str, dict[str, str]]:
    """The same Verilog with $readmemh in place of long lists of words, and the files that it reads.

    Yosys needs a kilobyte for each word in a list, and its build in WebAssembly has no more than
    four gigabytes: a large network's weights would not go in.
    """
    files: dict[str, str] = {}

    def outside(block: re.Match[str]) -> str:
        words = _WORD.findall(block[1])
        memory, name = words[0][0], f"memory_{len(files)}.hex"
        files[name] = "".join(f"@{int(address):x} {word}\n" for _, address, word in words)
        return f'  initial $readmemh("{name}", {memory});\n'

    return _BLOCK.sub(outside, verilog), files
