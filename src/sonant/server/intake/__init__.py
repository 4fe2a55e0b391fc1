"""Untrusted recordings: fetched, capped, decoded in processes of their own.

decoder.py    `AudioDecoder`: bytes in, a waveform or a clear refusal out; the processes, and who waits for them
process.py    one such process as the server sees it: started, asked, ended
worker.py     the same process from inside: what it decodes with, what it may take
fetch.py      `Fetcher`: recordings from addresses, if the operator of the server has named the hosts
addresses.py  which hosts, and which addresses, those may be

What a recording is kept from doing, and by what:

- being too large: `limits.audio_bytes`, before it reaches a decoder;
- decoding to too much: `limits.audio_seconds` and `limits.decoded_bytes` (`sonant.audio.Ceiling`), at once where its
  header says so, else block by block;
- taking too long: `limits.decode_seconds` of wall time, then the process is killed and another takes its place;
- taking too much memory: a bound on the process's own (RLIMIT_DATA on Linux), well below what a server has;
- breaking a codec: a crash ends a process that holds nothing but this recording; it has no keys, no database, no
  variables of the server, leaves no core and writes no files. It is not a sandbox: where clients may be hostile, give
  the server a container or systemd's hardening besides;
- opening other files or addresses: formats that name such (playlists, session descriptions) are not read at all
  (`sonant.audio.formats.decode`);
- filling the queue: recordings that wait are bounded by `limits.in_flight_bytes`; more are refused with 429.

When the server ends, however it ends, the processes find their socket closed and end too; one that is lost in a
recording then is ended by its own alarm.
"""
