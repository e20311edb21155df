from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from timers.worker.masking import HIDDEN
from timers.worker.masking_cache import MOST_CHARACTERS, MaskingCache


def secret(number: int, length: int = 1000) -> frozenset[str]:
    return frozenset([f"{number:08}" * (length // 8)])


def test_maskings_of_many_long_tokens_are_made_once() -> None:
    cache = MaskingCache()
    tokens = [secret(number) for number in range(40)]
    first = [cache.masking(token) for token in tokens]
    assert [cache.masking(token) for token in tokens] == first


def test_those_used_longest_ago_are_dropped_when_secrets_exceed_the_characters() -> None:
    cache = MaskingCache(most_characters=3000)
    first, second, third = (cache.masking(secret(number)) for number in range(3))
    assert cache.masking(secret(0)) is first
    cache.masking(secret(3))
    assert cache.masking(secret(0)) is first and cache.masking(secret(2)) is third
    assert cache.masking(secret(1)) is not second


def test_short_secrets_are_bounded_by_their_number() -> None:
    cache = MaskingCache(most_maskings=2)
    first = cache.masking(secret(0, 8))
    for number in (1, 2):
        cache.masking(secret(number, 8))
    assert cache.masking(secret(0, 8)) is not first


def test_secret_that_is_longer_than_all_that_is_kept_is_kept_until_the_next() -> None:
    cache = MaskingCache(most_characters=100)
    long = cache.masking(secret(1))
    assert cache.masking(secret(1)) is long
    cache.masking(secret(2, 80))
    assert cache.masking(secret(1)) is not long


def test_threads_that_miss_the_same_masking_count_it_once() -> None:
    cache = MaskingCache()
    barrier = Barrier(4)

    def mask(_: int) -> str:
        barrier.wait(10)
        return cache.masking(secret(1)).text("00000001")

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(mask, range(4))) == [HIDDEN] * 4
    assert cache._characters == 1000 < MOST_CHARACTERS
