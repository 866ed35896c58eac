"""What is the same in the last words of attempts that failed alike: a text with all that differs from one to the next masked.

One scan of each line, from left to right, by one pattern of many alternatives. Each alternative begins only where a word, a number or a quote
begins, and what it repeats is taken whole or is bounded, so the work grows with the length of the text whatever stands in it. After a scan no
digit is left but in masks and in the few numbers that name a kind (`exit code 3`, `HTTP 404`, `errno 2`). A mask looks like `<n>`; a text that has
masks in it already keeps them, so that a fingerprint is its own fingerprint.

Numbers and ids share one mask: of random hexadecimal ids some are all digits, and must not make a kind of their own. Knows no attempts and no
time; what of some lines is worth a fingerprint says `telling`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

BLANK = "<blank>"
"""Of a text without any visible character."""

NUMBER, PATH, TEXT, TIME, DURATION, SIZE, ADDRESS, URL, EMAIL = (
    "<n>", "<path>", "<text>", "<time>", "<duration>", "<size>", "<address>", "<url>", "<email>",
)  # fmt: skip

_MASKS = ("n", "path", "text", "time", "duration", "size", "address", "url", "email", "blank")
_START = r"(?<![\w>])"
_DIGITS = r"\d+(?:[.,_]\d+)*"
_CLOCK = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:\s?[AaPp][Mm]\b)?"
_ZONE = r"(?:\s?(?:Z|UTC|GMT|[+-]\d\d:?\d\d)(?!\w))?"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}"
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},?\s"
_DATES = (
    rf"\d{{4}}[-/.]\d\d[-/.]\d\d(?:[T\s_]{_CLOCK})?{_ZONE}",
    rf"\d{{1,2}}/(?:\d{{1,2}}|{_MONTH})/\d{{2,4}}(?:[\s:]{_CLOCK})?{_ZONE}",
    rf"{_MONTH}\s+\d{{1,2}}(?:,?\s\d{{4}})?(?:,?\s{_CLOCK}{_ZONE})?(?:\s\d{{4}})?(?!\w)",
    rf"\d{{1,2}}\s{_MONTH}\s\d{{4}}(?:,?\s{_CLOCK}{_ZONE})?",
    rf"{_CLOCK}{_ZONE}",
)
_UNIT_OF_TIME = r"(?:ns|us|µs|ms|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)"
_UNIT_OF_SIZE = r"(?:[kKMGTP]i?[Bb]?|[Bb]|bytes?|bits?)(?![^\W\d])"
_CODES = (
    r"(?i:errno|exit code|exit status|exited with|status code|return code|error code|code|http(?:/\d(?:\.\d)?)?|signal|curl:)"
    r"(?:\s|\s?[:=#]\s?)\(?\d{1,3}(?![\w.,:/%-]*\d|\w)"
)
_NAMES = (
    r"(?:[Mm]odule named|[Aa]ttribute|[Cc]ommand|[Nn]ame|[Pp]rogram|[Pp]ackage|[Oo]ption|[Ff]unction|[Mm]ethod|[Ss]ymbol"
    r"|[Kk]eyword|[Tt]ype)"
)
_NAME = r"[A-Za-z_][A-Za-z_.-]{0,60}"
_BEGINS = rf"(?i:errno|exit|status|return|error|code|http|signal)|{_NAMES}|{_MONTH}|{_DAY}"
_QUOTED = tuple(rf"(?<![\w{mark}>]){mark}[^{mark}\n<>]{{1,200}}{mark}(?![\w<])" for mark in "'\"`")

_KINDS: dict[str, tuple[str, ...]] = {
    # Plain words that begin nothing of the below are passed over at once: for speed only.
    "plain": (rf"(?<![\w>])(?:(?!{_BEGINS})[A-Za-z_]++[\s,;!?)]++)++",),
    # What stays: masks, numbers that name a kind, quoted words of code.
    "mask": (rf"<(?:{'|'.join(_MASKS)})>(?:(?<=<path>)\.[a-z]{{1,4}}\d?(?!\w))?",),
    "code": (rf"(?<!\w){_CODES}",),
    "named": (
        rf"(?<!\w){_NAMES}\s(?:'{_NAME}'|\"{_NAME}\"|`{_NAME}`)",
        rf"'{_NAME}'\sobject\b",
    ),
    "escape": (r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})",),
    # Times, before the numbers that they are made of.
    "time": (rf"{_START}(?:{_DAY})?(?:{'|'.join(_DATES)})(?!\w)",),
    # Addresses of every kind.
    "url": (_START + r"[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s\"'<>`]+",),
    "email": (r"(?<![\w.+>-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+(?!<)",),
    "ip": (
        _START + r"\d{1,3}(?:\.\d{1,3}){3}(?:[:/]\d{1,5})?(?![\w.]*\d)",
        _START + r"\[?(?=[0-9A-Fa-f:]{0,40}\d)(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{1,4}\]?(?:%\w{1,16})?(?![\w:])",
    ),
    "pointer": (_START + r"0[xX][0-9A-Fa-f]+",),
    # Ids, before paths and numbers.
    "id": (
        _START + r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}(?!\w)",
        _START + r"(?=[A-Fa-f]*\d)(?=\d*[A-Fa-f])(?!\d+B\b)[0-9A-Fa-f]{6,}(?!\w)",
    ),
    "quoted": (*_QUOTED, r"[“«‘][^”»’“«‘\n<>]{1,200}[”»’]"),
    # Files: of Windows, absolute ones, and relative ones with two slashes or an extension; "and/or" is none.
    "path": (
        _START + r"[A-Za-z]:\\[^\s\"'<>|:*?]*",
        r"(?<![\w.~>\\])\\\\[\w.-]+\\[^\s\"'<>|:*?]*",
        r"(?<![\w.~>/+@-])(?:~[\w-]{0,32}|\.{1,2})?/[^\s\"'<>:;,()\[\]{}|=`]+",
        r"(?<![\w.+@~>/-])[\w.+@-]{1,255}(?:/[\w.+@-]{1,255}){2,}",
        r"(?<![\w.+@~>/-])[\w.+@-]{1,255}/[\w.+@-]{1,250}\.[A-Za-z]\w{0,4}(?![\w/<])",
    ),
    # Long words may be random. Then numbers, with their units, wherever they stand.
    "token": (r"(?<![\w+/=>-])(?=[\d+/_-]*[A-Za-z])[A-Za-z0-9+/_-]{16,}={0,2}(?![\w<])",),
    "duration": (rf"(?<![^\W\d]){_DIGITS}\s?{_UNIT_OF_TIME}(?:,?\s?\d+(?:\.\d+)?\s?{_UNIT_OF_TIME}){{0,5}}(?!\w)",),
    "size": (rf"(?<![^\W\d]){_DIGITS}\s?{_UNIT_OF_SIZE}",),
    "number": (rf"(?:{_START}[+-])?{_DIGITS}(?:[eE][+-]?\d+)?",),
    # Nothing above begins within a word.
    "rest": (r"[^\W\d]+",),
}
_SCAN = re.compile("|".join(f"(?P<{kind}>{'|'.join(forms)})" for kind, forms in _KINDS.items()))
_REPEATED = re.compile(r"(<[a-z]{1,8}>)(?:(?:,\s?|;\s?|\s)\1)+")
_RULE = re.compile(r"([^\w\s<>])\1{3,}")
_TOKEN_DIGITS = re.compile(rf"{_DIGITS}")
_EXTENSION = re.compile(r"\.[a-z]{1,4}\d?\Z")

_STAYS = frozenset({"mask", "code", "named", "escape", "plain", "rest"})
_MASK_OF = {
    "time": TIME, "url": URL, "email": EMAIL, "ip": ADDRESS, "pointer": ADDRESS, "id": NUMBER, "duration": DURATION, "size": SIZE, "number": NUMBER,
}  # fmt: skip


def fingerprint(text: str) -> str:
    """The text with what differs masked; lines without anything visible go. Empty only for the empty text.

    `fingerprint(fingerprint(text)) == fingerprint(text)`, and the time is in proportion to the length.
    """
    lines = (_fingerprint_line(line) for line in text.splitlines())
    return "\n".join(line for line in lines if line) or (BLANK if text else "")


_PASSES = 4
"""The second finds what stood beside something masked; more than two are for texts made to need them."""


def _fingerprint_line(line: str) -> str:
    for _ in range(_PASSES):
        before, line = line, _scanned(line)
        if line == before:
            break
    return line


def _scanned(line: str) -> str:
    masked = " ".join(_SCAN.sub(_masked, line).split())
    return _REPEATED.sub(r"\1", _RULE.sub(r"\1\1\1", masked))


def _masked(found: re.Match[str]) -> str:
    kind, text = found.lastgroup or "", found.group()
    if kind in _STAYS:
        return text
    if kind in _MASK_OF:
        return _MASK_OF[kind]
    if kind == "token":
        return NUMBER if _is_random(text) else _TOKEN_DIGITS.sub(NUMBER, text)
    if kind == "quoted" and not _is_path(text[1:-1]):
        return TEXT
    return _path(text[1:-1] if kind == "quoted" else text)


def _is_path(text: str) -> bool:
    return "://" not in text and (text[:1] in ("/", "~") or "/" in text.strip("/") or "\\" in text)


def _path(text: str) -> str:
    """A path keeps its extension: that is what people know a kind of file by."""
    text = text.rstrip("./\\")
    extension = _EXTENSION.search(text)
    return PATH + (extension.group() if extension else "")


def _is_random(token: str) -> bool:
    """Whether a long token is an id and no compound of words: a digit is in it, and the kind of character changes at every third place or so."""
    kinds = ["d" if c.isdigit() else "u" if c.isupper() else "l" if c.islower() else "" for c in token]
    changes = sum(a != b for a, b in pairwise(kinds) if a and b)
    return "d" in kinds and changes >= 0.35 * len(token)


# --- what of the last lines is worth a fingerprint

_TROUBLE_WORDS = (
    "error errors exception exceptions fatal panic panicked fail fails failed failure failures failing cannot unable denied refused invalid illegal "
    "abort aborted aborting killed timeout unreachable unexpected unknown missing undefined unsupported corrupt corrupted overflow assertion "
    "critical crash crashed crashing"
)
_TROUBLES = frozenset(_TROUBLE_WORDS.split())
_PHRASES = (
    "can't", "couldn't", "could not", "not found", "no such", "no space", "not permitted", "segmentation fault", "timed out", "out of memory",
)  # fmt: skip
_CLASSES = ("Error", "Exception", "Warning", "Interrupt", "Exit")
_WORDS = re.compile(r"[^\W\d_]+")
_NO_TROUBLE = re.compile(
    r"(?i:\b(?:0|no|without) (?:errors?|failures?|warnings?)\b|\b(?:errors?|failed|failures?)\s?[:=]\s?0\b)"
)
_FRAME = re.compile(
    r"\s*(?:File \".*\", line \d|at \S|\.\.\. \d+ more|from .{1,300}:\d+:in |#\d+ |\d+: 0x|Traceback \(most recent|[~^\s]+$)"
)
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(?:: |$)")
_CODE_LINE = re.compile(r"\s*File \".*\", line \d")


def telling(lines: Sequence[str]) -> str:
    """What of these last lines says why it failed, as a fingerprint.

    The exception at the end of a Python traceback; else every different line that speaks of trouble (with the next one where it ends in a colon);
    else the last line. Frames of a stack count only where there is nothing else.
    """
    spoken = [line for line in lines if not _is_frame(line)]
    chosen = _exception(lines) or _troubles(lines) or spoken[-1:] or lines
    return "\n".join(dict.fromkeys(fingerprint(line) for line in chosen))


def _speaks_of_trouble(line: str) -> bool:
    line = _NO_TROUBLE.sub("", line)
    small = line.lower()
    return (
        not _TROUBLES.isdisjoint(_WORDS.findall(small))
        or any(phrase in small for phrase in _PHRASES)
        or any(word.endswith(_CLASSES) for word in _WORDS.findall(line))
    )


def _is_frame(line: str) -> bool:
    return _FRAME.match(line) is not None


def _exception(lines: Sequence[str]) -> Sequence[str]:
    """From the exception on where a frame of Python stands before it, with the lines of its message."""
    frames = [at for at, line in enumerate(lines) if _CODE_LINE.match(line)]
    after = range(frames[-1] + 1, len(lines)) if frames else ()
    start = next((at for at in after if _EXCEPTION.match(lines[at])), None)
    return () if start is None else lines[start:]


def _troubles(lines: Sequence[str]) -> Sequence[str]:
    chosen = []
    for at, line in enumerate(lines):
        after_colon = at > 0 and lines[at - 1] in chosen and lines[at - 1].rstrip().endswith(":")
        if after_colon or (not _is_frame(line) and _speaks_of_trouble(line)):
            chosen.append(line)
    return chosen
