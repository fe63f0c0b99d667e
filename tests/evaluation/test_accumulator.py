import pytest
import torch

from aecli.evaluation.accumulator import DecodedSamples, TermFigures
from aecli.features.inputs import Inputs
from aecli.features.layout import lay_out
from aecli.model.build import build
from aecli.schema.model_spec import ModelSpec


def test_terms_are_means_over_rows_whatever_the_batches(model_spec: ModelSpec):
    weights = {"reconstruction": 1.0, "classification": 1.0, "l1": 0.5}
    spec = model_spec.model_copy(update={"loss_weights": weights})
    network = build(spec.network, columns=spec.columns).eval()
    where = lay_out(spec.columns)
    cells = torch.tensor([[0.5, 1.0], [float("nan"), 0.0], [-1.0, 2.0], [2.0, -1.0], [0.0, 1.0]])
    codes = torch.tensor([0, -1, 1, 1, 0])
    found = []
    for size in (5, 2):
        terms = TermFigures(network, spec)
        for rows, labels in zip(cells.split(size), codes.split(size), strict=True):
            with torch.no_grad():
                code = network.distribution(Inputs(where)(rows))
                outputs, logits = network.decode(code.latent), network.classify(code.latent)
            terms.add(DecodedSamples(rows, code, outputs, logits, labels))
        found.append(terms.shares())
    assert set(found[0]) == {"reconstruction", "classification", "l1"}
    assert found[0]["l1"].weight == 0.5
    for name, term in found[0].items():
        assert found[1][name].value == pytest.approx(term.value, rel=1e-5)
