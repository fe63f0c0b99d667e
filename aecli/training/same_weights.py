"""Check that all ranks of a training have the same network."""

from __future__ import annotations

import hashlib

from aecli.errors import OutputError
from aecli.nn.autoencoder import AutoencoderNetwork
from aecli.ranks import Ranks


def require_same_weights(network: AutoencoderNetwork, ranks: Ranks) -> None:
    """Raise if the networks of the ranks differ, since their processors compute differently.

    Raises:
        OutputError: they differ in a bit.
    """
    if ranks.size == 1:
        return
    digest = hashlib.sha256()
    for tensor in network.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    hashes = ranks.gather(digest.hexdigest())
    differing = [rank for rank, found in enumerate(hashes) if found != hashes[0]]
    if differing:
        raise OutputError(
            f"the weights of process {differing[0]} differ from those of process 0",
            facts=["processors of different kinds compute different bits"],
            hint="machines of one kind",
        )
