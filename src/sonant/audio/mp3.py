"""The length of an MP3 without a length header, from the headers of its frames (ISO 11172-3, 2.4.1.3 and 2.4.2.3)."""

from typing import BinaryIO

# kbit/s by (MPEG 1 or not, layer); index 0 is "free" and 15 forbidden, both None here.
_LOW = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_BITRATES = {
    (True, 1): tuple(range(32, 449, 32)),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): _LOW,
    (False, 3): _LOW,
}
_RATES_BY_VERSION = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # 1, 2, 2.5
_CHUNK = 1 << 20


def mp3_lacks_length(file: BinaryIO) -> bool:
    """Whether this is an MP3 whose first frame holds no length header (Xing, Info, VBRI): decoders then guess it."""
    file.seek(0)
    head = file.read(4096)
    parsed = _frame(head[:4]) if len(head) > 4 else None
    return parsed is not None and not any(tag in head[: parsed[0]] for tag in (b"Xing", b"Info", b"VBRI"))


def count_mp3_samples(file: BinaryIO) -> int:
    """Samples per channel, by walking from frame to frame; bytes between frames are passed over."""
    file.seek(0)
    data, at, total, frame_bytes = b"", 0, 0, 4
    while True:
        if at + frame_bytes > len(data):
            more = file.read(_CHUNK)
            if not more:
                return total  # decoders drop a last frame that was cut
            data, at = data[at:] + more, 0
            continue
        parsed = _frame(data[at : at + 4])
        if parsed is None:
            following = data.find(b"\xff", at + 1)
            at, frame_bytes = (len(data) if following < 0 else following), 4
        elif at + parsed[0] > len(data):
            frame_bytes = parsed[0]
        else:
            at, frame_bytes = at + parsed[0], 4
            total += parsed[1]


def _frame(head: bytes) -> tuple[int, int] | None:
    """(bytes, samples) of the frame that these four bytes begin; None if they begin none."""
    if head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bitrate_index, rate_index, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate_index in (0, 15) or rate_index == 3:
        return None
    rate = _RATES_BY_VERSION[version][rate_index]
    bits = 1000 * _BITRATES[version == 3, layer][bitrate_index - 1]
    if layer == 1:
        return (12 * bits // rate + padding) * 4, 384
    samples = 576 if layer == 3 and version != 3 else 1152
    return samples // 8 * bits // rate + padding, samples
