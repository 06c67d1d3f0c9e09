"""The page in headless Chromium, from disk: what it shows, and that it can be used."""

from __future__ import annotations

import io
import pathlib
from collections.abc import Iterator

import mujoco
import numpy as np
import pytest
from scipy import ndimage

from mimic_envs import bodies, viewer
from mimic_envs import clips as clips_
from mimic_envs.clips.kinematics import forward
from mimic_envs.viz.render import Renderer
from tests.viewer import made

browsing = pytest.importorskip("tests.leaderboard.test_browser")
image = pytest.importorskip("PIL.Image", reason="reads pictures of the page")
browser, everywhere = browsing.browser, browsing.everywhere
SMALL = {"width": 920, "height": 480}
"""Of most windows here: a picture takes as long as it has pixels where nothing but a CPU draws."""

BUSY = "GPU stall due to ReadPixels"
"""What Chromium says in its console when it draws in software and a picture is taken."""
READY = "window.mimicViewer.then(app => { window.app = app; return app.trial.name; })"
POSES = """frame => {
  const [animal, ghost] = [app.stage.animal, app.stage.reference];
  animal.update(app.trial, frame);
  const has = Boolean(app.trial.arrays.ghost_position);
  if (has) ghost.update(app.trial, frame, "ghost_");
  const plain = (p) => [Array.from(p.position), Array.from(p.rotation)];
  return [plain(animal), has ? plain(ghost) : null];
}"""
DRAWN = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture
def visit(browser, request) -> Iterator:
    """A page in a fresh window."""
    found = browsing.Visit(browser, **getattr(request, "param", {"size": SMALL}))
    yield found
    found.context.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> dict[str, pathlib.Path]:
    folder = tmp_path_factory.mktemp("pages")
    stick, arm = made.footfalls(), made.network(folder / "policy")
    return {
        "stick": viewer.from_dataset(stick).save(folder / "stick.html"),
        "arm": viewer.from_dataset(arm).save(folder / "arm.html"),
        "folder": viewer.from_dataset(stick).save(folder / "folder"),
    }


def opened(visit, path: pathlib.Path):
    page = visit.open(path)
    page.evaluate(READY)
    page.evaluate("app.stage && (app.stage.shown.shadows = false)")  # half of the time
    page.evaluate(DRAWN)
    return page


def picture(page, what: str = "#stage") -> np.ndarray:
    """Pixels of a part of the page, (height, width, 3)."""
    page.evaluate(DRAWN)
    return np.asarray(image.open(io.BytesIO(page.locator(what).screenshot())).convert("RGB"), int)


def until(page, condition: str) -> None:
    """Wait for what JavaScript says; the page allows no `eval`, which Playwright's own needs."""
    for _ in range(200):
        if page.evaluate(condition):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never: {condition}")


def problems(visit) -> list[str]:
    return [text for text in visit.said if BUSY not in text]


def frame(page) -> int:
    return page.evaluate("Math.round(app.frame)")


@everywhere
@pytest.mark.parametrize("kind", ["stick", "arm"])
def test_pages_are_sound(pages, visit, kind) -> None:
    """No faults of accessibility, nothing in the console, no sideways scrolling, no requests."""
    page = opened(visit, pages[kind])
    page.get_by_text("Keys", exact=True).click()
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert browsing.faults(page) == []
    assert problems(visit) == []
    assert visit.requests == [pages[kind].as_uri()]


