"""A process of its own for the project: a copy of this one where that does as well."""

import subprocess
import sys

from project.database import ROOT

#: Two copies, of which the first ends when nobody can ask it any more, though the second was made
#: while its pipes were open; and what keeps a process from being copied.
SCRIPT = """
import socket, sys, tempfile, threading
from pathlib import Path
from project.schema import process

def possible():
    return process.can_copy(sys.executable, Path.cwd())

log = tempfile.TemporaryFile()
first, second = process.copied(log.fileno()), process.copied(log.fileno())
assert second.process.poll() is None
first.requests.close()
assert first.process.wait(20) == 0, first.process.wait(0)
second.process.kill()
assert second.process.wait(20) == -9
assert possible()
assert not process.can_copy("/other/python", Path.cwd())
assert not process.can_copy(sys.executable, Path("/"))
with socket.socket():
    assert not possible()
end = threading.Event()
threading.Thread(target=end.wait).start()
assert not possible()
end.set()
"""


def test_a_process_is_copied_where_nothing_is_shared_by_that() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
