"""The level of a row, with the memory that foretells it best.

Where nothing moves the mean of seven days is the best level there is. Many real indicators wander, and to them such a
mean is always wrong by a little, which a CUSUM adds up. So levels with shorter memories are kept beside it, and each
is tried on the mean of the next quarter of an hour; a shorter one is used where it is clearly better.
"""

from typing import Final

import numpy as np

from streams.detect.bank import BoolArray, FloatArray
from streams.detect.shift_columns import ShiftColumns

_MEMORIES_MS: Final = (7 * 86_400_000, 43_200_000, 7_200_000, 1_800_000)
_LEAST: Final = (2000.0, 288.0, 60.0, 30.0)
_BLOCK_MS: Final = 900_000
_LEAST_BLOCK: Final = 8.0
# A shorter memory has to be so much better, and over so many blocks.
_BETTER = np.array([1.0, 0.9, 0.87, 0.85])[:, np.newaxis]
# Who needs so short a memory wanders, and needs so much more evidence.
_WANDERS = np.array([1.0, 1.4, 2.0, 3.0])
_BLOCKS_MEMORY: Final = 192.0
_ENOUGH_BLOCKS: Final = 96.0
_CLIP: Final = 4.0
_MEAN_TO_SIGMA: Final = 1.2533  # of a Gaussian, standard deviation / mean absolute deviation
_SMALLEST_SHARE: Final = 1e-6  # of a miss; where waves are that large their size says nothing more
_WAVE_MARGIN: Final = 1.5  # two standard errors of a mean absolute deviation, times the root of the count


class UsualLevel:
    """step_ms: the time between two values of a row."""

    __slots__ = ("_block", "_memories")

    def __init__(self, step_ms: int) -> None:
        memories = [max(memory / step_ms, least) for memory, least in zip(_MEMORIES_MS, _LEAST, strict=True)]
        self._memories = np.array(memories)[:, np.newaxis]
        self._block = max(_BLOCK_MS / step_ms, _LEAST_BLOCK)

    def learn(self, columns: ShiftColumns, plain: FloatArray, teaches: BoolArray) -> None:
        """Take values without their season."""
        columns.level_count += teaches
        np.minimum(columns.level_count, 2.0 * self._memories[0], out=columns.level_count)
        rate = teaches / np.clip(columns.level_count, 1.0, self._memories)
        far = np.where(np.isfinite(columns.bounds[-1]), _CLIP * columns.sigma, np.inf)
        nearest = np.clip(plain, columns.level - far, columns.level + far)
        columns.levels += rate * (nearest - columns.levels)
        columns.block_total += np.where(teaches, nearest, 0.0)
        columns.block_count += teaches
        ended = columns.block_count >= self._block
        if ended.any():
            self._compare(columns, ended)
        self._choose(columns)

    def _compare(self, columns: ShiftColumns, ended: BoolArray) -> None:
        """A block is over: how far was it from each level as it is now, its own values included?"""
        mean = columns.block_total[ended] / columns.block_count[ended]
        columns.blocks[ended] += 1.0
        count = np.clip(columns.blocks[ended], 1.0, _BLOCKS_MEMORY)
        miss = np.abs(mean - columns.block_levels[:, ended])
        usual = columns.level_misses[:, ended]
        columns.level_misses[:, ended] = usual + (miss - usual) / count
        columns.block_levels[:, ended] = columns.levels[:, ended]
        columns.block_total[ended] = columns.block_count[ended] = 0.0

    def _choose(self, columns: ShiftColumns) -> None:
        miss = columns.level_misses / _BETTER
        # What is not known yet may wander: the shortest memory is never far off.
        miss[:-1, (columns.blocks < _ENOUGH_BLOCKS) | (columns.young > 0.0)] = np.inf
        best = np.argmin(miss, axis=0)
        columns.level[:] = columns.levels[best, np.arange(best.size)]
        columns.wanders[:] = _WANDERS[best]
        columns.level_memory[:] = self._memories[best, 0]
        np.minimum(columns.level_count, 2.0 * columns.level_memory, out=columns.level_known)

    def waves(self, columns: ShiftColumns) -> FloatArray:
        """(n,): variance of the means of blocks about their level, 1 = as the noise model has it.

        What is certain of it: two standard errors of the estimate are taken off. 0 = not known yet.
        """
        best = np.argmin(np.abs(columns.levels - columns.level), axis=0)
        miss = columns.level_misses[best, np.arange(best.size)]
        of_mean = columns.sigma * columns.jump / np.maximum(columns.gain * np.sqrt(self._block), 1e-9)
        safe = np.where(of_mean > 0.0, np.maximum(of_mean, _SMALLEST_SHARE * miss), 1.0)
        blocks = np.minimum(columns.blocks, _BLOCKS_MEMORY)
        ratio = _MEAN_TO_SIGMA * miss / safe * (1.0 - _WAVE_MARGIN / np.sqrt(np.maximum(blocks, 1.0)))
        waves: FloatArray = np.where((blocks >= _ENOUGH_BLOCKS) & (of_mean > 0.0), ratio * ratio, 0.0)
        return waves

    @staticmethod
    def settle(columns: ShiftColumns, which: BoolArray, level: FloatArray) -> None:
        """Take another level for the usual one, whatever the memory."""
        columns.level[which] = level[which]
        columns.levels[:, which] = level[which]
        columns.block_levels[:, which] = level[which]
        columns.block_total[which] = columns.block_count[which] = columns.blocks[which] = 0.0
