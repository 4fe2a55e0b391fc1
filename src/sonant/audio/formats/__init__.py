"""Decoding of recordings in files: from a path, bytes or a file object to blocks of samples (samples, channels).

In the order in which a file passes through:

1. `sources`, `borrowed`, `id3`, `spliced`: a path, bytes or file object as a binary file without the tags in front of
   it; file objects of the caller's; tags; parts of a file read as one.
2. `decode`: looks at the beginning of the file, and decides which of the following it needs. `signatures` knows the
   first bytes of the formats.
3. What decoders get wrong is found before they begin. Uncompressed files: `headers`, `chunks`, `extent` (where the
   sound ends), `sizes` (of mp4 and others). Files that may hold several recordings, which a `layout` describes: `mp3`
   with `mpeg` (frames) and `mpeg_runs` (frames in a row), `ogg` with `ogg_pages`, `flac`, `adts`; they look at a file
   through `lookahead`.
4. `joined`, `libsndfile`, `ffmpeg`, `clock`, `matroska`: decoding, one recording behind another; the two decoders, as a
   `decoder`; lengths in the containers of FFmpeg.
"""
