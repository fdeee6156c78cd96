r"""How much mRNA a cell of each type has, from counts per cell within donors and batches.

.. math:: \log(\text{counts per cell})_{tb} = a_t + d_b + \varepsilon_{tb}

for cell type ``t`` in block ``b`` (a donor in a batch). Depth, capture and dissociation of a block
are in :math:`d_b`; types that share no block, even through others, cannot be compared.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

_BETWEEN, _WITHIN = 0.2, 0.5  # log-sd of a type's content between blocks, and between cells


def mrna_per_cell(table: pd.DataFrame) -> pd.Series:
    """Relative content of every cell type, 1 on average; NaN where it cannot be compared.

    Parameters
    ----------
    table
        A row per group of cells: cell_type, donor, batch, cells, counts.
    """
    table = table[table["counts"] > 0]
    types, names = pd.factorize(table["cell_type"], sort=True)
    blocks, _ = pd.factorize(table["donor"].astype(str) + "\0" + table["batch"].astype(str))
    n_types, n_blocks = len(names), int(blocks.max()) + 1
    part = _largest_part(types, blocks, n_types, n_blocks)
    kept = part[types]
    y = np.log(table["counts"] / table["cells"]).to_numpy()[kept]
    weight = 1 / np.sqrt(_BETWEEN**2 + _WITHIN**2 / table["cells"].to_numpy()[kept])
    X = np.zeros((int(kept.sum()), n_types + n_blocks))
    row = np.arange(len(X))
    X[row, types[kept]] = X[row, n_types + blocks[kept]] = 1.0
    a = np.linalg.lstsq(X * weight[:, None], y * weight, rcond=None)[0][:n_types]
    found = np.exp(a - a[part].mean())
    found /= found[part].mean()
    return pd.Series(np.where(part, found, np.nan), pd.Index(names), name="mrna_per_cell")


def _largest_part(types: np.ndarray, blocks: np.ndarray, n_types: int, n_blocks: int) -> np.ndarray:
    """Which types can be compared with each other: those of the largest connected part."""
    size = n_types + n_blocks
    edges = coo_array((np.ones(len(types)), (types, n_types + blocks)), shape=(size, size))
    labels = connected_components(edges, directed=False)[1][:n_types]
    return np.asarray(labels == np.bincount(labels).argmax())
