"""The original project's generators in Keras 3, to compare with: written from their description, for the tests only.

`python Testing/support/keras_original.py` writes the small files of Testing/models/data again (needs keras,
h5py and torch).
"""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")

import h5py
import keras
import numpy as np
from keras import layers, ops


class ReflectPad(layers.Layer):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def call(self, x):
        return ops.pad(x, [[0, 0], [0, 0], *[[self.width, self.width]] * 3], mode="reflect")


class Norm(layers.Layer):
    def build(self, shape):
        around_one, around_zero = (keras.initializers.RandomNormal(mean, 0.3) for mean in (1.0, 0.0))
        self.scale = self.add_weight(name="scale", shape=(shape[1],), initializer=around_one)
        self.shift = self.add_weight(name="shift", shape=(shape[1],), initializer=around_zero)

    def call(self, x):
        mean = ops.mean(x, axis=(2, 3, 4), keepdims=True)
        std = ops.sqrt(ops.mean(ops.square(x - mean), axis=(2, 3, 4), keepdims=True))
        return ops.reshape(self.scale, (1, -1, 1, 1, 1)) * (x - mean) / (std + 1e-7) + ops.reshape(
            self.shift, (1, -1, 1, 1, 1)
        )


class Head(layers.Layer):
    def __init__(self, residual: bool) -> None:
        super().__init__()
        self.residual = residual

    def call(self, inputs):
        y, image = inputs
        intensity = image - y[:, :1] if self.residual else y[:, :1]
        parts = [intensity, ops.sigmoid(y[:, 1:2])]
        if y.shape[1] == 3:
            parts.append(ops.sigmoid(y[:, 2:]))
        elif y.shape[1] > 3:
            parts.append(ops.softmax(y[:, 2:], axis=1))
        return ops.concatenate(parts, axis=1)


def generator(shape, filters=2, unet=False, conditional=False, residual=True, mask_channels=0) -> keras.Model:
    """(N, 1, x, y, z), and the spacing's channel when conditional, to (N, 2 + mask_channels, x, y, z)."""
    name = "G" + ("_unet" if unet else "") + ("_cond" if conditional else "") + ("" if residual else "_nn_residual")

    def conv(x, channels, kernel, layer, stride=1):
        x = ReflectPad(kernel // 2)(x)
        return layers.Conv3D(
            channels, kernel, strides=stride, use_bias=False, data_format="channels_first", name=f"{name}_gen_{layer}"
        )(x)

    def unit(x, channels, kernel, layer, stride=1):
        x = conv(x, channels, kernel, layer, stride)
        return layers.ReLU()(Norm(name=f"{name}_gen_isnorm_{layer}")(x))

    def block(x, channels, layer):
        y = layers.ReLU()(Norm(name=f"{name}_gen_{layer}_isnorm_a")(conv(x, channels, 3, f"{layer}_conv_a")))
        return layers.Add()([Norm(name=f"{name}_gen_{layer}_isnorm_b")(conv(y, channels, 3, f"{layer}_conv_b")), x])

    def up(x, channels, layer):
        return unit(layers.UpSampling3D(2, data_format="channels_first")(x), channels, 3, layer)

    image = keras.Input((1, *shape))
    spacing = keras.Input((1, *shape))
    x = layers.Concatenate(axis=1)([image, spacing]) if conditional else image
    full = unit(x, filters, 7, "conv1")
    full = block(full, filters, "block") if unet else full
    half = unit(full, 2 * filters, 3, "conv2", 2)
    half = block(half, 2 * filters, "block1") if unet else half
    x = unit(half, 4 * filters, 3, "conv3", 2)
    for number in [2] if unet else range(1, 7):
        x = block(x, 4 * filters, f"block{number}")
    x = up(x, 2 * filters, "deconv1")
    x = layers.Concatenate(axis=1)([x, half]) if unet else x
    x = up(x, filters, "deconv2")
    x = layers.Concatenate(axis=1)([x, full]) if unet else x
    x = Head(residual)([conv(x, 2 + mask_channels, 7, "1conv"), image])
    return keras.Model([image, spacing] if conditional else image, x, name=name)


def critic(filters=2, channels=2, conditional=False, side=64) -> keras.Model:
    """(N, channels, side, side, side), and the spacing's channel when conditional, to (N, 1)."""
    name = "DX_cond" if conditional else "DX"
    images, spacing = (keras.Input((count, side, side, side)) for count in (channels, 1))
    x = layers.Concatenate(axis=1)([images, spacing]) if conditional else images
    for number in range(1, 6):
        x = layers.Conv3D(
            filters * 2 ** (number - 1), 4, strides=2, padding="same", data_format="channels_first",
            bias_initializer="random_normal", name=f"{name}_conv_dis_{number}",
        )(x)  # fmt: skip
        x = layers.LeakyReLU(0.01)(x)
    x = layers.Conv3D(1, 2, use_bias=False, data_format="channels_first", name="dis_decision")(x)
    return keras.Model([images, spacing] if conditional else images, layers.Reshape((1,))(x), name=name)


def add_critic(model: keras.Model, path: Path) -> None:
    """Put a critic into a file of `save_keras2`, in the place of the empty one."""
    with h5py.File(path, "a") as file:
        for name in ("DX", "DX_cond"):
            file.pop(name, None)
        _save_weights(model, file.create_group(model.name), 1)


def _save_weights(model: keras.Model, group: h5py.Group, parts: int) -> None:
    names = []
    for layer in model.layers:
        for weight in layer.weights:
            names.append(f"{layer.name}/{weight.name}:0".encode())
            group[names[-1].decode()] = ops.convert_to_numpy(weight)
    if parts == 1:
        group.attrs["weight_names"] = names
    for number, part in enumerate(np.array_split(names, parts) if parts > 1 else []):
        group.attrs[f"weight_names{number}"] = list(part)


def save_keras2(model: keras.Model, path: Path, parts: int = 1) -> None:
    """Save as Keras 2 did for a model that contains the generator: one group, names ending in ":0"."""
    with h5py.File(path, "w") as file:
        critic = file.create_group("DX_cond" if "_cond" in model.name else "DX")
        critic.attrs["weight_names"] = [b"DX_conv_dis_1/kernel:0"]
        critic["DX_conv_dis_1/kernel:0"] = np.zeros((1, 1, 1, 1, 1), np.float32)
        _save_weights(model, file.create_group(model.name), parts)


def predict(model: keras.Model, image: np.ndarray, spacing: float) -> np.ndarray:
    """The model on one image (x, y, z), as the original called it: (C, x, y, z)."""
    x = image[None, None].astype(np.float32)
    inputs = [x, np.full_like(x, spacing)] if len(model.inputs) == 2 else x
    return ops.convert_to_numpy(model(inputs))[0]


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    cases = {
        "original-plain.h5": {"filters": 1},
        "original-unet-conditional-mask.h5": {
            "unet": True,
            "conditional": True,
            "residual": False,
            "mask_channels": 2,
            "filters": 1,
        },
    }
    for file_name, config in cases.items():
        image = np.random.default_rng(0).random((16, 12, 8), np.float32)
        keras_model = generator(image.shape, **config)
        target = Path(__file__).parents[1] / "models" / "data" / file_name
        save_keras2(keras_model, target)
        with h5py.File(target, "a") as stored:
            stored["parity/image"] = image
            stored["parity/output"] = predict(keras_model, image, spacing=3.0)
