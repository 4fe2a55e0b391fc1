"""E-mail addresses in one form each, so that one address, or one that looks like it, is no second account."""

import re
import unicodedata

import idna

from sonant.server.errors import ApiError

LONGEST, LONGEST_LOCAL_PART = 254, 64  # RFC 5321
LOCAL_PART = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+")  # RFC 5322, unquoted
LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DOMAIN = re.compile(rf"localhost|({LABEL}\.)+(?=[a-z]){LABEL}")
# Letters and marks that are drawn as nothing (Unicode's Default_Ignorable_Code_Point); the others are no letters.
INVISIBLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
# Latin letters of living languages, without those that look like i and k.
LATIN = re.compile("[a-z\u00df-\u0130\u0132-\u0137\u0139-\u017f\u01a1\u01b0\u0219\u021b\u1e00-\u1eff]")
EAST_ASIAN = {"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO"}
LOOK_LATIN = set("асԁеһіјӏорԛѕԝхуьҽпгѵѡαικνρυωηοτ")  # Cyrillic and Greek, as browsers list them for domains
GMAIL = {"gmail.com", "googlemail.com"}


def normalized(email: str) -> str:
    """Return the form of an e-mail address that it shares with all that are the same: NFKC, lower case, ASCII domain.

    Raises ApiError 400: it is no address, or its letters are invisible or look like others: of several scripts, or a
    word in another script that reads as a Latin one.
    """
    given = email
    email = unicodedata.normalize("NFKC", email[: 4 * LONGEST]).strip()
    local, _, domain = email.rpartition("@")
    local = unicodedata.normalize("NFKC", local.casefold())
    kept = f"{local}@{_ascii(domain)}"
    if len(kept) > LONGEST or not 1 <= len(local) <= LONGEST_LOCAL_PART or not DOMAIN.fullmatch(_ascii(domain)):
        raise invalid_email(given)
    if not LOCAL_PART.fullmatch(local):
        _check_letters(local, given)
    return kept


def known_form(email: str) -> str:
    """Return the form in which an account may have an address, if any: earlier versions took some that are refused."""
    try:
        return normalized(email)
    except ApiError:
        return unicodedata.normalize("NFKC", email[: 4 * LONGEST]).strip().casefold()[:LONGEST]


def mailbox(email: str) -> str:
    """Return what a normalized address has in common with others of the same mailbox, such as name+tag@example.org."""
    local, _, domain = email.rpartition("@")
    local = local.partition("+")[0] or local
    return f"{local.replace('.', '')}@gmail.com" if domain in GMAIL else f"{local}@{domain}"


def invalid_email(given: str, reason: str = "it is no e-mail address") -> ApiError:
    message = f"{given[:100]!r}: {reason}; expected one such as you@example.org."
    return ApiError(400, "invalid_email", message, param="email")


def _ascii(domain: str) -> str:
    """Return a domain in ASCII, with punycode; "" if it is none."""
    if domain.isascii() and "xn--" not in domain.lower():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        return ""


def _check_letters(local: str, given: str) -> None:
    """Check a local part that is not ASCII. Raises ApiError 400."""
    letters = [letter for letter in local if not LOCAL_PART.fullmatch(letter) or letter.isalpha()]
    for letter in letters:
        if unicodedata.category(letter)[0] not in "LMN" or INVISIBLE.match(letter):
            name = unicodedata.name(letter, "a control character")
            raise invalid_email(given, f"an address cannot hold U+{ord(letter):04X} ({name.lower()})")
    scripts = {unicodedata.name(letter, "").partition(" ")[0] for letter in letters if letter.isalpha()}
    mixed = len(scripts) > 1 and not scripts <= {"LATIN"} | EAST_ASIAN
    odd = any("LATIN" in unicodedata.name(letter, "") and not LATIN.match(letter) for letter in letters)
    if mixed or odd or all(letter in LOOK_LATIN for letter in letters if letter.isalpha()):
        raise invalid_email(given, "its letters look like others, so it may be taken for another address")
