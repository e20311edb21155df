"""Run inside network and mount namespaces of its own: hostile URLs and a rebinding name server against real listeners.

The namespace has private addresses and a metadata server's on its loopback interface, a listener on every one of them,
and a name server whose answers turn. Prints what happened as JSON; see test_http_namespace.py.
"""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import tempfile
import threading
from dataclasses import replace
from itertools import count
from typing import Final

PRIVATE: Final = ("10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "fd00::1", "fd00:ec2::254")
PUBLIC: Final = "93.184.215.14"
PORT: Final = 8080
TURNS: Final = (PUBLIC, "127.0.0.1", PUBLIC, "10.0.0.1", "169.254.169.254")


class Listener:
    """Listens on all addresses of the namespace and notes who was called where."""

    def __init__(self, port: int) -> None:
        self.seen: list[str] = []
        self._socket = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
        threading.Thread(target=self._note, daemon=True).start()

    def _note(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            self.seen.append(connection.getsockname()[0].removeprefix("::ffff:"))
            connection.close()


class TurningNameServer:
    """Answers every question for an address with the next of TURNS, to be kept for no time."""

    def __init__(self) -> None:
        self.asked = 0
        self._turn = count()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 53))
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        while True:
            question, peer = self._socket.recvfrom(512)
            end = question.index(b"\0", 12) + 5
            (kind,) = struct.unpack("!H", question[end - 4 : end - 2])
            record = b""
            if kind == 1:
                self.asked += 1
                address = TURNS[next(self._turn) % len(TURNS)]
                record = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 0, 4) + socket.inet_aton(address)
            head = question[:2] + struct.pack("!HHHHH", 0x8180, 1, 1 if record else 0, 0, 0)
            self._socket.sendto(head + question[12:end] + record, peer)


def build_walls() -> None:
    """The addresses of the namespace, and the name server that it asks."""
    commands = ["ip link set lo up", *(f"ip addr add {a}/{128 if ':' in a else 32} dev lo" for a in PRIVATE)]
    for command in commands:
        subprocess.run(command.split(), check=True)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        file.flush()
        subprocess.run(["mount", "--bind", file.name, "/etc/resolv.conf"], check=True)


def main() -> None:
    build_walls()
    listener, names = Listener(PORT), TurningNameServer()

    import django

    django.setup()

    from tests.actions.hostile import ADDRESSES, FORMS
    from tests.worker.calling import THIS_HOST, Caller
    from timers.conf.forms import networks
    from timers.exceptions import InvalidRequest

    caller = Caller(replace(THIS_HOST, allowed=()))
    ends = []
    own = [f"http://{f'[{a}]' if ':' in a else a}:{{port}}/" for a in PRIVATE]
    urls = [url.replace("{port}", str(PORT)) for url in (*FORMS, *ADDRESSES, *own)]
    for url in urls:
        try:
            ends.append(caller.call(url, timeout=2).word)
        except InvalidRequest:
            ends.append("refused")
    turning = [str(caller.call(f"http://turn-{n}.example:{PORT}/", timeout=2).error_title) for n in range(40)]
    caller.loop.stop()
    seen = list(listener.seen)
    # That the walls are real: what is allowed does come through, to each kind of address.
    opened = Caller(replace(THIS_HOST, allowed=networks("127.0.0.1,10.0.0.1,169.254.169.254,fd00::1")))
    for host in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "[fd00::1]"):
        opened.call(f"http://{host}:{PORT}/", timeout=2)
    opened.loop.stop()
    print(
        json.dumps({"urls": len(urls), "ends": sorted(set(ends)), "seen": seen, "turning": turning,
                    "asked": names.asked, "opened": listener.seen[len(seen) :]})
    )  # fmt: skip


if __name__ == "__main__":
    main()
