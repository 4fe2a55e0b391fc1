"""First bytes of audio files, by which the bytes of a file are told from samples of eight bits."""

import io

from sonant.audio.formats.mpeg_runs import first_frame

REACH = 1 << 14  # bytes: some frames of an MP3

_BEGINNINGS = (
    *(b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM", b"caff", b".snd", b"OggS", b"fLaC", b"NIST", b"wvpk"),
    *(
        b"ID3\x02",
        b"ID3\x03",
        b"ID3\x04",
        b"APETAGEX",
        b"\x1aE\xdf\xa3",
        b"0&\xb2u",
        b"#!AM",
        b"ADIF",
        b"MAC ",
        b"TTA1",
    ),
)


# Of containers that may hold frames of an MP3, and are no audio files of 8 bits to be told from samples.
_FILMS = (b"FLV", b"\0\0\1\xba", b".RMF", b"ea3", b"nut/")
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"moof", b"styp")


def is_container(head: bytes) -> bool:
    """Return whether these bytes (`REACH` of them, or all) begin a format that may contain frames of an MP3."""
    is_stream = len(head) > 376 and not head[:377:188].strip(b"G")  # MPEG-TS
    return is_stream or head.startswith(_BEGINNINGS + _FILMS) or head[4:8] in _BOXES


def is_audio_file(head: bytes) -> bool:
    """Return whether a file that begins with these bytes (`REACH` of them, or all) is audio in a known container."""
    if head.startswith(_BEGINNINGS) or head[4:8] == b"ftyp":
        return True
    return head[:1] == b"\xff" and (_is_adts(head) or first_frame(io.BytesIO(head), len(head)) is not None)


def _is_adts(head: bytes) -> bool:
    """Return whether two AAC frames follow each other: a sync word of 12 bits, layer 0, and a length of 13 bits."""
    if len(head) < 6 or head[1] & 0xF6 != 0xF0:
        return False
    following = (head[3] & 0x03) << 11 | head[4] << 3 | head[5] >> 5
    return head[following : following + 1] == b"\xff" and head[following + 1 : following + 2] == head[1:2]
