import itertools

import torch
from torch.nn.functional import one_hot

from aecli.metrics.eigenvectors import symmetric_eigenvectors

FIRST = ("Golden", "Little", "Old", "Royal", "Blue", "Happy", "Red", "Green", "New", "Silver")
SECOND = ("Dragon", "Garden", "Kitchen", "Bistro", "Tavern", "Grill", "Corner", "House", "Table")
SECOND += ("Market", "Palace", "Oven")


def test_eigenvectors_of_a_covariance_of_characters_which_are_mostly_constant():
    """The solver of torch does not converge for this matrix with MKL 2024.2."""
    kinds = ("Cafe", "Bar", "Diner", "Inn")
    names = [" ".join(words).ljust(20)[:20] for words in itertools.product(FIRST, SECOND, kinds)]
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(8))[:100]
    codes = torch.tensor([[ord(character) % 33 for character in names[i]] for i in order])
    inputs = one_hot(codes, 64).flatten(1).float()
    centred = (inputs - inputs.double().mean(0)).float()
    mean = centred.double().mean(0)
    covariance = (centred.T @ centred).double() / len(inputs) - torch.outer(mean, mean)
    values, vectors = symmetric_eigenvectors(covariance)
    assert (values.diff() >= 0).all()
    torch.testing.assert_close(vectors * values @ vectors.T, covariance, atol=1e-6, rtol=0)
