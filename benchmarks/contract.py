"""Schemathesis over /openapi.json with all its checks: does the service do what it says it does?

    .venv/bin/python -m benchmarks.contract [seconds] [seed …]

Signed in as an admin, on a database of its own for each seed; all phases, the stateful one too,
each seed for so many seconds. A seed makes some thousands of calls: several make tens of thousands.
Ends with 0 if nothing was found.
"""

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import stage
from benchmarks.api import fill, make_token


def main(seconds: int = 300, *seeds: int) -> int:
    return max([checked(seconds, seed) for seed in seeds or (1,)])


def checked(seconds: int, seed: int) -> int:
    with ExitStack() as running:
        url = running.enter_context(stage.database(1000))
        fill(url)
        token = make_token(stage.environment(url))
        port = stage.free_port()
        folder = running.enter_context(TemporaryDirectory())  # for what it keeps
        log = Path(folder) / "log"
        running.enter_context(stage.service(url, port, log))
        command = [
            str(Path(sys.executable).with_name("schemathesis")),
            *("--config-file", str(Path(__file__).with_name("schemathesis.toml"))),
            *("run", f"http://127.0.0.1:{port}/openapi.json"),
            *("--header", f"Authorization: Bearer {token}"),
            *("--checks", "all", "--continue-on-failure"),
            *("--max-time", str(seconds), "--seed", str(seed)),
            *("--workers", "1", "--no-color"),
        ]
        code = subprocess.run(command, cwd=folder, check=False).returncode
        _, found, last = log.read_text().rpartition("Traceback")
        print(found + last[:5000], end="")
        return code


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