def test_poses_are_those_of_forward_kinematics(body, visit, tmp_path) -> None:
    clips = clips_.load("generated/tiny", body)
    page = opened(visit, viewer.from_clips(clips, clips.names[:1]).save(tmp_path / "page.html"))
    qpos = clips.qpos[0, : clips.lengths[0]].astype(float)
    position, rotation = forward(body.model, qpos)
    for t in (0, 1, len(qpos) // 2, len(qpos) - 1):
        (place, turn), _ = page.evaluate(POSES, t)
        error = np.abs(np.reshape(place, (-1, 3)) - position[t]).max()
        assert error < 5e-5 * body.body_length
        same = np.abs((np.reshape(turn, (-1, 4)) * rotation[t]).sum(axis=-1))
        assert np.degrees(2 * np.arccos(np.minimum(same, 1)).max()) < 0.01
    # between two frames it is between their poses
    (between, _), _ = page.evaluate(POSES, 0.5)
    middle = (position[0] + position[1]) / 2
    np.testing.assert_allclose(np.reshape(between, (-1, 3)), middle, atol=5e-5 * body.body_length)
    assert problems(visit) == []


def test_shapes_cover_the_pixels_that_they_cover_in_mujoco(visit, tmp_path) -> None:
    """Every kind of shape, through a camera of the model, alone on the page in turn."""
    body = made.shapes_body()
    qpos = np.tile(body.model.qpos0, (2, 1))
    one = viewer.trial.Trial("still", "", 10.0, 0.0, qpos)
    replay = viewer.Replay(body, "Shapes", "", ["still"], lambda: iter([one]))
    page = opened(visit, replay.save(tmp_path / "page.html"))
    page.get_by_label("Camera", exact=True).select_option(label="above")
    width, height = 480, 320
    page.evaluate("document.getElementById('legend').hidden = true")
    page.evaluate(
        "([w, h]) => { app.stage.shown.planes = false; app.all = app.stage.shapes;"
        "  app.stage.canvas.style = `position: fixed; inset: 0; z-index: 9; "
        "width: ${w}px; height: ${h}px`; }",
        [width, height],
    )
    seen = segmented(body, width, height)
    page.evaluate("app.stage.shapes = []; app.ask()")
    empty = picture(page)
    around = np.ones((3, 3), bool)
    for number, name in enumerate(shape_names(body.model)):
        if name in ("ground", "hidden"):
            continue
        page.evaluate("n => { app.stage.shapes = [app.all[n]]; app.ask(); }", number)
        mine, theirs = np.abs(picture(page) - empty).sum(axis=-1) > 12, seen[name]
        assert theirs.sum() > 300, name
        # they differ by less than a pixel, all along the edge
        assert not (mine & ~ndimage.binary_dilation(theirs, around)).any(), name
        assert not (ndimage.binary_erosion(theirs, around) & ~mine).any(), name


def shape_names(model: mujoco.MjModel) -> list[str]:
    """Names of geoms and sites in the order of a scene."""
    return [
        *(model.geom(i).name for i in range(model.ngeom)),
        *(model.site(i).name for i in range(model.nsite)),
    ]


def segmented(body: bodies.Body, width: int, height: int) -> dict[str, np.ndarray]:
    """Which pixels each geom and site covers in MuJoCo's own picture."""
    model, data = body.model, mujoco.MjData(body.model)
    mujoco.mj_forward(model, data)
    try:
        ours = Renderer(body, width, height, "above", samples=0)
    except RuntimeError as error:
        pytest.skip(str(error))
    ours._renderer.enable_segmentation_rendering()
    ours._renderer.update_scene(data, "above")
    numbers, kinds = np.moveaxis(ours._renderer.render(), -1, 0)
    ours.close()
    kind = mujoco.mjtObj
    found = {
        model.geom(i).name: (numbers == i) & (kinds == kind.mjOBJ_GEOM) for i in range(model.ngeom)
    }
    return found | {
        model.site(i).name: (numbers == i) & (kinds == kind.mjOBJ_SITE) for i in range(model.nsite)
    }


def test_the_ghost_is_the_reference(pages, visit) -> None:
    page = opened(visit, pages["stick"])
    body = bodies.get("stick_insect")
    (animal, _), (ghost, _) = page.evaluate(POSES, 39)
    clips = clips_.load("generated/tiny", body)
    # the recorded environment brings clips to the rate of its control
    expected, _ = forward(body.model, clips_.resample(clips, 100).qpos[0, 40:41].astype(float))
    np.testing.assert_allclose(
        np.reshape(ghost, (-1, 3)), expected[0], atol=1e-3 * body.body_length
    )
    assert np.abs(np.subtract(animal, ghost)).max() > 0.05 * body.body_length
    shown = picture(page)
    page.get_by_label("Reference", exact=True).uncheck()
    assert np.abs(picture(page) - shown).max() > 20


def test_time_changes_the_picture(pages, visit) -> None:
    page = opened(visit, pages["stick"])
    first = picture(page)
    page.get_by_role("slider", name="Time").fill("25")
    assert frame(page) == 25
    assert (np.abs(picture(page) - first).sum(axis=-1) > 30).mean() > 0.01
    assert page.locator("#clock").inner_text() == "0.26 / 0.40 s"
    assert (
        page.get_by_role("slider", name="Time").get_attribute("aria-valuetext")
        == "0.26 s, frame 25"
    )
    # a click on a trace chooses a time as well
    trace = page.locator(".trace .plot").first
    trace.click(position={"x": trace.bounding_box()["width"] / 2, "y": 20})
    assert frame(page) in (19, 20)


def test_playing_goes_on_and_starts_again(pages, visit) -> None:
    page = opened(visit, pages["stick"])
    assert (
        page.get_by_label("Speed", exact=True).input_value() == "0.25"
    )  # so that 0.4 s can be seen
    page.get_by_role("button", name="Play").click()
    until(page, "app.frame > 5")
    until(page, "app.frame < 5")  # from the end to the start
    assert page.get_by_role("button", name="Pause").is_visible()
    page.keyboard.press("Enter")  # the button still has the focus
    now = frame(page)
    page.wait_for_timeout(150)
    assert frame(page) == now


def test_the_keyboard_does_everything(pages, visit) -> None:
    page = opened(visit, pages["stick"])
    keys = page.keyboard
    keys.press("ArrowRight")
    keys.press("Shift+ArrowRight")
    assert frame(page) == 11
    keys.press("End")
    assert frame(page) == 39
    keys.press("ArrowLeft")
    assert frame(page) == 38
    keys.press("Home")
    assert frame(page) == 0
    keys.press("g")  # a letter means nothing until the view has the focus
    assert page.get_by_label("Reference", exact=True).is_checked()
    page.locator("#stage").focus()
    keys.press("g")
    assert not page.get_by_label("Reference", exact=True).is_checked()
    before = page.evaluate("[app.stage.camera.azimuth, app.stage.camera.distance]")
    for key in ("d", "w", "+"):
        keys.press(key)
    after = page.evaluate("[app.stage.camera.azimuth, app.stage.camera.distance]")
    assert after[0] == before[0] + 6
    assert after[1] < before[1]
    keys.press("f")
    assert page.get_by_label("Camera", exact=True).input_value() == "free"
    keys.press("r")
    assert page.get_by_label("Camera", exact=True).input_value() == "follow"
    keys.press(".")
    assert page.get_by_label("Speed", exact=True).input_value() == "0.5"
    keys.press("Space")
    assert page.get_by_role("button", name="Pause").is_visible()
    keys.press("Space")
    keys.press("n")
    until(page, "app.trial.name === 'two'")
    # from the view on, Tab reaches all controls and leaves the view
    reached = []
    for _ in range(14):
        keys.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert [name for name in reached if name][:5] == ["play", "time", "speed", "camera", "reset"]
    assert {"show-ghost", "show-contacts", "show-forces", "add"} <= set(reached)
    assert problems(visit) == []


def test_the_mouse_turns_shifts_and_zooms(pages, visit) -> None:
    page = opened(visit, pages["stick"])
    box = page.locator("#stage").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def drag() -> None:
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 60, y + 20)
        page.mouse.up()

    state = "[app.stage.camera.azimuth, ...app.stage.camera.panned, app.stage.camera.distance]"
    start = page.evaluate(state)
    drag()
    turned = page.evaluate(state)
    assert turned[0] != start[0]
    page.keyboard.down("Shift")
    drag()
    page.keyboard.up("Shift")
    shifted = page.evaluate(state)
    assert shifted[0] == turned[0]
    assert shifted[1:4] != turned[1:4]
    page.mouse.wheel(0, -200)
    until(page, f"app.stage.camera.distance < {start[4]}")


