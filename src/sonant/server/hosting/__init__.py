"""Models in memory, and the queue that packs many callers' audio into one forward pass.

pool.py          every model of the server: loaded, unloaded, found by its id
sources.py       what a model is called, by what names where it lies
served_model.py  one model: what it is and can do, asked for by routes
local_model.py   one in the memory of this process
remote_model.py  one in replicas of its own, on Ray Serve
live_words.py    words told while the rest of a recording is still computed
batcher.py       the queue before a model, and the steps that empty it
orders.py        what a call waits for: its recordings, cut into pieces that a pass can take in
fairness.py      whose turn it is
admission.py     how much may wait
devices.py       lanes on each device, which all models take in turn; how fast a model is there
memory.py        memory given back to the system
"""
