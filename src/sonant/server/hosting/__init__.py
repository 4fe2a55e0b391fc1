"""Loaded models, and the queue that batches recordings of different requests.

pool.py          all models of the server: loading, unloading, lookup by id
sources.py       id and origin of a model
served_model.py  interface of a model, for routes
local_model.py   a model in this process
remote_model.py  a model in replicas on Ray Serve
live_words.py    words reported before the rest of a recording is computed
batcher.py       queue and batches of a model
calls.py         recordings of a call, and the future of their results
devices.py       compute threads of each device, shared by all models; measured throughput
memory.py        release of memory to the operating system
"""
