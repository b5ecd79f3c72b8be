"""Records of finished runs in MLflow or TensorBoard, made from the files of the run's folder alone."""

from agfrun.tracking.track import check_installed, track

__all__ = ["check_installed", "track"]
