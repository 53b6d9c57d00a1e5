"""A multi-asset of which a job takes a few: its parts are definitions of their own size.

Belongs here: narrowing. Does not belong here: what the assets are (`warehouse.py`).

Dagster keeps the whole of a multi-asset in every job that makes some of it: its outputs, in the job's graph and in the
snapshot that the code server and the daemon hold of it. Thirty jobs that each make forty models of five hundred held
all of them thirty times.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence, Set
from typing import Any

from dagster import AssetCheckKey, AssetCheckSpec, AssetKey, AssetsDefinition, AssetSpec

# Makes the definition of these assets and checks, its op called by the name.
Build = Callable[[str, Sequence[AssetSpec], Sequence[AssetCheckSpec]], AssetsDefinition]
# Above this share of the whole a part is kept as Dagster keeps it: little is to be won.
_MOST = 0.5


def narrowed(whole: AssetsDefinition, build: Build) -> AssetsDefinition:
    """The subsettable `whole`, whose parts, made by `build`, name no more than what they make. Equal parts are one
    definition: Dagster wants no two ops of one name. A part without some of its checks, which a person chose, stays as
    Dagster makes it."""
    parts: dict[frozenset[AssetKey], AssetsDefinition] = {}

    class Narrowed(AssetsDefinition):
        @staticmethod
        def dagster_internal_init(**attributes: Any) -> AssetsDefinition:
            """Dagster's way to a definition with other attributes: it keeps the class."""
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Dagster's own attributes in beta, as Dagster does
                return Narrowed(**attributes)

        def subset_for(
            self, selected_asset_keys: Set[AssetKey], selected_asset_check_keys: Set[AssetCheckKey] | None
        ) -> AssetsDefinition:
            part = super().subset_for(selected_asset_keys, selected_asset_check_keys)
            keys = frozenset(part.keys)
            checks = [each for each in self.node_check_specs_by_output_name.values() if each.asset_key in keys]
            some = {each.key for each in checks} != part.check_keys
            if some or len(keys) > _MOST * len(self.node_keys_by_output_name):
                return part
            if keys not in parts:
                named = " ".join(sorted(key.to_user_string() for key in keys))
                name = f"{whole.node_def.name}_{hashlib.sha256(named.encode()).hexdigest()[:8]}"
                made = build(name, [spec for spec in self.specs if spec.key in keys], checks)
                parts[keys] = Narrowed.dagster_internal_init(**made.get_attributes_dict())
            return parts[keys]

    return Narrowed.dagster_internal_init(**whole.get_attributes_dict())
