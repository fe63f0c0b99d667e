"""Losses whose values depend neither on the batch size nor on the number of columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import groupby

import torch
from torch import Tensor, nn
from torch.nn import functional

# Huber's loss (1964) with delta 1, in scaled units: e²/2 if |e| < 1, |e| - 1/2 otherwise.
NUMBER_LOSSES: dict[str, Callable[..., Tensor]] = {
    "mse": functional.mse_loss,
    "mae": functional.l1_loss,
    "huber": functional.huber_loss,
}

TEMPERATURE_BOUNDS = (0.1, 10.0)

TEMPERATURE_PRIOR = 10.0
"""Weight of the prior that a temperature is 1, in rows."""


class ReconstructionLoss(nn.Module):
    """Mean over columns of each column's mean loss over observed cells.

    Cells `(n_rows, n_cells)` are in blocks: `numbers` scaled numbers, `booleans` (0 or 1), one code
    per category column or character of a text. Outputs `(n_rows, n_outputs)` are the numbers, one
    logit per boolean, and `cardinalities[j]` logits for code j. The loss is `number_loss` for
    numbers, binary cross-entropy for booleans and softmax cross-entropy for codes, in nats. `NaN`
    cells and the code -1 are unobserved and ignored, and so are columns without an observed cell
    in the batch.

    `column_of[cell]` is the cell's column, so that the cells of a vector are one column. `weights`,
    one per column, multiply the columns' losses; with 1 / trivial loss every kind of column has the
    same influence. With `complete` every cell is observed, which is not checked.

    Raises:
        ValueError: the sizes of the arguments disagree, or a weight is negative or not finite.
    """

    def __init__(
        self,
        *,
        numbers: int,
        booleans: int,
        cardinalities: Sequence[int],
        column_of: Sequence[int],
        weights: Sequence[float],
        number_loss: str = "mse",
        complete: bool = False,
    ) -> None:
        super().__init__()
        cells = numbers + booleans + len(cardinalities)
        columns = [column for column, _ in groupby(column_of)]
        if len(column_of) != cells or columns != list(range(len(weights))):
            raise ValueError(
                f"column_of must give each of {cells} cells one of {len(weights)} columns, in order"
            )
        self.numbers = numbers
        self.booleans = booleans
        self.cardinalities = tuple(cardinalities)
        runs = ((width, len(list(same))) for width, same in groupby(cardinalities))
        self._equal_widths = [(count, width) for width, count in runs]
        self.complete = complete
        self._number_loss = NUMBER_LOSSES[number_loss]
        self._number_columns = len(set(column_of[:numbers]))
        self._sizes = [len(list(same)) for _, same in groupby(column_of)]
        codes = sorted(set(column_of[numbers + booleans :]))
        self._texts = [column for column in codes if self._sizes[column] > 1]
        self.column_of: Tensor
        self._lengths: Tensor
        self.weights: Tensor
        self._cell_weights: Tensor
        self.register_buffer("column_of", torch.tensor(column_of), persistent=False)
        self.register_buffer("_lengths", torch.tensor(self._sizes), persistent=False)
        self.register_buffer("weights", torch.ones(len(weights)), persistent=False)
        self.register_buffer("_cell_weights", torch.ones(cells), persistent=False)
        self.set_weights(weights)

    def set_weights(self, weights: Sequence[float]) -> None:
        """Replace the columns' weights.

        Raises:
            ValueError: there is not one weight per column, or one is negative or not finite.
        """
        values = torch.tensor(list(weights), dtype=torch.float64)
        if len(values) != len(self._sizes) or not bool((values.isfinite() & (values >= 0)).all()):
            raise ValueError(f"{len(self._sizes)} finite weights of at least 0 are needed")
        per_cell = values / torch.tensor(self._sizes) / len(self._sizes)
        self.weights.copy_(values)
        self._cell_weights.copy_(per_cell[self.column_of.cpu()])
        # For numbers in columns of equal size and weight, the loss is a plain mean over cells.
        alike = len(set(self._sizes)) == 1 and bool((values == values[0]).all())
        only_numbers = not self.booleans and not self.cardinalities
        self._plain_weight = float(values[0]) if alike and only_numbers else None

    def forward(self, output: Tensor, cells: Tensor) -> Tensor:
        """Return the scalar loss of outputs `(n_rows, n_outputs)` for cells `(n_rows, n_cells)`."""
        output = output.to(cells.dtype)
        if self.complete and self._plain_weight is not None:
            loss = self._number_loss(output, cells)
            return loss if self._plain_weight == 1 else loss * self._plain_weight
        return self._contributions(output, cells)[0].sum()

    def parts(self, output: Tensor, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scalar loss and the part of it that is from columns of numbers."""
        if not self.booleans and not self.cardinalities:
            loss = self.forward(output, cells)
            return loss, loss
        contributions, numbers = self._contributions(output.to(cells.dtype), cells)
        return contributions.sum(), contributions[:numbers].sum()

    def _contributions(self, output: Tensor, cells: Tensor) -> tuple[Tensor, int]:
        """Return the addends of the loss, by cell or column, and how many are from numbers."""
        if self.complete:
            means = torch.cat([block.mean(0) for block in self._errors(output, cells, None)])
            return means * self._cell_weights, self.numbers
        observed = self._observed(cells)
        sums = torch.cat([block.sum(0) for block in self._errors(output, cells, observed)])
        counts = self._per_column(observed.sum(0, dtype=sums.dtype))
        column_means = self._per_column(sums) / counts.clamp(min=1)
        weighted = column_means * self.weights / counts.count_nonzero().clamp(min=1)
        return weighted, self._number_columns

    def cell_errors(self, output: Tensor, cells: Tensor) -> Tensor:
        """Return each cell's unweighted loss `(n_rows, n_cells)`, NaN if it is unobserved."""
        observed = None if self.complete else self._observed(cells)
        errors = torch.cat(self._errors(output.to(cells.dtype), cells, observed), dim=1)
        return errors if observed is None else errors.masked_fill(~observed, torch.nan)

    def row_errors(self, output: Tensor, cells: Tensor) -> Tensor:
        """Return each row's weighted loss over its cells `(n_rows,)`, without a gradient."""
        errors = self.cell_errors(output.detach(), cells).nan_to_num(0.0)
        loss: Tensor = errors @ self._cell_weights
        return loss

    @property
    def has_texts(self) -> bool:
        """Return whether a column has several codes: the characters of a text."""
        return bool(self._texts)

    def text_figures(self, output: Tensor, cells: Tensor) -> Tensor:
        """Return sums over the characters of each text `(3, n_texts)`, without a gradient.

        They are of the characters' weighted cross-entropies, of wrong ones, and of all.
        """
        first = self.numbers + self.booleans
        codes = cells[:, first:]
        observed = self._observed(cells)[:, first:]
        errors = self.cell_errors(output.detach(), cells)[:, first:].nan_to_num(0.0)
        runs = output[:, first:].split_with_sizes([n * w for n, w in self._equal_widths], dim=1)
        most_likely = [
            run.reshape(len(run), n, w).argmax(2)
            for run, (n, w) in zip(runs, self._equal_widths, strict=True)
        ]
        wrong = observed & (torch.cat(most_likely, dim=1) != codes)
        errors = errors * self.weights[self.column_of[first:]]
        sums = torch.stack([part.double().sum(0) for part in (errors, wrong, observed)], dim=1)
        return self._per_column(functional.pad(sums, (0, 0, first, 0)))[self._texts].T

    def _observed(self, cells: Tensor) -> Tensor:
        observed = ~cells.isnan()
        if self.cardinalities:
            observed[:, self.numbers + self.booleans :] &= cells[:, -len(self.cardinalities) :] >= 0
        return observed

    def _per_column(self, per_cell: Tensor) -> Tensor:
        """Return the sums `(n_columns, …)` over the cells `(n_cells, …)` of each column."""
        if per_cell.device.type == "mps":  # for which torch has no segment_reduce
            zeros = per_cell.new_zeros(len(self.weights), *per_cell.shape[1:])
            return zeros.index_add(0, self.column_of, per_cell)
        # With CUDA `index_add` adds in another order each time, and so has other last bits.
        return torch.segment_reduce(per_cell, "sum", lengths=self._lengths, unsafe=True)

    def _errors(self, output: Tensor, cells: Tensor, observed: Tensor | None) -> list[Tensor]:
        """Return the blocks' losses per cell, 0 if unobserved; `observed` None means all."""
        dense = self.numbers + self.booleans
        blocks = [self.numbers, self.booleans, output.shape[1] - dense]
        numbers, booleans, logits = output.split_with_sizes(blocks, dim=1)
        kinds = [*blocks[:2], len(self.cardinalities)]
        targets, truths, codes = cells.split_with_sizes(kinds, dim=1)
        if observed is not None:
            # A cell that equals its own output has no loss and no gradient.
            targets = torch.where(observed[:, : self.numbers], targets, numbers.detach())
        errors: list[Tensor] = []
        if self.numbers:
            errors.append(self._number_loss(numbers, targets, reduction="none"))
        if self.booleans:
            seen = None if observed is None else observed[:, self.numbers : dense].to(output.dtype)
            errors.append(
                functional.binary_cross_entropy_with_logits(
                    booleans, truths.nan_to_num(0.0), weight=seen, reduction="none"
                )
            )
        if self.cardinalities:
            errors.append(self._category_errors(logits, codes))
        return errors

    def _category_errors(self, logits: Tensor, codes: Tensor) -> Tensor:
        # One call per width was 1.1 to 4 times as fast as padded or segmented logsumexp on a CPU.
        wanted = torch.where(codes >= 0, codes, -1.0).long()
        counts, widths = zip(*self._equal_widths, strict=True)
        sizes = [count * width for count, width in self._equal_widths]
        parts = zip(
            logits.split_with_sizes(sizes, 1),
            wanted.split_with_sizes(counts, 1),
            widths,
            strict=True,
        )
        errors = [
            functional.cross_entropy(
                part.reshape(-1, width), code.reshape(-1), ignore_index=-1, reduction="none"
            ).view_as(code)
            for part, code, width in parts
        ]
        return torch.cat(errors, dim=1)


