from __future__ import annotations

import base64
import json
import random
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from timers.actions.signing import new_signing_secret, signature, signing_key
from timers.exceptions import InvalidRequest


def headers(keys: list[bytes], body: bytes, at: int, message_id: str = "018f-7") -> dict[str, str]:
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(at),
        "webhook-signature": signature(keys, message_id, at, body),
    }


@pytest.fixture
def now() -> int:
    return int(datetime.now(UTC).timestamp())


def test_the_vector_of_the_specification_comes_out() -> None:
    key = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    assert signature([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}') == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_a_thousand_bodies_verify_with_the_official_package(now: int) -> None:
    choice = random.Random(7)
    secret = new_signing_secret()
    key, official = signing_key(secret), Webhook(secret)
    for number in range(1000):
        text = "".join(
            chr(choice.choice([choice.randrange(32, 0xD800), choice.randrange(0xE000, 0x110000)])) for _ in "x" * 20
        )
        body = json.dumps({"Payload": text, "Number": number}, ensure_ascii=False).encode()

        assert official.verify(body, headers([key], body, now)) == {"Payload": text, "Number": number}


def test_a_changed_byte_id_or_time_is_refused(now: int) -> None:
    secret = new_signing_secret()
    official, good = Webhook(secret), headers([signing_key(secret)], b'{"a":1}', now)

    for body, changed in (
        (b'{"a":2}', good),
        (b'{"a":1}', good | {"webhook-id": "other"}),
        (b'{"a":1}', good | {"webhook-timestamp": str(now + 1)}),
    ):
        with pytest.raises(WebhookVerificationError):
            official.verify(body, changed)


def test_a_receiver_with_either_key_verifies_while_they_are_changed(now: int) -> None:
    old, new = new_signing_secret(), new_signing_secret()
    sent = headers([signing_key(new), signing_key(old)], b"{}", now)

    assert Webhook(old).verify(b"{}", sent) == {}
    assert Webhook(new).verify(b"{}", sent) == {}
    with pytest.raises(WebhookVerificationError):
        Webhook(new_signing_secret()).verify(b"{}", sent)


@pytest.mark.parametrize("size", [0, 23, 65])
def test_a_key_too_short_or_too_long_is_refused_and_not_repeated(size: int) -> None:
    secret = "whsec_" + base64.b64encode(b"k" * size).decode()

    with pytest.raises(InvalidRequest, match="24 to 64 bytes") as refused:
        signing_key(secret)
    assert size == 0 or secret not in str(refused.value)


@pytest.mark.parametrize("secret", ["whsec_###", "secret", "", None, "whsec_" + "a" * 33])
def test_what_is_no_key_is_refused(secret: object) -> None:
    with pytest.raises(InvalidRequest):
        signing_key(secret)
