"""Resources that accounts share: turns, and room in a queue.

A share is the name of an account (`Caller.share`), whatever the number of its keys and connections.

fair_queue.py  `FairQueue`: whose turn is next
turns.py       `FairTurns`: a number of places, whose waiters are served by a fair queue
room.py        `SharedRoom`: how much of a limited room each share may take
"""
