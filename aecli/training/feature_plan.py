"""Plan the features of a training from the rows of all ranks and from the options."""

from __future__ import annotations

from dataclasses import replace

from aecli.array_types import Mask
from aecli.errors import UsageError
from aecli.features.text.columns import with_text_columns
from aecli.progress import Progress
from aecli.ranks import Ranks
from aecli.schema.model_spec import Label
from aecli.schema.option_types import parse_valid
from aecli.schema.options import ColumnOptions, TrainOptions
from aecli.table.column_plan import ColumnPlan, plan_columns, require_features
from aecli.table.column_scan import ScanPart
from aecli.table.shares import Share


def plan_features(
    share: Share,
    options: TrainOptions,
    mask: Mask,
    label: Label | None,
    progress: Progress,
    ranks: Ranks,
) -> ColumnPlan:
    """Return the columns, fitted on the training rows of all ranks."""
    chosen = _with_keys_as_ids(options)
    part = ScanPart(share.before, int(mask[: share.before].sum()), ranks)
    plan = plan_columns(
        share.source, chosen, train_rows=mask[share.rows], label=label, progress=progress, part=part
    )
    plan = ranks.from_first(lambda: with_text_columns(plan, chosen))
    require_features(plan, share.whole.name)
    return with_mask_indicators(_with_compressed_tails(plan, options), options)


def with_mask_indicators(plan: ColumnPlan, options: TrainOptions) -> ColumnPlan:
    """Return the plan with a missing-value indicator per column, if training masks cells.

    Without it a masked cell has the same input, 0, as an average one; the figures are in
    benchmarks/RESULTS.md. Convolutions take pixels only.
    """
    if not options.training.noise.startswith("mask") or options.network.arch == "conv2d":
        return plan
    columns = (column.model_copy(update={"masked": True}) for column in plan.columns)
    return replace(plan, columns=tuple(columns))


def _with_compressed_tails(plan: ColumnPlan, options: TrainOptions) -> ColumnPlan:
    """Return the plan with compressed copies of long-tailed numbers as inputs, for a classifier.

    Scaled by its standard deviation, such a number is almost equal in most rows; figures are in
    benchmarks/RESULTS.md, Features.
    """
    if plan.label is None or options.network.arch == "conv2d":
        return plan
    columns = (c.model_copy(update={"compressed": c.long_tailed}) for c in plan.columns)
    return replace(plan, columns=tuple(columns))


def _with_keys_as_ids(options: TrainOptions) -> ColumnOptions:
    """Return the column options in which key columns are identifiers: carried, never features.

    Key columns are those of `--group`, `--time` and `--valid group:`; the held-out values of the
    last would be unseen categories.

    Raises:
        UsageError: one of them is also named as something else.
    """
    windows, columns = options.windows, options.columns
    kind, column, _ = parse_valid(options.training.valid)
    keys = {column: "--valid group:"} if kind == "group" else {}
    keys |= dict.fromkeys(windows.group, "--group")
    keys |= {windows.time: "--time"} if windows.time else {}
    label = [columns.label] if columns.label else []
    roles = {"--label": label, "--columns": columns.columns, "--categorical": columns.categorical}
    for name, flag in keys.items():
        for role, names in roles.items():
            if name in names:
                raise UsageError(
                    f"column {name!r} is named by {flag} and by {role}",
                    hint=f"leave {name!r} out of one of them",
                )
    return columns.model_copy(update={"id": list(dict.fromkeys([*columns.id, *keys]))})
