"""Files made at random, whole and broken: the right clips or one clear error, nothing else."""

from __future__ import annotations

import functools
import pathlib
import tempfile

import h5py
import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from mimic_envs import bodies
from mimic_envs.clips import ClipSet, export_clips, import_clips

RAGGED = {"rollout": ".h5", "npz": ".npz", "csv": ".csv"}
EVEN = {"stac": ".h5", "all_clips": ".h5", "named": ".h5"}
NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=12
)
THOROUGH = settings(max_examples=60, deadline=None)


@functools.cache
def rest(name: str) -> np.ndarray:
    """A pose within all joint limits."""
    model = bodies.get(name).model
    qpos = model.qpos0.copy()
    limited = np.flatnonzero(model.jnt_limited)
    qpos[model.jnt_qposadr[limited]] = model.jnt_range[limited].mean(axis=1)
    return qpos


@st.composite
def clip_sets(draw, even: bool) -> ClipSet:
    name = draw(st.sampled_from(["rodent", "fly"]))
    count = draw(st.integers(1, 3))
    lengths = [draw(st.integers(1, 6))] * count if even else []
    lengths = lengths or draw(st.lists(st.integers(1, 6), min_size=count, max_size=count))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    motions = [rest(name) + 0.003 * rng.standard_normal((n, len(rest(name)))) for n in lengths]
    for motion in motions:
        motion[:, 3:7] = rng.standard_normal((len(motion), 4))
        motion[:, 3:7] /= np.linalg.norm(motion[:, 3:7], axis=1, keepdims=True)
    names = draw(st.lists(NAMES, min_size=count, max_size=count, unique=True))
    labels = draw(st.lists(st.just("") | NAMES, min_size=count, max_size=count))
    fps = draw(st.floats(1, 2000, allow_nan=False))
    return ClipSet.from_motions(name, motions, fps, names, labels)


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as name:
        yield pathlib.Path(name)


@THOROUGH
@given(st.data())
def test_what_is_written_is_read(folder: pathlib.Path, data) -> None:
    layout = data.draw(st.sampled_from([*RAGGED, *EVEN]))
    clips = data.draw(clip_sets(even=layout in EVEN))
    path = folder / f"a{(RAGGED | EVEN)[layout]}"
    export_clips(clips, path, layout)
    read, report = import_clips(path, clips.body)
    assert read.content_hash == clips.content_hash
    np.testing.assert_array_equal(read.qpos, clips.qpos)
    assert report.quaternions == 0


@THOROUGH
@given(st.data())
def test_joints_in_any_order(folder: pathlib.Path, data) -> None:
    clips = data.draw(clip_sets(even=True))
    width = clips.body.model.nq
    # the seven columns of the root stay in their order
    order = data.draw(st.permutations(range(width)))
    order = [i for i in order if i >= 7]
    place = data.draw(st.integers(0, len(order)))
    order[place:place] = range(7)
    export_clips(clips, folder / "a.h5", "stac")
    with h5py.File(folder / "a.h5", "r+") as file:
        for name, axis in (("qpos", 1), ("names_qpos", 0)):
            file[name][...] = np.take(file[name][()], order, axis=axis)
    assert import_clips(folder / "a.h5", clips.body)[0].content_hash == clips.content_hash


def datasets(file: h5py.File) -> list[str]:
    found: list[str] = []
    file.visititems(lambda n, x: found.append(n) if isinstance(x, h5py.Dataset) else None)
    return sorted(found)


