"""Credential values are found in a probe's output however they are written, and nothing else is taken for one."""

from __future__ import annotations

import base64
import json
import string
import textwrap
import time
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conformance.judge.leaks import leaks
from conformance.model.placeholders import Context

SECRET = Context(now=0, seed="seed", scenario="some/id").secret()
OTHER = Context(now=0, seed="seed", scenario="some/id").secret("refresh")
#: One with characters that encodings treat in ways of their own.
ODD = 'k/+y=?&"\\é€😀 ~\x7f' + "0123456789"


def found(output: bytes | str, **secrets: str) -> list[tuple[str, str]]:
    data = output.encode("utf-8", "surrogateescape") if isinstance(output, str) else output
    return leaks(data, secrets or {"secret": SECRET})


def percent(data: bytes, *, lower: bool = False, every: int = 1) -> bytes:
    form = b"%%%02x" if lower else b"%%%02X"
    return b"".join(form % byte if n % every == 0 else bytes([byte]) for n, byte in enumerate(data))


def escaped(text: str, *, upper: bool = False, every: int = 1) -> str:
    form = "\\u%04X" if upper else "\\u%04x"
    return "".join(form % ord(c) if n % every == 0 else c for n, c in enumerate(text))


def b64(text: str, before: bytes = b"", after: bytes = b"") -> bytes:
    return base64.b64encode(before + text.encode() + after)


def wrapped(data: bytes, width: int, end: str = "\n") -> bytes:
    return end.join(textwrap.wrap(data.decode(), width)).encode()


def test_no_output_leaks_nothing() -> None:
    assert [found(output) for output in (b"", b" \n\t", b"all is well\n")] == [[], [], []]


@pytest.mark.parametrize(
    ("output", "how"),
    [
        (SECRET.encode(), "plain"),
        (f"token={SECRET}\n".encode(), "plain"),
        (f"a{SECRET}b".encode(), "plain"),
        (json.dumps({"a": SECRET}).encode(), "plain"),
        (SECRET[::-1].encode(), "backwards"),
        # Hexadecimal
        (SECRET.encode().hex().encode(), "in hexadecimal"),
        (SECRET.encode().hex().upper().encode(), "in hexadecimal"),
        (SECRET.encode().hex(":").encode(), "in hexadecimal split"),
        (SECRET.encode().hex(":").upper().encode(), "in hexadecimal split"),
        (SECRET.encode().hex(" ", 2).encode(), "in hexadecimal split"),
        (wrapped(SECRET.encode().hex().upper().encode(), 16), "in hexadecimal split"),
        # Base64, at each of the three offsets, with anything around it
        (b64(SECRET), "in base64"),
        (b64(SECRET, b"x", b"y"), "in base64"),
        (b64(SECRET, b"xy", b"zz"), "in base64"),
        (b64(SECRET, b'{"token": "', b'"}'), "in base64"),
        (b64(SECRET).rstrip(b"="), "in base64"),
        (base64.urlsafe_b64encode(SECRET.encode()), "in base64"),
        # Percent-encoded, as a whole or in part
        (percent(SECRET.encode()), "percent-encoded"),
        (percent(SECRET.encode(), lower=True), "percent-encoded"),
        (percent(SECRET.encode(), every=3), "percent-encoded"),
        (quote(SECRET).replace("-", "%2D").encode(), "percent-encoded"),
        # JSON escapes, as a whole or in part
        (escaped(SECRET).encode(), "with JSON escapes"),
        (escaped(SECRET, upper=True).encode(), "with JSON escapes"),
        (escaped(SECRET, every=4).encode(), "with JSON escapes"),
        (json.dumps(escaped(SECRET)).encode(), "with JSON escapes"),
        (json.dumps(json.dumps(escaped(SECRET))).encode(), "with JSON escapes"),
        # Split
        (wrapped(SECRET.encode(), 10), "split"),
        (wrapped(SECRET.encode(), 10, "\r\n    "), "split"),
        ("\n".join(SECRET).encode(), "split"),
        (" ".join(SECRET).encode(), "split"),
        (json.dumps(wrapped(SECRET.encode(), 10).decode()).encode(), "split"),
        (SECRET.encode("utf-16-le"), "split"),
        # Combinations
        (wrapped(b64(SECRET, b"x" * 40), 76), "in base64 split"),
        (wrapped(b64(SECRET, b"header"), 20, "\r\n"), "in base64 split"),
        (
            json.dumps(base64.encodebytes(b"x" * 40 + SECRET.encode()).decode()).encode(),
            "in base64 split",
        ),
        (percent(b64(SECRET)), "in base64 percent-encoded"),
        (percent(SECRET.encode().hex().upper().encode()), "in hexadecimal percent-encoded"),
        (percent(SECRET[::-1].encode()), "backwards percent-encoded"),
        (wrapped(percent(SECRET.encode()), 9), "percent-encoded split"),
        (escaped(b64(SECRET).decode()).encode(), "in base64 with JSON escapes"),
        (escaped(SECRET[::-1]).encode(), "backwards with JSON escapes"),
        (wrapped(escaped(SECRET).encode(), 12), "with JSON escapes split"),
        (b"\n".join(b64(SECRET, b"x" * n)[:-4] for n in range(3)), "in base64"),
    ],
)
def test_each_way_to_write_a_value_is_found_and_named(output: bytes, how: str) -> None:
    assert found(output) == [("secret", how)]
    assert found(b"before \xff\n" + output + b"\nafter \xfe") == [("secret", how)]


