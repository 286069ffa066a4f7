"""Known answers for the scanner of the phantom: projection, counting, reconstruction, noise."""

import numpy as np
import pytest
from PIL import Image
from skimage.transform import iradon, radon

from ctgan_utils.phantom import acquisition, generate, patients
from ctgan_utils.phantom.acquisition import PITCH, acquire, detect, project, reconstruct
from ctgan_utils.phantom.anatomy import draw_anatomy

SIZE, PIXEL = 64, 6.0
VIEWS, ELEMENTS = acquisition.shape(SIZE)
S = (np.arange(ELEMENTS) - (ELEMENTS - 1) / 2) * PITCH * PIXEL  # mm
ANGLE = (np.arange(VIEWS) + 0.5) * np.pi / VIEWS


def grid(size=SIZE, pixel=PIXEL):
    axis = (np.arange(size) - (size - 1) / 2) * pixel
    return np.meshgrid(axis, axis)


def ellipse(a, b, size=SIZE, pixel=PIXEL):
    """Share of each pixel in an ellipse with semi-axes a and b, mm."""
    x, y = grid(8 * size, pixel / 8)
    return ((x / a) ** 2 + (y / b) ** 2 < 1).reshape(size, 8, size, 8).mean((1, 3))


def blobs(x, y, size):
    """A smooth image without symmetry, in pixels from the middle; nothing outside the inscribed circle."""
    middles = (0.15, -0.1, 0.07), (-0.2, 0.05, 0.06), (0.05, 0.15, 0.08)
    image = sum(np.exp(-((x / size - a) ** 2 + (y / size - b) ** 2) / (2 * w**2)) for a, b, w in middles)
    return image * (np.hypot(x, y) < size / 2 - 1)


def noise_of(hu, pixel, dose, seed=0):
    """What the photons of a dose add to the scan of a stack."""
    noisy, clean = (acquire(hu, pixel, photons, np.random.default_rng(seed)) for photons in (dose, 1e15))
    return noisy - clean


def power(noise):
    """Noise power spectrum [H, W] and its radial frequencies, cycles per pixel."""
    f = np.fft.fftfreq(noise.shape[-1])
    return (np.abs(np.fft.fft2(noise)) ** 2).mean(0), np.hypot(f[:, None], f)


@pytest.fixture(scope="module")
def water():
    """Scans of a round water phantom 270 mm thick, 80 times."""
    hu = 1000 * ellipse(135, 135) - 1000
    return acquire(np.repeat(hu[None], 80, 0), PIXEL, 3e8, np.random.default_rng(0))


def test_a_disc_projects_to_its_chords():
    sinogram = project(0.02 * ellipse(60, 60, pixel=PIXEL / 2), PIXEL / 2)
    assert sinogram.shape == (VIEWS, ELEMENTS)
    assert sinogram.dtype == np.float32
    s = S / 2
    chords = 2 * 0.02 * np.sqrt(np.maximum(60**2 - s**2, 0))
    inside = np.abs(s) < 50
    assert np.abs(sinogram - chords)[:, inside].max() < 0.03 * chords.max()  # the disc's edge is a staircase
    assert np.abs((sinogram - chords).mean(0))[inside].max() < 0.005 * chords.max()
    assert np.all(sinogram[:, np.abs(s) > 66] == 0)


def test_a_point_is_seen_where_the_geometry_says():
    mu = np.zeros((SIZE, SIZE))
    mu[10, 50] = 1
    x, y = (axis[10, 50] for axis in grid())
    sinogram = project(mu, PIXEL)
    seen = sinogram @ S / sinogram.sum(-1)
    assert np.abs(seen - (x * np.cos(ANGLE) + y * np.sin(ANGLE))).max() < 0.25 * PIXEL


@pytest.mark.parametrize("size", [32, 36, 64])
def test_every_view_keeps_the_mass(size):
    mu = np.random.default_rng(0).random((2, size, size))  # up to the corners
    mass = mu.sum((1, 2)) * PIXEL**2
    sums = project(mu, PIXEL).sum(-1) * PITCH * PIXEL
    assert np.allclose(sums, mass[:, None], rtol=1e-5)


def test_back_projection_is_the_adjoint_of_projection():
    rng = np.random.default_rng(0)
    mu, rays = rng.random((SIZE, SIZE)), rng.random((VIEWS, ELEMENTS))
    there = np.vdot(project(mu, PITCH), rays)
    back = np.vdot(mu, acquisition.back_project(rays, SIZE))
    assert there == pytest.approx(back, rel=1e-5)


