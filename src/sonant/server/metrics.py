"""Metrics for Prometheus, with a bounded number of labels: models, endpoints, stages and codes."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


class Metrics:
    """The figures of one server.

    Attributes:
        registry: of this server, so that several servers in one process do not mix.
        requests: number, by endpoint and status.
        request_seconds: from the first byte to the last, by endpoint.
        stage_seconds: duration of a stage (receive, decode, queue, forward, respond), by stage and model.
        audio_seconds: processed, by model and endpoint.
        tokens: processed, by model and endpoint.
        errors: by code.
        queue_seconds: seconds of audio in the queue, by model.
        batch_fill: filled fraction of the budget of a batch, by model.
        in_flight: number of running requests.
        in_flight_bytes: size of their bodies, decoded recordings and answers.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Counter("sonant_requests", "Requests answered.", ["endpoint", "status"], registry=registry)
        self.request_seconds = Histogram(
            "sonant_request_seconds", "Seconds per request.", ["endpoint"], buckets=SECONDS, registry=registry
        )
        self.stage_seconds = Histogram(
            "sonant_stage_seconds", "Seconds per stage.", ["stage", "model"], buckets=SECONDS, registry=registry
        )
        self.audio_seconds = Counter(
            "sonant_audio_seconds", "Seconds of audio served.", ["model", "endpoint"], registry=registry
        )
        self.tokens = Counter("sonant_tokens", "Frames served.", ["model", "endpoint"], registry=registry)
        self.errors = Counter("sonant_errors", "Errors answered.", ["code"], registry=registry)
        self.queue_seconds = Gauge("sonant_queue_seconds", "Seconds of audio that wait.", ["model"], registry=registry)
        self.batch_fill = Histogram(
            "sonant_batch_fill", "Part of a batch that was filled.", ["model"], buckets=SHARES, registry=registry
        )
        self.in_flight = Gauge("sonant_in_flight_requests", "Requests being worked on.", registry=registry)
        self.in_flight_bytes = Gauge("sonant_in_flight_bytes", "Bytes that they hold.", registry=registry)
