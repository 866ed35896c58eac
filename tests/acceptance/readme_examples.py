"""Runs the examples of README.md against a running server and compares the answers with those printed there.

Usage: readme_examples.py README.md http://127.0.0.1:PORT

In a fenced `console` block a line that starts with `$ ` is a command (a backslash at its end carries it on), and the lines after it are the
answer, as a terminal shows it. `…` or `...` in it stands for anything; white space does not count. Only commands that start with
one of RUN are run; the address of the README (port 3000) is replaced by the given one. A command that only reads is repeated until its answer
fits, for a person takes a moment to type.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 20.0
README_ADDRESS = re.compile(r"(http://)?(localhost|127\.0\.0\.1):3000")
RUN = ("curl ", "./scripts/jobmgr ")
CHANGES_SOMETHING = re.compile(
    r"^curl .*\s(-d|--data\S*|--json|-X|--request|-T|-F)\b|^\S*/jobmgr (submit|run|stop|restart|delete)\b"
)


@dataclass(frozen=True, slots=True)
class Example:
    """A command of the README and the answer printed below it."""

    command: str
    answer: str

    def fits(self, output: str) -> bool:
        """Tell whether a real answer is the printed one."""
        parts = re.split(r"…|\.\.\.", re.sub(r"\s+", "", self.answer))
        return re.fullmatch(".*".join(map(re.escape, parts)), re.sub(r"\s+", "", output)) is not None


def read_examples(text: str) -> Iterator[Example]:
    """Find the examples of a README, in order."""
    for block in re.findall(r"^```console\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for example in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, answer = re.sub(r"\\\n(> )?", " ", example).partition("\n")
            if command.startswith(RUN):
                yield Example(command, answer)


def run(example: Example, address: str) -> str | None:
    """Run one example against a server; give the last answer when it does not fit."""
    command = README_ADDRESS.sub(address, example.command)
    end = time.monotonic() + (0 if CHANGES_SOMETHING.search(command) else PATIENCE_S)
    while True:
        ended = subprocess.run(
            ["bash", "-c", command],
            stdout=subprocess.PIPE,
            # curl draws its progress there when its answer goes to no terminal.
            stderr=subprocess.PIPE if command.startswith("curl") else subprocess.STDOUT,
            text=True,
            check=False,
            env={**os.environ, "JOBMGR_URL": address},
        )
        if ended.returncode == 0 and example.fits(ended.stdout):
            return None
        if time.monotonic() > end:
            return f"{ended.stdout}{ended.stderr or ''}(it ended with {ended.returncode})"
        time.sleep(0.1)


def main() -> int:
    """Run all examples in order and print what came of each; 1 when one does not fit, or when there is none to check."""
    readme, address = sys.argv[1:]
    examples = list(read_examples(Path(readme).read_text(encoding="utf-8")))
    wrong = 0
    for example in examples:
        answer = run(example, address)
        print(f"{'differs' if answer else 'as printed'}: {example.command}")
        if answer is not None:
            wrong += 1
            print(f"  README says:\n{example.answer}\n  the server says:\n{answer}")
    print(f"{len(examples) - wrong} of {len(examples)} examples of the README answer as printed")
    return 0 if examples and not wrong else 1


if __name__ == "__main__":
    sys.exit(main())
