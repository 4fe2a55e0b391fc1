"""A server that enrolls voices as fast as it can until it is killed; prints a line for each that is enrolled."""

import asyncio
import sys
from pathlib import Path

import numpy as np

from sonant.extraction.voice_samples import VoiceSample
from sonant.server.accounts.accounts import Accounts
from sonant.server.accounts.voices import VoiceOwner
from sonant.server.settings import ServerSettings


async def main(data: str, database: str, user_id: str) -> None:
    owner = VoiceOwner(int(user_id), "model", "weights")
    draw = np.random.default_rng()
    async with Accounts(ServerSettings(data=Path(data), database=database or None)) as accounts:

        async def one(number: int) -> None:
            for _ in range(20):
                sample = VoiceSample(draw.normal(size=256).astype(np.float32), 3.0, None)
                await accounts.voices.add(owner, f"person {number % 3}", sample)
                print(number, flush=True)

        await asyncio.gather(*(one(number) for number in range(16)))
        await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
