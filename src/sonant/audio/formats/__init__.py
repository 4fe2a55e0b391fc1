"""Decoding of audio files: from a path, bytes or a file object to blocks of samples (samples, channels).

The steps of decoding, in order:

1. `sources`, `file_objects`, `id3`, `spliced`: a path, bytes or file object as a binary file without leading tags; file
   objects of the caller; tags; pieces of a file read as one.
2. `decode`: chooses a decoder by the first bytes of the file. `signatures` knows the first bytes of the formats.
3. Errors that decoders do not report are detected before decoding. Uncompressed files: `headers`, `chunks`, `extent`
   (end of the samples), `sizes` (of mp4 and others). Files that may hold several recordings (`file_layout`): `mp3`
   with `mpeg` (frames) and `mpeg_runs` (frames in a row), `ogg` with `ogg_pages`, `flac`, `adts`; they look at a file
   through `lookahead`.
4. `concatenated`, `libsndfile`, `ffmpeg`, `clock`, `matroska`: decoding of consecutive recordings; the two decoders,
   with the interface of `decoder`; lengths in the containers of FFmpeg.
"""
