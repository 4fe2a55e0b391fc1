"""Resources that accounts share: turns, room in a queue, slots and memory for requests.

A share is the name of an account (`Caller.share`), whatever the number of its keys and connections.

fair_queue.py  `FairQueue`: whose turn is next
turns.py       `FairTurns`: a number of places, whose waiters are served by a fair queue
lines.py       `Lines`: places by name
room.py        `SharedRoom`: how much of a limited room each share may take
budget.py      `Budget`: amounts that are shared in several ways, such as by network and by account
workload.py    `Workload`: slots and bytes of requests
"""
