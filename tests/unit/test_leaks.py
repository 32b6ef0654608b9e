"""Credential values are found in a probe's output however they are written, and nothing else is taken for one."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import string
import textwrap
import time
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from conformance.judge.leaks import LEAST, leaks
from conformance.model.placeholders import Context

#: The random part of a credential, and one with a prefix that says what it is.
BODY = Context(now=0, seed="seed", scenario="some/id").secret("jwt")[:32]
SECRET = "sk-proj-" + BODY
OTHER = Context(now=0, seed="seed", scenario="some/id").secret("refresh")
#: One with characters that encodings treat in ways of their own.
ODD = 'k/+y=?&"\\é€😀 ~\x7f' + "0123456789"


def found(output: bytes | str, **secrets: str) -> list[tuple[str, str]]:
    data = output.encode("utf-8", "surrogateescape") if isinstance(output, str) else output
    return [(leak.name, leak.how) for leak in leaks(data, secrets or {"secret": SECRET})]


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
    assert found(output, first=SECRET, second=OTHER, third="of-another-run") == [
        ("first", "plain"),
        ("second", "backwards"),
    ]


#: A credential with a prefix that says what it is, as the released CLIs write them.
PREFIX = "sk-ant-oat01-"
TOKEN = PREFIX + BODY
HEADER = base64.urlsafe_b64encode(b'{"alg":"RS256","typ":"JWT","kid":"k"}').decode().rstrip("=")
PAYLOAD = base64.urlsafe_b64encode(b'{"exp":1795000000,"sub":"auth0|me"}').decode().rstrip("=")
JWT = f"{HEADER}.{PAYLOAD}.{BODY}"


@pytest.mark.parametrize(
    "output",
    [
        # Masked
        SECRET[:13] + "*" * (len(SECRET) - 13),
        SECRET[:6] + "…" + SECRET[-4:],
        SECRET[:14] + "\n[...]\n" + SECRET[-7:],
        BODY[:7] + "…" + BODY[-7:],
        BODY[5:12] + " " + BODY[20:27],
        # Another, or none
        SECRET.upper(),
        SECRET.lower(),
        OTHER,
        "sk-proj-",
        b64(SECRET.lower()).decode(),
        b64(SECRET).decode().lower(),
        # Less than counts, encoded
        b64(BODY[3:10]).decode(),
        b64(BODY[3:10], b"x").decode(),
        BODY[3:10].encode().hex(),
        BODY[3:11].encode().hex()[:-1],
        escaped(BODY[3:10]),
        quote(BODY[:7]),
        BODY[6::-1],
        # What is no part of it
        hashlib.sha256(SECRET.encode()).hexdigest(),
        base64.b64encode(hashlib.sha256(SECRET.encode()).digest()).decode(),
        "sha256:" + "0123456789abcdef" * 4,
        "expired at 2026-11-26T20:00:00Z (1795000000000)",
        "%" * 500,
        "\\" * 500,
        "\\u00",
        "\\u00zz",
    ],
)
def test_near_misses_and_masked_values_are_no_alarm(output: str) -> None:
    assert found(output) == []


@pytest.mark.parametrize(
    ("output", "said"),
    [
        (SECRET, "the credential {it} stands on stderr, plain"),
        (SECRET[:15], "the first 15 characters of the credential {it} stand on stderr, plain"),
        (SECRET[:-4], "the first 36 characters of the credential {it} stand on stderr, plain"),
        (SECRET[-8:], "the last 8 characters of the credential {it} stand on stderr, plain"),
        (
            SECRET[11:21],
            "10 characters of the credential {it}, from the 12th on, stand on stderr, plain",
        ),
        (
            SECRET[20:30][::-1],
            "10 characters of the credential {it}, from the 21st on, stand on stderr, backwards",
        ),
        (
            SECRET[-9:].encode().hex(":"),
            "the last 9 characters of the credential {it} stand on stderr, in hexadecimal split",
        ),
        (
            b64(SECRET[:20]).decode(),
            "the first 20 characters of the credential {it} stand on stderr, in base64",
        ),
        (
            b64(SECRET[12:20], b"x").decode(),
            "8 characters of the credential {it}, from the 13th on, stand on stderr, in base64",
        ),
        (
            percent(SECRET[-10:].encode()).decode(),
            "the last 10 characters of the credential {it} stand on stderr, percent-encoded",
        ),
        # The longest part
        (
            f"{SECRET[:16]}… {SECRET[-10:]} {SECRET[20:29]}",
            "the first 16 characters of the credential {it} stand on stderr, plain",
        ),
        # What comes next is no part of it, though it looks like one where white space is left out.
        (
            f"{SECRET[:16]} {SECRET[16:18]}",
            "the first 16 characters of the credential {it} stand on stderr, plain",
        ),
    ],
)
def test_a_part_is_named_by_its_place_and_length(output: str, said: str) -> None:
    (leak,) = leaks(f"it is {output}\n".encode(), {"{it}": SECRET})
    assert leak.describe("stderr") == said


@pytest.mark.parametrize(
    ("value", "output", "shown"),
    [
        # What everybody knows, alone, or with as much as masks show
        (TOKEN, PREFIX, 0),
        (TOKEN, f"{PREFIX}…{BODY[-4:]}", 0),
        (TOKEN, TOKEN[: len(PREFIX) + 4] + "…" + BODY[-4:], 0),
        (TOKEN, TOKEN[: len(PREFIX) + 6], 0),
        (TOKEN, b64(PREFIX).decode(), 0),
        # It counts as one character, so that twenty are a leak.
        (TOKEN, TOKEN[:20], 20),
        (TOKEN, b64(TOKEN[:20]).decode(), 20),
        (TOKEN, TOKEN[:-4], len(TOKEN) - 4),
        (TOKEN, BODY[:8], 8),
        ("sk-ant-api03-" + BODY, "sk-ant-api03-" + BODY[:6], 0),
        ("sk-proj-" + BODY, "sk-proj-" + BODY[:6], 0),
        ("sk-proj-" + BODY, "sk-proj-" + BODY[:7], 15),
        ("rt_" + BODY, "rt_" + BODY[:6], 0),
        ("rt_" + BODY, "rt_" + BODY[:8], 11),
        # Of a JSON Web Token the header is known; what its claims say is no part of it.
        (JWT, HEADER, 0),
        (JWT, HEADER + ".", 0),
        (JWT, JWT[: len(HEADER) + 4], 0),
        (JWT, '{"exp":1795000000,"sub":"auth0|me"}', 0),
        (JWT, "expires 1795000000, auth0|me", 0),
        (JWT, PAYLOAD, len(PAYLOAD)),
        (JWT, f"{HEADER}.{PAYLOAD}", len(HEADER) + 1 + len(PAYLOAD)),
        (JWT, BODY[-8:], 8),
    ],
)
def test_a_prefix_that_everybody_knows_counts_as_one_character(
    value: str, output: str, shown: int
) -> None:
    assert [leak.shown for leak in leaks(output.encode(), {"it": value})] == [shown] * bool(shown)


def test_what_is_a_part_of_two_credentials_is_told_of_the_one_that_shows_more() -> None:
    """Two tokens of a login may end alike, and both of them are named only where both stand."""
    other = f"{HEADER}.{PAYLOAD[::-1]}.{BODY}"
    secrets = {"one": JWT, "other": other}
    assert [leak.name for leak in leaks(JWT.encode(), secrets)] == ["one"]
    assert [leak.name for leak in leaks(f"{JWT} {other}".encode(), secrets)] == ["one", "other"]


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


PARTS = st.tuples(st.integers(0, len(BODY) - 8), st.integers(8, len(BODY))).map(
    lambda drawn: BODY[drawn[0] : drawn[0] + drawn[1]]
)
#: Characters that are in no writing of it, so that nothing beside a part can be taken for more of it.
FENCES = st.text("<>!|*.", max_size=8)


@unhurried
@given(before=SURROUNDINGS, after=SURROUNDINGS, write=st.sampled_from(WRITE), part=PARTS)
def test_eight_characters_in_a_row_are_found_between_any_bytes(
    before: bytes, after: bytes, write: Callable[[str], bytes], part: str
) -> None:
    (leak,) = leaks(before + write(part) + after, {"secret": SECRET})
    assert leak.shown >= len(part)


@unhurried
@given(
    before=SURROUNDINGS,
    after=SURROUNDINGS,
    part=PARTS,
    width=st.integers(4, 80),
    alphabet=st.sampled_from([b"+/", b"-_"]),
)
def test_eight_characters_in_a_row_are_found_in_base64_of_any_text(
    before: bytes, after: bytes, part: str, width: int, alphabet: bytes
) -> None:
    encoded = base64.b64encode(before + part.encode() + after, altchars=alphabet)
    (leak,) = leaks(b"> " + wrapped(encoded, width), {"secret": SECRET})
    # One line of it may be enough to tell.
    assert LEAST <= leak.shown > len(part) - LEAST


@unhurried
@given(before=FENCES, after=FENCES, write=st.sampled_from([*WRITE, b64]), part=PARTS)
def test_as_much_is_told_as_is_shown(
    before: str, after: str, write: Callable[[str], bytes], part: str
) -> None:
    (leak,) = leaks(before.encode() + write(part) + after.encode(), {"secret": SECRET})
    assert SECRET[leak.first : leak.first + leak.shown] == part


@unhurried
@given(
    before=FENCES,
    after=FENCES,
    write=st.sampled_from([*WRITE, b64]),
    start=st.integers(0, len(BODY)),
    length=st.integers(0, 7),
)
def test_seven_characters_in_a_row_are_no_alarm(
    before: str, after: str, write: Callable[[str], bytes], start: int, length: int
) -> None:
    part = BODY[start : start + length]
    assert found(before.encode() + write(part) + after.encode()) == []


@unhurried
@given(st.binary(max_size=400))
def test_random_output_is_no_alarm(output: bytes) -> None:
    assert found(output) == []


@unhurried
@given(
    st.text(string.ascii_letters + string.digits + "-", min_size=len(SECRET), max_size=len(SECRET))
)
def test_values_of_the_same_shape_are_no_alarm(output: str) -> None:
    assert found(f"sk-proj-{output} {b64(output).decode()}") == []


RANDOM = random.Random(1)
#: What a flood may consist of: escapes, parts of a credential that are too short, and ones that count.
FLOODS = {
    **{
        repr(unit): unit
        for unit in (b"\\", b"\n", b"%", b"\\u00", b"\\\\u004", b" :", b"a", b"%2", b"\0", b"\\n")
    },
    "four": BODY[:4].encode(),
    "seven": BODY[:7].encode() + b" ",
    "seven in hexadecimal": BODY[:7].encode().hex().encode() + b" ",
    "random": RANDOM.randbytes(2**18),
    "random base64": base64.b64encode(RANDOM.randbytes(2**18)),
    "random hexadecimal": RANDOM.randbytes(2**18).hex().encode(),
}


@pytest.mark.parametrize("unit", FLOODS.values(), ids=FLOODS)
@pytest.mark.slow
def test_no_output_takes_long(unit: bytes) -> None:
    """Time grows with the length only: for a whole stream of backslashes it was hours.

    This is all that is kept of a stream, and as many credentials as a home has; the processor's
    time does not depend on what else the machine does.
    """
    secrets = {"first": TOKEN, **{name: JWT[: -len(BODY)] + OTHER + name for name in "234"}}
    output = unit * (2**20 // len(unit))
    started = time.thread_time()
    assert leaks(output, secrets) == []
    assert time.thread_time() - started < 5


@pytest.mark.parametrize("part", [BODY[:20], TOKEN], ids=["a part", "all"])
@pytest.mark.slow
def test_no_flood_of_leaks_takes_long(part: str) -> None:
    started = time.thread_time()
    (leak,) = leaks(f"{part} ".encode() * (2**20 // len(part)), {"it": TOKEN})
    assert leak.shown == len(part)
    assert time.thread_time() - started < 5


def test_a_usual_line_costs_next_to_nothing() -> None:
    """It is looked at twice for each scenario, and a run has hundreds of them."""
    secrets = {"first": TOKEN, **{name: JWT[: -len(BODY)] + OTHER + name for name in "234"}}
    line = b"slot: nobody has logged in: all of ~/.claude came with the image\n"
    started = time.thread_time()
    for _ in range(20):
        assert leaks(line, secrets) == []
    assert time.thread_time() - started < 1
