from __future__ import annotations

from support.rigs.kubernetes_fixtures import claim, cluster, namespace, rig, s3

__all__ = ["claim", "cluster", "namespace", "rig", "s3"]
