# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Upsets in every memory of a whole core that holds a table, and what becomes of the frame that is sent with each.

Usage: python benchmarks/upset_campaign.py [--config small] [--single all] [--double 1000] [--unprotected] [--seed 1]

One bit of a stored word is flipped, or two of the same word; a frame is sent in a mode that needs the memory; the bits
are flipped back. "unused" is a word of a table that is not in force; "silent" a packet that is not the model's and
does not say so. Exit status 1 if there is one, or with --unprotected if there is none.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from ptychopress.cli.console import progress_bar
from ptychopress.model.config import CoreConfig
from ptychopress.sim.core_upsets import CoreUpsets
from ptychopress.sim.soak import SMALL
from ptychopress.sim.upsets import Memory, Upset, drawn, every

OUTCOMES = ("unused", "corrected", "flagged", "silent")


def chosen(name: str, unprotected: bool) -> CoreConfig:
    """The core of that name, with a codebook that can be changed."""
    config = SMALL if name == "small" else CoreConfig.named(name)
    return replace(config, encoder=replace(config.encoder, reloadable=True), protect=not unprotected)


def main() -> int:
    """Run the campaign; return the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", default="small", help="small, or the name of a configuration, such as cell-72")
    parser.add_argument("--single", default="all", help="single bits: all, or how many, shared out among the memories")
    parser.add_argument("--double", type=int, default=1000, help="pairs of bits of a word, drawn likewise")
    parser.add_argument("--unprotected", action="store_true", help="without check bits")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    total: Counter[str] = Counter()
    print(f"{options.config}{', unprotected' * options.unprotected}, seed {options.seed}")
    print("| memory | bits | flipped | at a time | " + " | ".join(OUTCOMES) + " |")
    print("|---|--:|--:|--:|" + "--:|" * len(OUTCOMES))
    with CoreUpsets(chosen(options.config, options.unprotected), seed=options.seed) as bench, progress_bar() as bars:
        parts = bench.memories
        sizes = {name: sum(one.words * one.bits for one in found) for name, found in parts.items()}
        for bits, count in ((1, options.single), (2, options.double)):
            for name, found in parts.items():
                share = sizes[name] if count == "all" else int(count) // len(parts)
                bar = bars.add_task(f"{name}, {bits} at a time", total=share)

                def upsets(
                    found: list[Memory], bits: int = bits, all_of_them: bool = count == "all", share: int = share
                ) -> Iterable[Upset]:
                    return every(found, bits) if all_of_them else drawn(found, share, rng, bits)

                tally = bench.campaign(name, upsets, judge=lambda *_, bar=bar: bars.advance(bar))
                row = [name, sizes[name], share, bits, *(tally.outcomes[outcome] for outcome in OUTCOMES)]
                print("| " + " | ".join(f"{value:,}" if isinstance(value, int) else value for value in row) + " |")
                sys.stdout.flush()
                total += tally.outcomes
    return int(bool(total["silent"]) != options.unprotected)


if __name__ == "__main__":
    sys.exit(main())
