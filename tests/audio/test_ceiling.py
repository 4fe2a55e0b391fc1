"""What decodes to too much is refused before it is decoded, or as soon as it is too much."""

import io

import numpy as np
import pytest
import soundfile

from sonant import audio
from sonant.audio import Ceiling
from sonant.errors import OversizedAudio, UndecodableAudio

ROOMY = Ceiling(seconds=3600, decoded_bytes=1 << 30)


@pytest.fixture(scope="module")
def silence():
    """Ten minutes of it in a few kilobytes."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(16000 * 600, np.int16), 16000, format="FLAC")
    return file.getvalue()


def forget_length(flac):
    """The same stream, its header saying that the length is unknown."""
    data = bytearray(flac)
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    return bytes(data)


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_a_recording_below_the_ceiling_is_untouched(encode, speechlike, kind, rate):
    data = encode(speechlike(2.0, rate, 2), rate, kind)
    free, guarded = (np.concatenate(list(audio.blocks(data, ceiling=ceiling))) for ceiling in (None, ROOMY))
    np.testing.assert_array_equal(guarded, free)


@pytest.mark.parametrize("knows_its_length", [True, False])
def test_too_many_seconds(silence, knows_its_length):
    data = silence if knows_its_length else forget_length(silence)
    assert sum(map(len, audio.blocks(data, ceiling=ROOMY))) == 600 * 16000
    given = []
    with pytest.raises(OversizedAudio, match="at most 60 s"):
        given.extend(map(len, audio.blocks(data, ceiling=Ceiling(seconds=60, decoded_bytes=1 << 30))))
    assert sum(given) <= (0 if knows_its_length else 60 * 16000)


def test_bytes_count_every_channel(encode, speechlike):
    data = encode(speechlike(1.0, 16000, 8), 16000, "wav")
    size = 4 * 8 * 16000
    assert sum(map(len, audio.blocks(data, ceiling=Ceiling(seconds=60, decoded_bytes=size)))) == 16000
    with pytest.raises(OversizedAudio, match="8 channels"):
        list(audio.blocks(data, ceiling=Ceiling(seconds=60, decoded_bytes=size - 1)))


def test_a_film_that_lasts_too_long(encode_av, speechlike):
    data = encode_av(speechlike(3.0)[:, 0], 16000, "mp4", "aac")
    with pytest.raises(OversizedAudio, match="promises 3"):
        list(audio.blocks(data, ceiling=Ceiling(seconds=2, decoded_bytes=1 << 30)))


@pytest.mark.parametrize(
    "text",
    [
        "v=0\no=- 0 0 IN IP4 ::\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 0 RTP/AVP 97\na=rtpmap:97 L16/16000/1\n",
        "ffconcat version 1.0\nfile {path}\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:3,\n{path}\n#EXT-X-ENDLIST\n",
    ],
    ids=["sdp", "concat", "hls"],
)
def test_a_file_cannot_name_others_to_be_opened(tmp_path, encode, speechlike, text):
    path = tmp_path / "other.wav"
    path.write_bytes(encode(speechlike(1.0), 16000, "wav"))
    with pytest.raises(UndecodableAudio, match="not audio"):
        audio.read(text.format(path=path).encode())


def test_pictures_are_not_decoded(monkeypatch):
    """They would be, if only to learn their size: a film can claim pictures of a gigabyte each."""
    av = pytest.importorskip("av")
    file = io.BytesIO()
    with av.open(file, "w", format="avi") as output:
        pictures, sound = output.add_stream("mjpeg", rate=10), output.add_stream("mp2", rate=16000, layout="mono")
        pictures.width = pictures.height = 64
        pictures.pix_fmt = "yuvj420p"
        for number in range(10):
            picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            frame = av.AudioFrame.from_ndarray(np.full((1, 1152), 0.1, np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, 1152 * number
            output.mux([*pictures.encode(picture), *sound.encode(frame)])
        output.mux([*pictures.encode(None), *sound.encode(None)])
    film, learned, opened = file.getvalue(), [], av.open

    def watched(*given, **named):
        container = opened(*given, **named)
        learned.append(container.streams.video[0].codec_context.pix_fmt)
        return container

    monkeypatch.setattr(av, "open", watched)
    av.open(io.BytesIO(film)).close()
    assert len(audio.read(film)) == 11520
    assert learned == ["yuvj420p", None]
