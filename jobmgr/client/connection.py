"""One connection to a server, kept alive: requests, answers, and what to do when one of them fails.

What may be asked twice without harm (reading, stopping, a submission with its key) is asked again when the connection breaks or the server says 503
with `Retry-After`; anything else is sent once. A first request that finds no server fails at once, unless there is patience: then it is tried
until that is used up, because a server that restarts is away for a moment.

Assumes one thread. Does no redirects, proxies or compression: the server answers with none.
"""

from __future__ import annotations

import http.client
import json
import math
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from jobmgr.errors import ClientError, ConnectionLost, NoServer, Refusal

ANSWER_S = 60.0
"""So long an answer may let wait for its next byte."""
AWAY_PATIENCE_S = 300.0
"""So long those wait for a server that went away who want to see the end of something."""
LOST_PATIENCE_S = 10.0
"""So long what was sent once is tried again after its connection broke: the time of a quick restart."""
LEAST_S = 0.5
"""So long an answer may take even where no time is left."""
BUSY_TRIES = 4
MAX_PAUSE_S = 5.0
_PAUSES_S = (0.1, 0.2, 0.5, 1.0)
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
_BUSY = 503
_REFUSED = 400
_SAFE = frozenset({"GET", "HEAD"})

Query = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """What it says. Raises ClientError where it is no JSON: then this is no jobmgr."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise ClientError(
                "The answer is not JSON: what answers there is not jobmgr. Check the address (JOBMGR_URL)."
            ) from None


class Connection:
    """Requests to the server at `url`. `on_away` is told once each time the server is away and there is patience."""

    def __init__(self, url: str, *, on_away: Callable[[], None] | None = None, timeout_s: float = ANSWER_S) -> None:
        self.url = url
        self.patience_s = 0.0
        """So long a server that does not answer is waited for."""
        self.lost_patience_s = LOST_PATIENCE_S
        """So long what was sent is tried again when its answer was lost."""
        self.until = math.inf
        """The instant (`time.monotonic`) after which nothing is waited for."""
        self._parts = urlsplit(url)
        self._timeout_s = timeout_s
        self._on_away = on_away
        self._http: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None
        """Of `_http`, which lets go of it at an answer that is to be the last one while that is still being read."""

    def beside(
        self, *, patience_s: float = 0.0, timeout_s: float = ANSWER_S, on_away: Callable[[], None] | None = None
    ) -> Connection:
        """Another connection to the same server, until the same instant."""
        other = Connection(self.url, timeout_s=timeout_s, on_away=on_away)
        other.patience_s = other.lost_patience_s = patience_s
        other.until = self.until
        return other

    def close(self) -> None:
        """Drop the connection; the next request makes a new one."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
    ) -> Reply:
        """One request and its whole answer. `repeatable`: it may be sent again (default: when it only reads). Raises ClientError."""
        may_repeat = method in _SAFE if repeatable is None else repeatable
        for last in (not may_repeat, True):
            with self.stream(method, path, query=query, body=body, headers=headers, repeatable=may_repeat) as answer:
                try:
                    return Reply(answer.status, dict(answer.headers), answer.read())
                except (OSError, http.client.HTTPException) as error:
                    if last:
                        raise ConnectionLost from error
        raise AssertionError  # The last round returns or raises.

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool | None = None,
        quiet: bool = False,
    ) -> Iterator[http.client.HTTPResponse]:
        """One request; its answer is read by the caller. `quiet`: its next byte may take as long as it likes."""
        target = self._parts.path.rstrip("/") + path + (f"?{_encoded(query)}" if query else "")
        sent = _Sent(method, target, None if body is None else json.dumps(body).encode(), dict(headers or {}))
        may_repeat = method in _SAFE if repeatable is None else repeatable
        answer = self._answer(sent, repeatable=may_repeat)
        try:
            self._set_timeout(None if quiet else self._timeout_s)
            yield answer
        finally:
            # What was not read to its end would be taken for the next answer.
            if not answer.isclosed():
                self.close()

    def _answer(self, sent: _Sent, *, repeatable: bool) -> http.client.HTTPResponse:
        """The begin of a good answer. Raises Refusal for any other."""
        for attempt in range(1, BUSY_TRIES + 1):
            answer = self._patiently(sent, repeatable=repeatable)
            if answer.status < _REFUSED or answer.status == 304:
                return answer
            pause = answer.getheader("Retry-After", "")
            refusal = _refusal(answer)
            last = attempt == BUSY_TRIES or not pause.isdigit() or float(pause) > self.left_s
            if answer.status != _BUSY or not repeatable or last:
                raise refusal
            time.sleep(min(float(pause), MAX_PAUSE_S))
        raise AssertionError  # The last round returns or raises.

    def _patiently(self, sent: _Sent, *, repeatable: bool) -> http.client.HTTPResponse:
        """Send until there is an answer, or patience is used up."""
        began, tries, patience, told = time.monotonic(), 0, self.patience_s, False
        was_sent = False
        while True:
            try:
                return self._once(sent, fresh=not repeatable)
            except NoServer as error:
                if time.monotonic() - began >= patience or self.left_s <= 0:
                    if was_sent:  # It may have been done: that is another thing than no server.
                        raise ConnectionLost from error
                    raise
            except ConnectionLost:
                was_sent = True
                patience = max(patience, self.lost_patience_s)
                if not repeatable or time.monotonic() - began >= patience or self.left_s <= 0:
                    raise
            if tries and not told and self._on_away:  # Not for a kept connection that the server had closed meanwhile.
                told = True
                self._on_away()
            time.sleep(_PAUSES_S[min(tries, len(_PAUSES_S) - 1)])
            tries += 1

    def _once(self, sent: _Sent, *, fresh: bool) -> http.client.HTTPResponse:
        if fresh or (self._http is not None and self._http.sock is None):
            self.close()
        connection = self._http or self._connect()
        self._set_timeout(self._timeout_s)  # One that was kept may have been quiet for as long as it liked.
        try:
            connection.request(sent.method, sent.target, sent.body, sent.all_headers())
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ConnectionLost from error

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        try:
            connection = kind(self._parts.netloc.rpartition("@")[2], timeout=self._at_most(self._timeout_s))
            connection.connect()
            _keep_alive(connection.sock)
        except ConnectionRefusedError:
            raise NoServer(self.url) from None
        except (OSError, http.client.HTTPException, UnicodeError) as error:
            raise NoServer(self.url, getattr(error, "strerror", None) or str(error)) from None
        self._http, self._socket = connection, connection.sock
        return connection

    def allow(self, seconds: float) -> None:
        """Let the next byte of the answer that is being read take so long, and no longer than until `until`."""
        self._set_timeout(seconds)

    @property
    def left_s(self) -> float:
        """So long until the instant `until`."""
        return self.until - time.monotonic()

    def _set_timeout(self, timeout_s: float | None) -> None:
        if self._http is not None and self._socket is not None and self._socket.fileno() >= 0:
            self._socket.settimeout(self._at_most(timeout_s))

    def _at_most(self, timeout_s: float | None) -> float | None:
        """That, or what is left; a moment even where nothing is left, for a server that answers at once."""
        least = min(max(self.left_s, LEAST_S), math.inf if timeout_s is None else timeout_s)
        return None if least == math.inf else least


@dataclass(frozen=True, slots=True)
class _Sent:
    method: str
    target: str
    body: bytes | None
    headers: dict[str, str]

    def all_headers(self) -> dict[str, str]:
        given = {"Accept": "application/json, */*", "User-Agent": "jobmgr", **self.headers}
        return given if self.body is None else {"Content-Type": "application/json", **given}


def _keep_alive(connection: socket.socket) -> None:
    """Learn within minutes that the server's machine is gone, also where nothing is asked: by default that takes hours."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):  # Each system has its own of these.
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _encoded(query: Query) -> str:
    """A value that is a list is given several times; None: not at all."""
    return urlencode({name: value for name, value in query.items() if value is not None}, doseq=True)


def _refusal(answer: http.client.HTTPResponse) -> Refusal:
    """What problem+json says, else as much as HTTP does."""
    try:
        said = json.loads(answer.read())["error"]
    except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
        said = f"The server answered {answer.status} {answer.reason}: is it jobmgr? Check the address (JOBMGR_URL)."
    return Refusal(answer.status, str(said))
