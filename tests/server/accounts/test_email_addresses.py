"""An address has one form, and what looks like it is none."""

import pytest

from sonant.server.accounts.email_addresses import known_form, mailbox, normalized
from sonant.server.errors import ApiError


@pytest.mark.parametrize(
    ("given", "form"),
    [
        (" Ada@Example.ORG ", "ada@example.org"),
        ("ａｄａ@ｅｘａｍｐｌｅ．ｏｒｇ", "ada@example.org"),  # wide letters
        ("o'neil+tag_1-x@sub.example.co.uk", "o'neil+tag_1-x@sub.example.co.uk"),
        ("ada@Bücher.de", "ada@xn--bcher-kva.de"),
        ("ada@XN--bcher-kva.de", "ada@xn--bcher-kva.de"),
        ("ada@bu\u0308cher.de", "ada@xn--bcher-kva.de"),  # the dots by themselves
        ("ada@straße.de", "ada@xn--strae-oqa.de"),  # another domain than strasse.de
        ("STRASSE@example.org", "strasse@example.org"),
        ("Straße@example.org", "strasse@example.org"),
        ("rené@example.org", "rené@example.org"),
        ("rene\u0301@example.org", "rené@example.org"),
        ("nguyễn@example.org", "nguyễn@example.org"),
        ("иван@почта.рф", "иван@xn--80a1acny.xn--p1ai"),
        ("田中taro@example.jp", "田中taro@example.jp"),
        ("ёлка.5@example.org", "ёлка.5@example.org"),
        ("admin@localhost", "admin@localhost"),
    ],
)
def test_what_is_the_same_has_one_form(given: str, form: str) -> None:
    assert normalized(given) == form
    assert normalized(form) == form
    assert known_form(given) == form


@pytest.mark.parametrize(
    "letter",
    "\u0000\u0007\u00ad\u034f\u061c\u115f\u180e\u200b\u200d\u200e\u202e\u2060\u2066\u3164"
    "\ufe0f\ufeff\ue000\U000e0041\U000e0100\ud800",
)
def test_letters_that_are_not_seen_are_refused_and_named(letter: str) -> None:
    for given in (f"ad{letter}a@example.org", f"{letter}ada@example.org"):
        with pytest.raises(ApiError, match="invalid_email|U\\+|no e-mail address") as refusal:
            normalized(given)
        assert refusal.value.code == "invalid_email"
        assert refusal.value.message.isprintable()


@pytest.mark.parametrize(
    "given",
    [
        "\u0430da@example.org",  # a Cyrillic a
        "ad\u03b1@example.org",  # an alpha
        "\u0430\u0441\u0435@example.org",  # Cyrillic alone, which reads ace
        "\u03bf\u03bd@example.org",
        "\u0251da@example.org",  # Latin letters of phoneticians
        "ad\u0131@example.org",
        "\u0131da@example.org",
        "\u13aadmin@example.org",  # Cherokee
        "иvan@example.org",
    ],
)
def test_letters_that_look_like_others_are_refused(given: str) -> None:
    with pytest.raises(ApiError, match="look like others"):
        normalized(given)


@pytest.mark.parametrize(
    "given",
    [
        *("", "@", "ada", "ada@", "@example.org", "a da@example.org", "ada@@example.org", "a@b@example.org"),
        *(
            "ada@example",
            "ada@example..org",
            "ada@-example.org",
            "ada@example.org.",
            "ada@127.0.0.1",
            "ada@exa_mple.org",
        ),
        *('"a b"@example.org', "ada@[127.0.0.1]", "<ada@example.org>", "ada,bob@example.org", "ada@ex ample.org"),
        *("x" * 65 + "@example.org", "ada@" + "x" * 64 + ".org", "ada@" + "x.example." * 30 + "org", "☃@example.org"),
        *("ada@xn--a.org", "ada@\u200bexample.org\u0000", "ad\u2028a@example.org", "a" * 10_000_000),
    ],
)
def test_what_is_no_address(given: str) -> None:
    with pytest.raises(ApiError) as refusal:
        normalized(given)
    assert refusal.value.code == "invalid_email"
    assert len(refusal.value.message) < 1500


def test_an_account_of_an_earlier_version_is_found_by_its_own_form() -> None:
    assert known_form(" \u0430DA@example.org") == "\u0430da@example.org"


@pytest.mark.parametrize(
    ("email", "same"),
    [
        ("ada+tag@example.org", "ada@example.org"),
        ("a.d.a+x+y@googlemail.com", "ada@gmail.com"),
        ("a.d.a@example.org", "a.d.a@example.org"),
        ("+tag@example.org", "+tag@example.org"),
    ],
)
def test_addresses_of_one_mailbox(email: str, same: str) -> None:
    assert mailbox(email) == mailbox(same) == same
