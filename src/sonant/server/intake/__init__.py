"""Untrusted recordings: fetched from URLs, limited, and decoded in separate processes.

decoder.py    `AudioDecoder`: pool of decoding processes, which recordings use in fair turns
process.py    one decoding process, server side
worker.py     program of a decoding process
fetch.py      `Fetcher`: recordings from URLs on hosts that the operator allows
addresses.py  checks of hosts and IP addresses

Threats, and measures against them:

- size: `limits.audio_bytes`, before decoding;
- decoded size: `limits.audio_seconds` and `limits.decoded_bytes` (`sonant.audio.Ceiling`), by the header if it states
  the length, otherwise after each block;
- time: the process is killed and replaced after `limits.decode_seconds` of wall time in turns of the recording;
- credit, rates and room in the queue of the model: by the header, before decoding, if it states the length, otherwise
  as it is decoded; turns go round by account, so that long recordings of one hold up no other;
- memory: a limit for the process (RLIMIT_DATA on Linux);
- exploits and crashes of a codec: the process has no keys, database or environment variables of the server, and cannot
  write files or core dumps. It is not a sandbox: against hostile clients, run the server in a container or with
  systemd's hardening as well;
- other files or URLs: formats that refer to some (playlists, session descriptions) are not read
  (`sonant.audio.formats.ffmpeg`);

Processes end when the server does, since their socket is closed; one that hangs in a codec is ended by its alarm.
"""