@pytest.mark.parametrize(
    "write",
    [
        lambda text: text.encode(),
        lambda text: text.encode()[::-1],
        lambda text: text.encode().hex().upper().encode(),
        b64,
        lambda text: b64(text, b"x"),
        lambda text: b64(text, b"xx"),
        lambda text: base64.urlsafe_b64encode(text.encode()),
        lambda text: quote(text).encode(),
        lambda text: percent(text.encode(), lower=True),
        lambda text: text.replace("/", "\\/").encode(),
    ],
)
@pytest.mark.parametrize(
    "value",
    [SECRET, ODD, "a/b/c/d/e/f/g/h", "????>>>>~~~~++++", "ÿ" * 12],
    ids=["canary", "odd", "slashes", "plus", "high"],
)
def test_values_of_other_characters_are_found_as_well(
    value: str, write: Callable[[str], bytes]
) -> None:
    assert [name for name, _ in found(write(value), it=value)] == ["it"]


def test_each_secret_is_named_once_and_by_its_own_name() -> None:
    output = f"{SECRET} {SECRET}\n{OTHER[::-1]}\n{SECRET.encode().hex()}"
    assert found(output, first=SECRET, second=OTHER, third="canary-of-another-run") == [
        ("first", "plain"),
        ("second", "backwards"),
    ]


@pytest.mark.parametrize(
    "output",
    [
        SECRET[:-1],
        SECRET[1:],
        SECRET.upper(),
        SECRET.lower(),
        SECRET[:12] + "*" * (len(SECRET) - 12),
        SECRET[:6] + "…" + SECRET[-4:],
        SECRET[:20] + "\n[...]\n" + SECRET[20:],
        OTHER,
        "canary-",
        b64(SECRET[:-4]).decode(),
        b64(SECRET.lower()).decode(),
        b64(SECRET).decode().lower(),
        SECRET.encode().hex()[:-1],
        escaped(SECRET[:-1]),
        quote(SECRET)[:-1],
        "sha256:" + "0123456789abcdef" * 4,
        "%" * 500,
        "\\" * 500,
        "\\u00",
        "\\u00zz",
    ],
)
def test_near_misses_and_masked_values_are_no_alarm(output: str) -> None:
    assert found(output) == []


#: A busy machine is no failure, and the directory the tests run in may belong to somebody else.
unhurried = settings(deadline=None, database=None)
SURROUNDINGS = st.binary(max_size=60)
WRITE: list[Callable[[str], bytes]] = [
    lambda text: text.encode(),
    lambda text: text.encode()[::-1],
    lambda text: text.encode().hex().encode(),
    lambda text: text.encode().hex(":").upper().encode(),
    lambda text: percent(text.encode()),
    lambda text: escaped(text).encode(),
]


@unhurried
@given(before=SURROUNDINGS, after=SURROUNDINGS, write=st.sampled_from(WRITE))
@example(before=b"\\", after=b"", write=WRITE[5])
@example(before=b"%", after=b"%", write=WRITE[4])
@example(before=b"%6", after=b"", write=WRITE[0])
@example(before=b"a", after=b"f", write=WRITE[2])
def test_a_value_is_found_between_any_bytes(
    before: bytes, after: bytes, write: Callable[[str], bytes]
) -> None:
    assert [name for name, _ in found(before + write(SECRET) + after)] == ["secret"]


@unhurried
@given(
    before=SURROUNDINGS,
    after=SURROUNDINGS,
    width=st.integers(4, 80),
    alphabet=st.sampled_from([b"+/", b"-_"]),
)
def test_base64_of_a_text_with_the_value_in_it_is_found_at_any_offset_and_width(
    before: bytes, after: bytes, width: int, alphabet: bytes
) -> None:
    encoded = base64.b64encode(before + SECRET.encode() + after, altchars=alphabet)
    assert [name for name, _ in found(b"> " + wrapped(encoded, width))] == ["secret"]


@unhurried
@given(before=SURROUNDINGS, after=SURROUNDINGS, alphabet=st.sampled_from([b"+/", b"-_"]))
def test_base64_of_odd_characters_is_found_in_both_alphabets(
    before: bytes, after: bytes, alphabet: bytes
) -> None:
    assert [
        name
        for name, _ in found(
            base64.b64encode(before + ODD.encode() + after, altchars=alphabet), odd=ODD
        )
    ] == ["odd"]


@unhurried
@given(
    cuts=st.sets(st.integers(1, len(SECRET) - 1)), gap=st.text(" \t\r\n", min_size=1, max_size=4)
)
def test_a_value_is_found_wherever_it_is_split(cuts: set[int], gap: str) -> None:
    places = [0, *sorted(cuts), len(SECRET)]
    output = gap.join(SECRET[a:b] for a, b in pairwise(places))
    assert [name for name, _ in found(output)] == ["secret"]


@unhurried
@given(st.binary(max_size=400))
def test_random_output_is_no_alarm(output: bytes) -> None:
    assert found(output) == []


@unhurried
@given(
    st.text(string.ascii_letters + string.digits + "-", min_size=len(SECRET), max_size=len(SECRET))
)
def test_values_of_the_same_shape_are_no_alarm(output: str) -> None:
    assert found(f"canary-{output} {b64(output).decode()}") == []


@pytest.mark.parametrize(
    "unit", [b"\\", b"\n", b"%", b"\\u00", b"\\\\u004", b" :", b"a", b"%2", b"\0", b"\\n"], ids=repr
)
@pytest.mark.slow
def test_no_output_takes_long(unit: bytes) -> None:
    """Time grows with the length only: for a whole stream of backslashes it was hours.

    A quarter of what is kept of a stream is enough to tell; the processor's time does not depend
    on what else the machine does.
    """
    output = unit * (2**18 // len(unit))
    started = time.thread_time()
    assert found(output) == []
    assert time.thread_time() - started < 5
