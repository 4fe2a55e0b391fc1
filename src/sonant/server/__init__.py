"""The HTTP server: an OpenAI-compatible API for speech models, with accounts and a web catalog.

run.py             a process that serves, and drains before it stops; ray_serve.py: the same on many machines
app.py             puts it together: settings in, an ASGI application out
settings.py        everything that can be set, with its default
errors.py          every error in OpenAI's shape
services.py        the objects that the routes work with
authentication.py  the sender of a request, and the scopes
metrics.py         the metrics for Prometheus
intake/            recordings from strangers: fetched, capped, decoded in processes of their own
hosting/           models in memory, and the queue that packs many callers' audio into one forward pass
routes/            one file a resource of the API
accounts/          users, keys, credit, usage: the database
web/               the catalog, the playground and the account pages
operations/        limits on what comes in, request ids, health, logs
"""
