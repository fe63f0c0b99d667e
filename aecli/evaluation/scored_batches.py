"""Encoded rows or windows with their scores, from one pass of the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from aecli.inference.batches import EncodedBatch, SampleBatch, encode_samples
from aecli.inference.run import Pass
from aecli.nn.autoencoder import EncoderOutput
from aecli.scoring.scorer import ScoredSamples, Scorer

STAGE = "evaluating"

Scored = tuple[EncodedBatch, ScoredSamples | None]
"""Samples, and their scores where these are needed."""


def scored_batches(opened: Pass, scorer: Scorer | None, carried: Sequence[str]) -> Iterator[Scored]:
    """Return the rows or windows of a pass, encoded and with their scores by a scorer.

    `carried` are the columns that windows have.
    """
    if scorer is None:
        return ((samples, None) for samples in opened.encoded(STAGE, carried=carried))
    samples = opened.samples(STAGE, carried=carried)
    return map(partial(_scored, opened, scorer), samples)


def _scored(opened: Pass, scorer: Scorer, samples: SampleBatch) -> Scored:
    model = opened.model
    scored = scorer.score(samples.cells, samples.differs)
    # The scorer moves later times back, and has no variance of the latents.
    if model.spec.network.variational or model.reader.layout.later_times:
        encoded = encode_samples(model, samples)
    else:
        code = EncoderOutput(scored.latent.to(model.device), None)
        outputs = scored.outputs.to(model.device)
        encoded = EncodedBatch(*samples[:3], code=code, rows=samples.rows, outputs=outputs)
    opened.progress.rows(samples.batch.num_rows)
    return encoded, scored
