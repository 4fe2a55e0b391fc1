"""Models in memory, and the queue that packs many callers' audio into one forward pass.

pool.py          every model of the server: loaded, unloaded, found by its id
sources.py       the id of a model, from where it is loaded
served_model.py  one model: what it is and can do, asked for by routes
local_model.py   one in the memory of this process
remote_model.py  one in replicas of its own, on Ray Serve
live_words.py    words reported while the rest of a recording is still computed
batcher.py       the queue before a model, and the steps that empty it
calls.py         the recordings of a call, and the future of their results
fairness.py      fair queueing among callers
admission.py     how much audio may wait
devices.py       lanes on each device, which all models take in turn; how fast a model is there
memory.py        memory given back to the system
"""