def test_stacks_are_scanned_slice_by_slice():
    mu = np.random.default_rng(0).random((2, 3, 32, 32))
    sinograms = project(mu, PIXEL)
    images = reconstruct(sinograms, 32, PIXEL)
    assert sinograms.shape[:2] == images.shape[:2] == (2, 3)
    assert np.allclose(project(mu[1, 2], PIXEL), sinograms[1, 2], rtol=1e-5)
    assert np.allclose(reconstruct(sinograms[1, 2], 32, PIXEL), images[1, 2], atol=1e-4)


@pytest.mark.parametrize(("size", "pixel"), [(64, 6.0), (128, 3.0)])
def test_a_noiseless_disc_comes_back(size, pixel):
    image = reconstruct(project(0.02 * ellipse(120, 120, size, pixel), pixel), size, pixel) / 0.02
    r = np.hypot(*grid(size, pixel))
    inside, outside = image[r < 120 - 3 * pixel], image[r > 120 + 3 * pixel]
    assert inside.mean() == pytest.approx(1, abs=0.001)
    assert np.abs(inside - 1).max() < 0.01
    assert np.abs(inside - 1).mean() < 0.003
    assert abs(outside.mean()) < 0.001
    assert np.abs(outside).max() < 0.03  # the ringing of the edge
    corners = image[r > size / 2 * pixel]
    assert corners.std() < 0.006
    assert abs(corners.mean()) < 0.001


def test_an_object_in_the_corner_is_imaged_like_one_in_the_middle():
    x, y = grid()
    corner, middle = np.hypot(x - 165, y - 165) < 18, np.hypot(x + 3, y + 3) < 18
    seen, other = (reconstruct(project(mu, PIXEL), SIZE, PIXEL) for mu in (corner, middle))
    assert seen[corner].mean() == pytest.approx(other[middle].mean(), abs=0.03)
    assert seen.sum() == pytest.approx(corner.sum(), rel=0.03)