def test_trials_are_chosen_and_kept_plots_stay(pages, visit) -> None:
    page, joint = opened(visit, pages["stick"]), bodies.get("stick_insect").hinge_names[3]
    page.get_by_label("Add a trace").select_option(label=joint)
    names = page.locator(".trace-head span").all_inner_texts()
    assert names == ["score", "reward", joint]
    page.get_by_label("Trial", exact=True).select_option(label="two")
    until(page, "app.trial.name === 'two'")
    assert page.locator(".trace-head span").all_inner_texts() == names
    page.get_by_role("button", name="Remove reward").click()
    assert page.locator(".trace-head span").all_inner_texts() == ["score", names[2]]
    assert page.locator(".trace output").last.inner_text().endswith(" deg")


def test_footfalls_are_drawn_where_feet_stand(pages, visit) -> None:
    page = opened(visit, pages["stick"])
    assert page.locator("#feet li").all_inner_texts() == list(bodies.get("stick_insect").feet)
    stands = np.array(page.evaluate("Array.from(app.trial.arrays.stance.data)")).reshape(40, 6)
    box = page.locator("#footfalls .plot").bounding_box()
    page.evaluate("app.seek(0)")
    drawn = picture(page, "#footfalls .plot")
    for t in (8, 20, 33):
        column = int(t / 39 * (box["width"] - 2)) + 1
        for foot in range(6):
            bar = np.abs(drawn[int((foot + 0.5) * 18) + 1, column] - [224, 123, 18]).max() < 40
            assert bar == stands[t, foot], (t, foot)


