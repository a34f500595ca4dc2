"""A role's process: runs until SIGTERM or SIGINT, or until one of its parts fails."""

import asyncio
import signal


async def stop_requested() -> None:
    """Return when the process is asked to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()


async def run_until_stopped(*parts: asyncio.Task[None]) -> None:
    """Wait for a stop signal; a part that ends first ends the process with its error.

    Raises:
        Exception: what the part raised: a broken invariant crashes the role, which is then restarted.
    """
    stop = asyncio.create_task(stop_requested())
    done, _ = await asyncio.wait({stop, *parts}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    for part in done - {stop}:
        part.result()
        raise RuntimeError(f"{part.get_name()} ended by itself")
