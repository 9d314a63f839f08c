from __future__ import annotations

import base64

import pytest

from protocol.errors import Malformed, ProtocolError, Unsupported
from protocol.rtsp import digest
from protocol.rtsp.digest import Challenge, Challenger

SECOND = 1_000_000_000
URL = "rtsp://cam.example.com/live"

# RFC 7616 §3.9.1
EXAMPLE = [
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"',
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"',
]
CNONCE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
# RFC 2617 §3.5
OLDER = (
    'Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
    'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
)
# RFC 2069 §2.4
OLDEST = (
    'Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", '
    'opaque="5ccc069c403ebaf9f0171e9517f40e41"'
)


@pytest.mark.parametrize(
    ("challenges", "response"),
    [
        (EXAMPLE, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        (EXAMPLE[::-1], "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ([", ".join(EXAMPLE)], "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        (EXAMPLE[1:], "8ca523f5e9506fed4657c9700eebdbec"),
    ],
)
def test_examples_of_rfc_7616(challenges: list[str], response: str) -> None:
    text = digest.answer(challenges, "Mufasa", "Circle of Life", "GET", "/dir/index.html", CNONCE, 1)
    (given,) = digest.parse([text])
    assert given.get("response") == response
    assert (
        given.parameters.items()
        >= {
            "username": "Mufasa",
            "realm": "http-auth@example.org",
            "uri": "/dir/index.html",
            "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            "nc": "00000001",
            "cnonce": CNONCE,
            "qop": "auth",
            "opaque": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
        }.items()
    )
    assert ", qop=auth, nc=00000001" in text, "neither is quoted (§3.4)"


def test_example_of_rfc_2617() -> None:
    text = digest.answer([OLDER], "Mufasa", "Circle Of Life", "GET", "/dir/index.html", "0a4f113b", 1)
    assert 'response="6629fae49393a05397450978507c4ef1"' in text
    assert "algorithm" not in text, "it was not asked for"


def test_example_of_rfc_2069() -> None:
    # as in the erratum; the RFC prints another response
    text = digest.answer([OLDEST], "Mufasa", "CircleOfLife", "GET", "/dir/index.html", "0a4f113b", 1)
    assert 'response="1949323746fe6a43ef61f9606e7febea"' in text
    assert "cnonce" not in text


def test_several_challenges_in_one_header_and_in_more() -> None:
    values = ['Basic realm="a, b=c", Digest realm = "x" ,nonce="1",stale=TRUE,qop=auth, NTLM', 'DIGEST nonce="2"', ""]
    assert digest.parse(values) == [
        Challenge("basic", {"realm": "a, b=c"}),
        Challenge("digest", {"realm": "x", "nonce": "1", "stale": "TRUE", "qop": "auth"}),
        Challenge("ntlm"),
        Challenge("digest", {"nonce": "2"}),
    ]
    assert [challenge.stale for challenge in digest.parse(values)] == [False, True, False, False]


def test_basic_only_where_tls_hides_it() -> None:
    offers = ['Basic realm="cam"']
    # RFC 7617 §2
    assert digest.answer(offers, "Aladdin", "open sesame", "GET", "/", "", 1, allow_basic=True) == (
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
    )
    with pytest.raises(Unsupported, match="basic_without_tls"):
        digest.answer(offers, "Aladdin", "open sesame", "GET", "/", "", 1)
    both = [*offers, OLDER]
    assert digest.answer(both, "u", "p", "GET", "/", "c", 1, allow_basic=True).startswith("Digest ")


@pytest.mark.parametrize("offer", ["", "Negotiate", 'Digest algorithm=SHA-1, nonce="x"', 'Digest qop="auth-int"'])
def test_nothing_that_can_be_answered(offer: str) -> None:
    with pytest.raises(Unsupported, match="authentication"):
        digest.answer([offer], "u", "p", "GET", "/", "c", 1)


def guard() -> Challenger:
    return Challenger("Steadycast", {"ann": "secret", 'b"ob': "pass:wörd"})


def ask(challenger: Challenger, now: int, only: str = "", **more: str) -> list[str]:
    return [text for text in challenger.challenges(now, **more) if only in text]  # type: ignore[arg-type]


@pytest.mark.parametrize("only", ["", "SHA-256", "MD5"])
@pytest.mark.parametrize(("user", "password"), [("ann", "secret"), ('b"ob', "pass:wörd")])
def test_the_right_password_comes_in(only: str, user: str, password: str) -> None:
    challenger = guard()
    offers = ask(challenger, 0, only)
    for nc in (1, 2, 7):
        text = digest.answer(offers, user, password, "DESCRIBE", URL, "c", nc)
        assert challenger.check(text, "DESCRIBE", 299 * SECOND) == user


def test_old_programs_without_qop_come_in() -> None:
    challenger = guard()
    offers = [text.replace('qop="auth"', "x=y").replace(", algorithm=MD5", "") for text in ask(challenger, 5, "MD5")]
    for method in ("DESCRIBE", "SETUP"):
        text = digest.answer(offers, "ann", "secret", method, URL, "", 1)
        assert "qop" not in text
        assert challenger.check(text, method, 10) == "ann"


@pytest.mark.parametrize(("user", "password"), [("ann", "Secret"), ("ann", ""), ("eve", "secret"), ("", "")])
def test_the_wrong_password_does_not(user: str, password: str) -> None:
    challenger = guard()
    text = digest.answer(ask(challenger, 0), user, password, "DESCRIBE", URL, "c", 1)
    with pytest.raises(digest.Refused, match="wrong_password"):
        challenger.check(text, "DESCRIBE", 0)


def test_an_answer_serves_its_method_alone() -> None:
    challenger = guard()
    text = digest.answer(ask(challenger, 0), "ann", "secret", "DESCRIBE", URL, "c", 1)
    with pytest.raises(digest.Refused, match="wrong_password"):
        challenger.check(text, "PLAY", 0)


@pytest.mark.parametrize(("uri", "taken"), [(URL, True), (f"{URL}/track1", True), ("rtsp://cam.example.com/x", False)])
def test_an_answer_serves_its_url_alone(uri: str, taken: bool) -> None:
    challenger = guard()
    text = digest.answer(ask(challenger, 0), "ann", "secret", "SETUP", URL, "c", 1)
    if taken:
        assert challenger.check(text, "SETUP", 0, uri=uri) == "ann"
    else:
        with pytest.raises(digest.Refused, match="another URL"):
            challenger.check(text, "SETUP", 0, uri=uri)


def test_an_old_nonce_is_stale() -> None:
    challenger = guard()
    text = digest.answer(ask(challenger, 0), "ann", "secret", "DESCRIBE", URL, "c", 1)
    with pytest.raises(digest.Refused) as caught:
        challenger.check(text, "DESCRIBE", 301 * SECOND)
    assert caught.value.reason == "stale_nonce"
    again = challenger.challenges(301 * SECOND, stale=True)
    assert all(challenge.stale for challenge in digest.parse(again))
    text = digest.answer(again, "ann", "secret", "DESCRIBE", URL, "c", 1)
    assert challenger.check(text, "DESCRIBE", 301 * SECOND) == "ann"


@pytest.mark.parametrize("nc", [1, 4, 5])
def test_a_count_never_goes_back(nc: int) -> None:
    challenger = guard()
    offers = ask(challenger, 0)
    challenger.check(digest.answer(offers, "ann", "secret", "PLAY", URL, "c", 5), "PLAY", 0)
    with pytest.raises(digest.Refused, match="stale_nonce"):
        challenger.check(digest.answer(offers, "ann", "secret", "PLAY", URL, "c", nc), "PLAY", 0)


def test_counts_that_are_forgotten_are_stale() -> None:
    challenger = guard()
    first = ask(challenger, 0)
    challenger.check(digest.answer(first, "ann", "secret", "PLAY", URL, "c", 1), "PLAY", 0)
    for now in range(1, 4200):
        offers = ask(challenger, now)
        challenger.check(digest.answer(offers, "ann", "secret", "PLAY", URL, "c", 1), "PLAY", now)
    with pytest.raises(digest.Refused, match="stale_nonce"):
        challenger.check(digest.answer(first, "ann", "secret", "PLAY", URL, "c", 1), "PLAY", 5000)


def test_nonces_of_others_are_stale() -> None:
    text = digest.answer(ask(guard(), 0), "ann", "secret", "PLAY", URL, "c", 1)
    with pytest.raises(digest.Refused, match="stale_nonce"):
        guard().check(text, "PLAY", 0)
    challenger = guard()
    text = digest.answer(ask(challenger, 0, peer="192.0.2.1"), "ann", "secret", "PLAY", URL, "c", 1)
    with pytest.raises(digest.Refused, match="stale_nonce"):
        challenger.check(text, "PLAY", 0, peer="192.0.2.2")
    assert challenger.check(text, "PLAY", 0, peer="192.0.2.1") == "ann"


def test_no_two_nonces_are_alike() -> None:
    challenger = guard()
    assert len({challenge.get("nonce") for _ in range(50) for challenge in digest.parse(ask(challenger, 7))}) == 50


def test_what_is_offered() -> None:
    assert [challenge.algorithm for challenge in digest.parse(guard().challenges(0))] == ["SHA-256", "MD5"]
    assert [challenge.scheme for challenge in digest.parse(guard().challenges(0, tls=True))].count("basic") == 1


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_basic_at_the_server() -> None:
    challenger = guard()
    assert challenger.check(basic("ann:secret"), "PLAY", 0, tls=True) == "ann"
    assert challenger.check(basic('b"ob:pass:wörd'), "PLAY", 0, tls=True) == 'b"ob'
    for text in ("ann:x", "eve:secret", "ann", ":"):
        with pytest.raises(digest.Refused, match="wrong_password"):
            challenger.check(basic(text), "PLAY", 0, tls=True)
    with pytest.raises(digest.Refused, match="basic_without_tls"):
        challenger.check(basic("ann:secret"), "PLAY", 0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Digest",
        "Bearer x",
        "Basic",
        "Basic !",
        "Basic /w==",
        "Digest a=b, Digest c=d",
        'Digest username="ann", realm="Steadycast", nonce="x", uri="/", response="y", qop=auth, nc=x, cnonce="c"',
        'Digest username="ann", realm="Steadycast", nonce="x", uri="/", response="ü"',
        'Digest username="ann", realm="else", nonce="x", uri="/", response="y"',
        'Digest username="ann", realm="Steadycast", algorithm=SHA-1',
        'Digest username="ann", realm="Steadycast", qop=auth-int',
    ],
)
def test_what_is_no_answer(text: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        guard().check(text, "PLAY", 0, tls=True)
    assert isinstance(caught.value, Malformed | digest.Refused)


def test_passwords_are_not_shown() -> None:
    assert "secret" not in repr(digest.parse(['Digest response="secret"']))
