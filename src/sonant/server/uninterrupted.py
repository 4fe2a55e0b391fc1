"""Work that is not left half done when its request is cancelled."""

import asyncio
from typing import TypeVar

T = TypeVar("T")


async def to_the_end(future: "asyncio.Future[T]") -> T:
    """Await work that must not be interrupted: a cancellation takes effect when it has ended."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        future.exception()  # retrieve the exception, or asyncio would log it
        raise cancelled
    return future.result()