def test_points_of_a_layer_lead_to_their_time(pages, visit) -> None:
    page = opened(visit, pages["arm"])
    layer = page.get_by_label("Layer", exact=True)
    assert layer.locator("option").all_inner_texts() == ["layer_0", "layer_1", "action_mean"]
    layer.select_option("layer_1")
    x, y = page.evaluate("app.places[42]")
    page.locator("#layers .plot").click(position={"x": x + 1, "y": y + 1})
    place = page.evaluate("app.places[app.frame]")
    assert np.hypot(place[0] - x, place[1] - y) < 4
    mark = page.locator("#layers .mark").evaluate("m => parseFloat(m.style.left)")
    assert mark == pytest.approx(place[0], abs=0.1)


def test_muscles_shine_as_they_are_activated(pages, visit) -> None:
    page = opened(visit, pages["arm"])
    levels = page.evaluate("app.scene.tendons.map(t => app.stage.level(app.trial, 59, t))")
    assert len(levels) == 9
    assert all(0 <= level <= 1 for level in levels)
    assert max(levels) > 0.05


def test_a_folder_opens_from_disk_and_reads_trials_when_they_are_chosen(pages, visit) -> None:
    page = opened(visit, pages["folder"])
    names = [url.rsplit("/", 1)[1] for url in visit.requests]
    assert names == ["index.html", "viewer.css", "viewer.js", "scene.js", "trial-0.js"]
    page.get_by_label("Trial", exact=True).select_option(label="two")
    until(page, "app.trial.name === 'two'")
    assert visit.requests[-1].endswith("trial-1.js")
    assert problems(visit) == []


def test_a_notebook_shows_it_in_a_frame(visit, tmp_path) -> None:
    clips = clips_.load("generated/tiny", "mouse_arm")
    shown = viewer.from_clips(clips, clips.names[:1])._repr_html_()
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><html lang='en'><title>Cell</title>{shown}</html>")
    page = visit.open(path)
    inner = page.frames[1]
    assert inner.evaluate(READY) == clips.names[0]
    assert page.locator("iframe").get_attribute("title") == "Clips of mouse_arm"
    assert problems(visit) == []


def test_names_are_text_and_links_choose_trial_and_time(visit, tmp_path) -> None:
    nasty = "</script><script>alert(1)</script><!--SCRIPTS-->"
    body = made.shapes_body()
    qpos = np.tile(body.model.qpos0, (20, 1))

    def trials():
        return (viewer.trial.Trial(name, nasty, 10.0, 0.0, qpos) for name in (nasty, "b"))

    path = viewer.Replay(body, nasty, nasty, [nasty, "b"], trials).save(tmp_path / "page.html")
    visit.page.goto(f"{path.as_uri()}#trial=b&t=0.5")
    page = visit.page
    assert page.evaluate(READY) == "b"
    assert frame(page) == 5
    assert page.locator("h1").inner_text() == nasty
    assert page.get_by_label("Trial", exact=True).locator("option").first.inner_text() == nasty
    assert problems(visit) == []


def test_without_webgl_the_plots_still_work(visit, pages) -> None:
    visit.page.add_init_script(
        "const own = HTMLCanvasElement.prototype.getContext;"
        "HTMLCanvasElement.prototype.getContext = function (kind, ...more) {"
        "  return kind === 'webgl2' ? null : own.call(this, kind, ...more); };"
    )
    page = opened(visit, pages["stick"])
    assert "no WebGL 2" in page.get_by_role("alert").inner_text()
    page.keyboard.press("ArrowRight")
    assert frame(page) == 1
    assert page.locator(".trace").count() == 2
    assert problems(visit) == []
