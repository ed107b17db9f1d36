"""Train a small network that TotalSegmentator takes for its own 6 mm one: ``python segment_train.py FOLDER STEPS``.

Runs in TotalSegmentator's environment. No weights can be downloaded on a build machine; what is tested is everything around them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
from segment_phantom import ORGANS, centered_matrix_ras, make_phantom
from totalsegmentator.map_tasks_config import TASK_ID_WEIGHTS_CONFIGS
from totalsegmentator.map_to_binary import class_map

TASK_ID = 298  # "total" at 6 mm
TRAINER = "nnUNetTrainer_4000epochs_NoMirroring"  # the real one's, so that nnU-Net has to find it
SPACING_MM = 6.0
GRID = (50, 50, 50)
PATCH = (24, 32, 32)
PATIENTS = 24
LOW_HU, HIGH_HU, MEAN_HU, SD_HU = -1000.0, 500.0, 40.0, 150.0  # nnU-Net's CTNormalization
LEARNING_RATE = 3e-3


def architecture():
    """Describe a U-Net of 131,874 parameters in the words of nnU-Net's plans."""
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": 4,
            "features_per_stage": [8, 16, 32, 32],
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 3, 3]] * 4,
            "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2], [2, 2, 2]],
            "n_conv_per_stage": [1, 1, 1, 1],
            "n_conv_per_stage_decoder": [1, 1, 1],
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def plans(network, dataset_name):
    """Return what nnU-Net calls plans, version 2, for one configuration."""

    def resampling(*, is_seg, order):
        return {"is_seg": is_seg, "order": order, "order_z": 0, "force_separate_z": None}

    kind = "resample_data_or_seg_to_shape"
    configuration = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": list(PATCH),
        "median_image_size_in_voxels": list(GRID),
        "spacing": [SPACING_MM] * 3,
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": kind,
        "resampling_fn_data_kwargs": resampling(is_seg=False, order=3),
        "resampling_fn_seg": kind,
        "resampling_fn_seg_kwargs": resampling(is_seg=True, order=1),
        "resampling_fn_probabilities": kind,
        "resampling_fn_probabilities_kwargs": resampling(is_seg=False, order=1),
        "architecture": network,
        "batch_dice": True,
    }
    intensities = {
        "max": 1500.0,
        "min": LOW_HU,
        "mean": MEAN_HU,
        "median": MEAN_HU,
        "std": SD_HU,
        "percentile_00_5": LOW_HU,
        "percentile_99_5": HIGH_HU,
    }
    return {
        "dataset_name": dataset_name,
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [SPACING_MM] * 3,
        "original_median_shape_after_transp": list(GRID),
        "image_reader_writer": "NibabelIOWithReorient",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": intensities},
        "configurations": {"3d_fullres": configuration},
    }


def training_patients():
    """Return normalised scans and labels (k, j, i) of RAS grids, which is how nnU-Net's reader hands them over."""
    matrix = centered_matrix_ras(GRID, (SPACING_MM,) * 3)
    for seed in range(1000, 1000 + PATIENTS):
        ct, labels = make_phantom(GRID, matrix, seed)
        yield ((np.clip(ct, LOW_HU, HIGH_HU) - MEAN_HU) / SD_HU).astype(np.float32), labels.astype(np.int64)


def random_patch(patient, random):
    """Cut the same random box out of scan and labels."""
    start = [int(random.integers(0, n - p + 1)) for n, p in zip(GRID, PATCH, strict=True)]
    box = tuple(slice(s, s + p) for s, p in zip(start, PATCH, strict=True))
    return patient[0][box], patient[1][box]


def loss_of(output, truth):
    """Cross entropy and soft Dice over the organs."""
    wanted = functional.one_hot(truth, len(ORGANS) + 1).permute(0, 4, 1, 2, 3).float()
    given = output.softmax(1)
    overlap = (2 * (given * wanted).sum((0, 2, 3, 4)) + 1) / ((given + wanted).sum((0, 2, 3, 4)) + 1)
    return functional.cross_entropy(output, truth) + 1 - overlap[1:].mean()


def train(network, steps):
    """Train with a learning rate that falls to nothing; returns the last loss."""
    torch.set_num_threads(1)  # on small machines two threads wait for each other longer than they work
    random = np.random.default_rng(0)
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    patients = list(training_patients())
    for step in range(steps):
        patches = [random_patch(patients[int(random.integers(PATIENTS))], random) for _ in range(2)]
        scans = torch.from_numpy(np.stack([scan for scan, _ in patches]))[:, None]
        truth = torch.from_numpy(np.stack([labels for _, labels in patches]))
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * max(0.02, 1 - step / steps) ** 0.9
        optimizer.zero_grad()
        loss = loss_of(network(scans), truth)
        loss.backward()
        optimizer.step()
    return loss.item()


def main():
    folder, steps = Path(sys.argv[1]), int(sys.argv[2])
    names = [class_map["total"][label] for label in range(1, len(ORGANS) + 1)]
    assert names == [name for name, *_ in ORGANS], names
    network_plan = architecture()
    dataset_name = TASK_ID_WEIGHTS_CONFIGS[TASK_ID]["foldername"]
    all_plans = plans(network_plan, dataset_name)
    dataset = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, **{name: label for label, name in enumerate(names, start=1)}},
        "numTraining": PATIENTS,
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "NibabelIOWithReorient",
    }
    torch.manual_seed(0)
    network = get_network_from_plans(
        network_plan["network_class_name"],
        network_plan["arch_kwargs"],
        network_plan["_kw_requires_import"],
        1,
        len(names) + 1,
        deep_supervision=False,
    )
    loss = train(network, steps)
    target = folder / dataset_name / f"{TRAINER}__nnUNetPlans__3d_fullres"
    (target / "fold_0").mkdir(parents=True)
    for name, content in (("plans", all_plans), ("dataset", dataset), ("dataset_fingerprint", {})):
        (target / f"{name}.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    checkpoint = {
        "network_weights": network.state_dict(),
        "init_args": {"plans": all_plans, "configuration": "3d_fullres", "fold": 0, "dataset_json": dataset},
        "trainer_name": TRAINER,
        "inference_allowed_mirroring_axes": None,
    }
    torch.save(checkpoint, target / "fold_0" / "checkpoint_final.pth")
    print(f"{steps} steps, loss {loss:.3f}")


if __name__ == "__main__":
    main()
