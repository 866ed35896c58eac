"""`jobmgr doctor`: what was found, a group at a time, each with what it means; as JSON for programs."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from jobmgr.doctor.finding import Finding
from jobmgr.doctor.visit import visit

SIGNS = {"ok": "✓", "warning": "!", "problem": "✗", "remedy": "→"}
PLAIN_SIGNS = {"ok": "ok", "warning": "!!", "problem": "XX", "remedy": "do:"}
COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}


def doctor(*, as_json: bool) -> int:
    """Print all findings; 1 when there is a problem, else 0."""
    everything: list[tuple[str, Finding]] = []
    for group, findings in visit():
        everything += [(group, finding) for finding in findings]
        if not as_json:
            click.secho(f"\n{group}" if len(everything) > len(findings) else group, bold=True)
            for finding in findings:
                _print(finding)
    problems = sum(finding.level == "problem" for _, finding in everything)
    if as_json:
        rows = [{"group": group, **asdict(finding)} for group, finding in everything]
        click.echo(json.dumps({"problems": problems, "findings": rows}, ensure_ascii=False, indent=2))
    else:
        warnings = sum(finding.level == "warning" for _, finding in everything)
        click.echo(f"\n{_counted(problems, 'problem')}, {_counted(warnings, 'warning')}")
    return 1 if problems else 0


def _print(finding: Finding) -> None:
    signs = _signs()
    click.secho(f"  {signs[finding.level]} ", fg=COLOURS[finding.level], nl=False)
    click.echo(_one_line(f"{finding.name}: {finding.found}"))
    click.secho(f"      {_one_line(finding.means)}", dim=True)
    if finding.remedy:
        click.echo(f"      {signs['remedy']} {_one_line(finding.remedy)}")


def _signs() -> dict[str, str]:
    """Letters where the terminal cannot write the signs."""
    try:
        "".join(SIGNS.values()).encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return PLAIN_SIGNS
    return SIGNS


def _one_line(text: str) -> str:
    """Names of files may hold anything; none may move the cursor."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _counted(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
