"""Runs the commands of a document and compares what they print with what it says.

A block of ``console`` holds commands after ``$`` and their output; ``…`` in the output stands for
anything on its line, and a line of ``…`` for any lines. A block of ``diff`` is a change to make.
``scripts/serve`` runs until it is started again or the document ends.
"""

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

BLOCK = re.compile(r"^```(console|diff)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)

#: A curl for machines without one: what the documents use of it.
CURL = """#!{python}
import sys, urllib.error, urllib.request
options = sys.argv[1:]
headers = dict(o.split(": ") for f, o in zip(options, options[1:]) if f == "-H")
request = urllib.request.Request("http://" + options[-1], headers=headers)
try:
    answer = urllib.request.urlopen(request)
except urllib.error.HTTPError as error:
    answer = error
sys.stdout.write(answer.read().decode())
"""


@dataclass
class Terminal:
    """A copy of the project, and what a person types there."""

    folder: Path
    port: int
    service: "subprocess.Popen[str] | None" = None
    commands: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        programs = self.folder / ".bin"
        programs.mkdir()
        curl = programs / "curl"
        curl.write_text(CURL.format(python=sys.executable))
        curl.chmod(0o755)
        self.environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "PORT": str(self.port),
            "LOG_LEVEL": "error",
        }
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.interrupt()

    def follow(self, document: str) -> None:
        for kind, body in BLOCK.findall(document):
            text = body.replace("localhost:8888", f"localhost:{self.port}")
            if kind == "diff":
                self.run("git apply --whitespace=nowarn -", text)
            else:
                for command, expected in COMMAND.findall(text):
                    self.type(command, expected)

    def type(self, command: str, expected: str) -> None:
        self.commands.append(command)
        printed = self.serve() if command == "scripts/serve" else self.run(command)
        assert like(expected).fullmatch(printed), (
            f"$ {command}\nprinted\n{printed}\nwhere the document says\n{expected}"
        )

    def run(self, command: str, given: str = "") -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            input=given,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return done.stdout

    def serve(self) -> str:
        """Start the service, again if it runs; return what it prints until it serves."""
        self.interrupt()
        self.service = subprocess.Popen(
            ["scripts/serve"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.service.stdout is not None
        printed = ""
        for line in self.service.stdout:
            printed += line
            if line.startswith("Stop"):
                break
        return printed

    def interrupt(self) -> None:
        """Ctrl-C."""
        if self.service is not None:
            self.service.send_signal(signal.SIGINT)
            self.service.communicate(timeout=30)
            assert self.service.returncode == 0
            self.service = None


def like(expected: str) -> re.Pattern[str]:
    pattern = re.escape(expected).replace(r"\ ", " ")
    pattern = re.sub(r"^…\\\n", r"(?:.*\n)*?", pattern, flags=re.MULTILINE)
    return re.compile(pattern.replace("…", ".*"))