def test_projection_agrees_with_scikit_image():
    x, y = grid(pixel=1)
    ours = project(blobs(x, y, SIZE), 1)
    ours = ours[:, ELEMENTS // 2 - SIZE - 1 : ELEMENTS // 2 + SIZE - 1].reshape(VIEWS, SIZE, 2).mean(-1)
    axis = np.arange(SIZE) - SIZE // 2  # its middle is a pixel's
    # its angles turn the other way
    theirs = radon(blobs(axis[None], axis[:, None], SIZE), -np.degrees(ANGLE), circle=True).T
    assert np.abs(ours - theirs).max() < 0.01 * theirs.max()


def test_reconstruction_agrees_with_scikit_image():
    x, y = grid(pixel=1)
    ours = reconstruct(project(blobs(x, y, SIZE), 1), SIZE, 1)
    axis = np.arange(SIZE) - SIZE // 2
    image = blobs(axis[None], axis[:, None], SIZE)
    theirs = iradon(radon(image, np.degrees(ANGLE), circle=True), np.degrees(ANGLE), circle=True)
    inside = np.hypot(x, y) < 0.45 * SIZE
    error, reference = np.abs(ours - blobs(x, y, SIZE))[inside], np.abs(theirs - image)[inside]
    assert error.max() < 0.02
    assert error.mean() < reference.mean()  # no further from the truth


def test_counting_photons_is_unbiased_and_obeys_poisson():
    integrals = np.repeat([0.0, 2.0, 5.0], 40_000)
    seen = detect(integrals, 1e5, np.random.default_rng(0)).reshape(3, -1)
    for k, integral in enumerate((0, 2, 5)):
        variance = np.exp(integral) / 1e5  # of log N is 1 / N
        assert seen[k].mean() == pytest.approx(integral, abs=variance + 5 * np.sqrt(variance / 40_000))
        assert seen[k].var() == pytest.approx(variance, rel=0.03)


def test_a_dark_ray_is_finite():
    seen = detect(np.full((2, 5), 60.0), 1000.0, np.random.default_rng(0))
    assert np.allclose(seen, np.log(1000))


def test_water_and_air_have_their_hounsfield_units(water):
    r = np.hypot(*grid())
    mean = water.mean(0)
    assert abs(mean[r < 110].mean()) < 0.5
    assert mean[r > 160].mean() == pytest.approx(-1000, abs=0.5)
    assert mean[r > 192].mean() == pytest.approx(-1000, abs=1)  # the corners
    assert np.abs(mean[r > 192] + 1000).max() < 15


def test_noise_variance_falls_as_the_dose_rises():
    hu = np.repeat(1000 * ellipse(135, 135)[None] - 1000, 30, 0)
    r = np.hypot(*grid())
    low, high = (
        acquire(hu, PIXEL, dose, np.random.default_rng(0))[:, r < 110].var(0).mean() for dose in (1e8, 9e8)
    )
    assert low / high == pytest.approx(9, rel=0.1)


def test_noise_at_one_dose_grows_with_a_finer_matrix_as_in_theory():
    noise = []
    for size in (32, 64):
        pixel = 384 / size
        hu = np.repeat(1000 * ellipse(135, 135, size, pixel)[None] - 1000, 40, 0)
        seen = noise_of(hu, pixel, 3e8)
        noise.append(seen[:, np.hypot(*grid(size, pixel)) < 80].std())
    assert noise[1] / noise[0] == pytest.approx(2**1.5, rel=0.07)


def test_noise_power_rises_in_proportion_to_the_frequency(water):
    spectrum, radius = power((water - water.mean(0))[:, 20:44, 20:44])
    at = [spectrum[(radius > f - 0.022) & (radius < f + 0.022)].mean() for f in (0.084, 0.167, 0.25)]
    assert at[1] / at[0] == pytest.approx(2, rel=0.2)
    assert at[2] / at[0] == pytest.approx(3, rel=0.25)
    assert spectrum[0, 0] < 0.5 * at[0]
    # the kernel rolls off: less than the ramp's share at the highest frequencies
    assert spectrum[radius > 0.6].mean() < 0.6 * at[0] * 0.65 / 0.084


def test_noise_streaks_along_the_width_of_a_wide_body():
    def ratio(a, b):
        hu = np.repeat(1000 * ellipse(a, b)[None] - 1000, 60, 0)
        noise = acquire(hu, PIXEL, 3e8, np.random.default_rng(0))
        spectrum, _ = power((noise - noise.mean(0))[:, 20:44, 20:44])
        return spectrum[3:7, 0].mean() / spectrum[0, 3:7].mean()

    assert ratio(135, 135) == pytest.approx(1, abs=0.2)
    assert ratio(175, 100) > 1.5


@pytest.mark.parametrize("size", [32, 64])
def test_soft_tissue_is_as_noisy_as_in_the_clinic(size):
    """4 to 12 HU at pixels of 3 mm, whatever the matrix."""
    noise = []
    for k in range(12):
        p = patients.draw_patient(1, k)
        hu, pixel = draw_anatomy(p, size)[0], p.fov / size
        seen = noise_of(hu, pixel, p.photons, k)
        noise.append(seen[(hu > 20) & (hu < 120)].std() * (pixel / 3) ** 1.5)
    assert min(noise) > 3
    assert max(noise) < 13
    assert 4.5 < np.median(noise) < 8


def test_the_number_of_workers_changes_nothing():
    one, four = (generate(60, size=32, seed=2, workers=k) for k in (1, 4))
    part = generate(23, size=32, seed=2, workers=3)
    for name in ("images", "hu", "labels", "masks", "classes", "patients", "z", "windows"):
        assert np.array_equal(getattr(one, name), getattr(four, name)), name
        assert np.array_equal(getattr(part, name), getattr(one, name)[:23]), name


def test_an_error_in_progress_stops_the_work():
    calls = []

    def stop(done, total):
        calls.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate(400, size=32, progress=stop, workers=2)
    assert len(calls) == 1


@pytest.mark.real_data
def test_images_are_as_sharp_as_real_ones(real_folder):
    """Mean radial power spectra within 3 dB, up to half the Nyquist frequency."""
    paths = sorted(path for path in real_folder.rglob("*") if path.suffix in (".jpg", ".png"))[::20]
    opened = (Image.open(path).convert("L").resize((128, 128), Image.Resampling.BOX) for path in paths)
    spectra = []
    for images in (np.stack([np.asarray(image) for image in opened]), generate(200, 128, seed=0).images):
        spectrum, radius = power(images.astype(np.float32) / 255)
        edges = np.arange(0, 0.26, 1 / 64)
        spectra.append([spectrum[(radius > a) & (radius <= b)].mean() for a, b in zip(edges, edges[1:])])
    assert np.abs(10 * np.log10(np.divide(*spectra))).max() < 3