def classification_loss(
    logits: Tensor, codes: Tensor, class_weights: Tensor | None, *, label_smoothing: float = 0.0
) -> Tensor:
    """Return the mean cross-entropy over labelled rows, in nats; 0 without labelled rows.

    `logits` are `(n_rows, n_classes)`, `codes` `(n_rows,)` with -1 for unlabelled, `class_weights`
    `(n_classes,)`. A row's loss is multiplied by the weight of its class, and the sum is divided by
    the number of labelled rows, not by their weights, so that the value does not depend on the
    batches. Balanced weights are rows / (classes x rows of the class): 1 on average.
    `label_smoothing` is the share of a row's target that all classes have in equal parts (Szegedy
    et al. 2016, Rethinking the Inception architecture, §7).
    """
    total = functional.cross_entropy(
        logits.float(),
        codes,
        weight=class_weights,
        ignore_index=-1,
        reduction="sum",
        label_smoothing=label_smoothing,
    )
    return total / (codes >= 0).sum().clamp(min=1)


@torch.no_grad()
def best_temperature(logits: Tensor, codes: Tensor, class_weights: Tensor | None = None) -> float:
    """Return the temperature by which logits are divided for the lowest cross-entropy.

    Guo et al. (2017), On calibration of modern neural networks, §4.2. The arguments are those of
    `classification_loss`. The loss is convex in the inverse temperature b, also with the prior
    `TEMPERATURE_PRIOR` · (b - ln b), which bounds b where the rows are separable. The result is 1
    if fewer than two classes are among the rows, or a logit is not finite.
    """
    labelled = codes >= 0
    logits, codes = logits[labelled].double(), codes[labelled]
    if len(codes.unique()) < 2 or not bool(logits.isfinite().all()):
        return 1.0
    weights = torch.ones_like(codes) if class_weights is None else class_weights[codes]
    weights = weights.double()[:, None]
    true = (weights * logits.gather(1, codes[:, None])).sum()
    low, high = (-math.log(bound) for bound in reversed(TEMPERATURE_BOUNDS))
    for _ in range(30):
        middle = (low + high) / 2
        inverse = math.exp(middle)
        expected = (weights * (inverse * logits).softmax(1) * logits).sum()
        slope = float(expected - true) + TEMPERATURE_PRIOR * (1 - 1 / inverse)
        low, high = (low, middle) if slope > 0 else (middle, high)
    return math.exp(-(low + high) / 2)


