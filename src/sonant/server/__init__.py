"""The HTTP server: an OpenAI-compatible API for speech models, with accounts and a web catalog.

run.py             the server process, with graceful shutdown; ray_serve.py: the same on several machines
app.py             the ASGI application, made from settings
settings.py        all settings, with defaults
errors.py          errors in the format of OpenAI
services.py        the objects that the routes work with
authentication.py  the caller of a request, and scopes
metrics.py         metrics for Prometheus
networks.py        which addresses count as one client, and which proxies are trusted
intake/            Untrusted recordings: fetched, capped, decoded in processes of their own
sharing/           turns and room, which accounts share
hosting/           loaded models, and the queue that packs audio of many callers into one forward pass
routes/            the API, one file for each resource
accounts/          users, keys, credit, usage: the database
web/               the catalog, the playground and the account pages
operations/        request limits, request ids, health, logs
"""
