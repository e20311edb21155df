"""What the service is told of a request."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from gunicorn.config import Config
from gunicorn.errors import ConfigError

from tests.timerproject.web.conftest import Clock, Site, site
from timerproject.web.worker import BufferingWorker


def request(target: str = "/", headers: str = "", body: str = "") -> str:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"POST {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}{length}\r\n{body}"


def test_the_address_is_given_as_it_was_sent(web: Site) -> None:
    said = web.environ(request("/a%2Fb/c%20d?q=%2F"))
    assert (said["PATH_INFO"], said["REQUEST_URI"]) == ("/a/b/c d", "/a%2Fb/c%20d?q=%2F")


def test_a_body_in_chunks_has_its_length(web: Site) -> None:
    head = "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    said = web.environ(f"{head}3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n")
    assert (said["body"], said["CONTENT_LENGTH"]) == ("abcde", "5")
    assert "HTTP_TRANSFER_ENCODING" not in said


@pytest.mark.parametrize("name", ["SCRIPT_NAME", "PATH_INFO", "Script-Name", "X-Script-Name", "X-Forwarded-Prefix"])
def test_no_header_moves_the_path(web: Site, name: str) -> None:
    said = web.environ(request("/a", f"{name}: /elsewhere\r\n"))
    assert (said["SCRIPT_NAME"], said["PATH_INFO"]) == ("", "/a")


@pytest.mark.parametrize("name", ["REMOTE_ADDR", "REMOTE_USER", "X_Forwarded_For", "wsgi.url_scheme", "HTTP_HOST"])
def test_a_header_with_an_underscore_is_dropped(web: Site, name: str) -> None:
    said = web.environ(request("/", f"{name}: 192.0.2.1\r\n"))
    assert "192.0.2.1" not in {value for key, value in said.items() if key.upper() != "HTTP_WSGI.URL_SCHEME"}
    assert said["REMOTE_ADDR"] == "127.0.0.1"


def test_forwarded_addresses_are_left_to_the_service(web: Site) -> None:
    assert web.environ(request("/", "X-Forwarded-For: 192.0.2.1\r\n"))["HTTP_X_FORWARDED_FOR"] == "192.0.2.1"


@pytest.mark.parametrize(
    ("trusted", "headers", "scheme"),
    [
        ("127.0.0.1", "X-Forwarded-Proto: https\r\n", "https"),
        ("127.0.0.0/8,::1", "X-Forwarded-Proto: https\r\n", "https"),
        ("*", "X-Forwarded-Proto: https\r\n", "https"),
        ("127.0.0.1", "X-Forwarded-Proto: http\r\n", "http"),
        ("127.0.0.1", "X-Forwarded-Proto: https, http\r\n", "http"),
        ("127.0.0.1", "X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\n", "http"),
        ("127.0.0.1", "", "http"),
        ("192.0.2.1", "X-Forwarded-Proto: https\r\n", "http"),
    ],
)
def test_only_a_trusted_proxy_says_that_it_was_asked_by_https(
    clock: Clock, listener: socket.socket, trusted: str, headers: str, scheme: str
) -> None:
    with site(clock, listener, forwarded_allow_ips=trusted) as web:
        # SERVER_PROTOCOL stands before it in no header: what the service sees is read from its own answer.
        assert f'"wsgi.url_scheme": "{scheme}"'.encode() in web.answer(request("/", headers))


def test_a_request_through_a_socket_in_the_file_system_has_no_address(clock: Clock, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "web.sock"))
        listener.listen()
        with site(clock, listener) as web:
            said = web.environ(request("/", "X-Forwarded-Proto: https\r\n"))
    assert (said["REMOTE_ADDR"], said["wsgi.url_scheme"]) == ("", "https")


def test_the_access_log_has_each_request(clock: Clock, listener: socket.socket) -> None:
    with site(clock, listener, accesslog="-") as web:
        web.answer(request("/a?b=c"))
        [(answer, _, environ, seconds)] = web.worker.logged
    assert answer.status == "200 OK"
    assert answer.sent > 0
    assert environ["RAW_URI"] == "/a?b=c"
    assert seconds.total_seconds() >= 0


def test_a_process_ends_after_its_most_requests(clock: Clock, listener: socket.socket) -> None:
    with site(clock, listener, max_requests=1) as web:
        assert web.answer(request()).startswith(b"HTTP/1.1 200")
        assert not web.worker.alive


def test_tls_is_refused_in_words() -> None:
    config = Config()
    config.set("certfile", "cert.pem")
    with pytest.raises(ConfigError, match="proxy"):
        BufferingWorker.check_config(config, None)