def break_hdf5(path: pathlib.Path, data) -> None:
    with h5py.File(path, "r+") as file:
        name = data.draw(st.sampled_from(datasets(file)))
        how = data.draw(st.sampled_from(["delete", "rename", "dtype", "shorten", "axis", "group"]))
        values = file[name][()]
        del file[name]
        if how == "rename":
            file[name + "_"] = values
        elif how == "group":
            file.create_group(name)
        elif how == "dtype":
            values = np.asarray(values)
            kind = data.draw(st.sampled_from(["f8", "i4", "S4", "bool", "c8"]))
            try:
                file[name] = values.astype(kind)
            except (ValueError, TypeError):  # texts are not numbers
                file[name] = np.zeros(values.shape, kind)
        elif how == "shorten" and np.ndim(values):
            file[name] = values[: len(values) // 2]
        elif how == "axis":
            file[name] = np.asarray(values)[None]


def right_or_refused(path: pathlib.Path, clips: ClipSet) -> None:
    try:
        read, _ = import_clips(path, clips.body)
    except (ValueError, FileNotFoundError) as error:
        message = str(error)
        assert str(path) in message
        assert "\n" not in message.replace(str(path), "")[:200]
        return
    # the same motion; clips may be one where what tells them apart is gone
    ours, theirs = np.concatenate(clips.motions()), np.concatenate(read.motions())
    np.testing.assert_array_equal(theirs, ours)
    assert read.fps == clips.fps


@THOROUGH
@given(st.data())
def test_broken_datasets(folder: pathlib.Path, data) -> None:
    layout = data.draw(st.sampled_from([*EVEN, "rollout"]))
    clips = data.draw(clip_sets(even=True))
    export_clips(clips, folder / "a.h5", layout)
    break_hdf5(folder / "a.h5", data)
    right_or_refused(folder / "a.h5", clips)


@THOROUGH
@given(st.data())
def test_broken_tables(folder: pathlib.Path, data) -> None:
    clips = data.draw(clip_sets(even=False))
    export_clips(clips, folder / "a.npz")
    with np.load(folder / "a.npz") as file:
        arrays = dict(file)
    # a rate or a unit that is another number or word is what the file says, not a fault
    name = data.draw(st.sampled_from(sorted(set(arrays) - {"fps", "length_unit"})))
    how = data.draw(st.sampled_from(["delete", "f8", "i4", "U3", "shorten"]))
    if how == "delete":
        del arrays[name]
    elif how == "shorten":
        arrays[name] = np.atleast_1d(arrays[name])[:-1]
    else:
        try:
            arrays[name] = arrays[name].astype(how)
        except ValueError:
            arrays[name] = np.zeros(arrays[name].shape, how)
    np.savez(folder / "a.npz", **arrays)
    right_or_refused(folder / "a.npz", clips)


@THOROUGH
@given(st.data())
def test_truncated(folder: pathlib.Path, data) -> None:
    layout = data.draw(st.sampled_from([*EVEN, *RAGGED]))
    clips = data.draw(clip_sets(even=layout in EVEN))
    path = folder / f"a{(RAGGED | EVEN)[layout]}"
    export_clips(clips, path, layout)
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(ValueError, match=str(path)):
        import_clips(path, clips.body)


@THOROUGH
@given(st.data())
def test_truncated_clip_file(folder: pathlib.Path, data) -> None:
    clips = data.draw(clip_sets(even=False))
    path = folder / "ours.h5"
    clips.save(path)
    assert ClipSet.load(path).content_hash == clips.content_hash
    whole = path.read_bytes()
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(ValueError, match=str(path)):
        ClipSet.load(path)


@THOROUGH
@given(st.data())
def test_broken_clip_file(folder: pathlib.Path, data) -> None:
    clips = data.draw(clip_sets(even=False))
    path = folder / "ours.h5"
    clips.save(path)
    break_hdf5(path, data)
    try:
        assert ClipSet.load(path).content_hash == clips.content_hash
    except ValueError as error:
        message = str(error)
        assert str(path) in message


@THOROUGH
@given(
    st.sampled_from([".csv", ".npz", ".h5", ".hdf5", ".txt", ".tsv", ""]),
    st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8")),
)
def test_any_bytes(folder: pathlib.Path, ending: str, content: bytes) -> None:
    path = folder / f"any{ending}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=str(path)):
        import_clips(path, "fly", fps=50, unit="cm")


@THOROUGH
@given(st.text("0123456789.,;\t\n-e# nai", max_size=120))
def test_any_table(folder: pathlib.Path, content: str) -> None:
    path = folder / "any.csv"
    path.write_text(f"free_x,coxa_T1_left\n{content}")
    with pytest.raises(ValueError, match=str(path)):
        import_clips(path, "fly", fps=50, unit="cm", fill=True)
