"""A role's process: runs until SIGTERM or SIGINT, or until one of its parts fails."""

import asyncio
import gc
import signal
from collections.abc import Coroutine


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


async def run_interruptible(work: Coroutine[object, object, None], name: str) -> None:
    """Do the work until it is done, it fails, or a stop signal comes; its `finally` blocks have run when this returns.

    Raises:
        Exception: what the work raised.
    """
    working = asyncio.create_task(work, name=name)
    stop = asyncio.create_task(stop_requested())
    try:
        await asyncio.wait({working, stop}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
    finally:
        stop.cancel()
        working.cancel()
        await asyncio.gather(stop, working, return_exceptions=True)


def collect_cycles_rarely() -> None:
    """Look for cycles of garbage among ten thousand new objects at a time.

    Requests and records make thousands and leave no cycle: at Python's 700 the search took a sixth of the time that new
    series cost.
    """
    gc.set_threshold(10_000)