def l1_penalty(z: Tensor) -> Tensor:
    """Return mean |z| over the rows and units of latents `(n_rows, n_latent)`."""
    return z.float().abs().mean()


def l2_penalty(z: Tensor) -> Tensor:
    """Return mean z² over the rows and units of latents `(n_rows, n_latent)`."""
    return z.float().square().mean()


def kl_sparsity(z: Tensor, rho: float, *, low: float = 0.0) -> Tensor:
    """Return the mean over units of KL(Bernoulli(rho) ‖ Bernoulli(rho_hat)), in nats.

    `rho_hat` is a unit's mean over the rows of latents `(n_rows, n_latent)` within `low`..1,
    rescaled to 0..1 (Ng 2011, §3). Small constants keep the logarithms finite: they are added,
    because a clamp would remove the gradient of a dead unit.
    """
    return bernoulli_kl((z.float().mean(0) - low) / (1 - low), rho).mean()


def bernoulli_kl(rho_hat: Tensor, rho: float) -> Tensor:
    """Return KL(Bernoulli(rho) ‖ Bernoulli(rho_hat)) of each mean activation, in nats."""
    on, off = rho_hat.clamp(min=0) + 1e-30, (1 - rho_hat).clamp(min=0) + 1e-7
    # Differences of logarithms: a quotient would square the small constant in its gradient.
    here = rho * (math.log(rho) - on.log())
    return here + (1 - rho) * (math.log(1 - rho) - off.log())


def kl_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the mean over rows and units of KL(N(mean, variance) ‖ N(0, 1)), in nats.

    Kingma and Welling (2014), appendix B, with the sum over units divided by their number.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
