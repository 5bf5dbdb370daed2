"""Encoders of embeddings: PCA, PQ, hashes, grids, VLAD, scaling (cases 14.7)."""

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from indexstore.codes import FIRST_BUCKET
from workers.component import Chunk, Encoder, Trainable
from workers.encode.hash_bits import HashBits
from workers.encode.pca import PCA, PCALocal, balanced_permutation
from workers.encode.pq import PQ
from workers.encode.quantizer import Quantizer
from workers.encode.scaling import Binarizer, Normalizer, Standardizer
from workers.encode.transform import TrainedTransform
from workers.encode.vlad import VLAD
from workers.errors import ContentError, OptionError, TrainingError
from workers.registry import create
from workers.testing import EncoderContract, TrainableContract, vectors

RANDOM = np.random.default_rng(7)
ROWS = RANDOM.normal(size=(400, 32)).astype(np.float32) * np.linspace(3, 0.1, 32, dtype=np.float32)

LEARNERS: dict[str, dict[str, Any]] = {
    "PCA": {"dim": 6, "whiten": True},
    "PCALocal": {"dim": 8, "num_locals": 2},
    "PQ": {"num_bytes": 4, "clusters": 16},
    "HashBits": {"num_bytes": 4, "clusters": 8, "num_idx": 2},
    "Standardizer": {},
}


def learner(name: str) -> TrainedTransform:
    """Create one of the components that learn."""
    found = create(name, LEARNERS[name], kind=Encoder)
    assert isinstance(found, TrainedTransform)
    return found


def trained(component: TrainedTransform, rows: NDArray[np.float32] = ROWS) -> TrainedTransform:
    """Train a component on rows."""
    component.learn(rows)
    return component


@pytest.mark.parametrize("name", LEARNERS)
class TestLearnersLearn(TrainableContract):
    """What learns keeps the contract of learning."""

    @pytest.fixture
    def untrained(self, name: str) -> Encoder:
        """One that has learnt nothing."""
        return learner(name)

    @pytest.fixture
    def another(self, name: str) -> Encoder:
        """Another of the same options."""
        return learner(name)

    @pytest.fixture
    def training(self, name: str) -> list[Chunk]:
        """Rows to learn from."""
        assert name
        return vectors(ROWS)


@pytest.mark.parametrize("name", LEARNERS)
class TestLearnersEncode(EncoderContract):
    """What has learnt keeps the contract of encoders."""

    is_unit = False

    @pytest.fixture
    def encoder(self, name: str) -> Encoder:
        """A trained one."""
        return trained(learner(name))

    @pytest.fixture
    def samples(self, name: str) -> list[Chunk]:
        """Rows to encode."""
        assert name
        return vectors(ROWS[:20])


def test_pca_keeps_the_directions_of_most_variance() -> None:
    """As many components explain as much variance as numpy's SVD says is possible."""
    rows = trained(PCA(dim=5)).transform(ROWS)

    best = np.linalg.svd(ROWS - ROWS.mean(axis=0), compute_uv=False)[:5] ** 2
    np.testing.assert_allclose((rows**2).sum(axis=0), best, rtol=1e-3)


def test_pca_whitened_has_unit_variance() -> None:
    """Whitening gives every component variance 1."""
    rows = trained(PCA(dim=5, whiten=True)).transform(ROWS)

    assert rows.std(axis=0) == pytest.approx(1.0, abs=0.01)


def test_pca_takes_1024_dimensions_to_300() -> None:
    """1000 rows of 1024 dimensions become 300 (14.7), the same after a reload."""
    rows = RANDOM.normal(size=(1000, 1024)).astype(np.float32)
    pca, again = PCA(dim=300), PCA(dim=300)
    pca.learn(rows)
    again.load_state(pca.state())

    assert pca.transform(rows).shape == (1000, 300)
    np.testing.assert_array_equal(pca.transform(rows), again.transform(rows))


@pytest.mark.parametrize(("dim", "shape"), [(100, (200, 100)), (8, (7, 100))])
def test_pca_refuses_what_it_cannot_learn(dim: int, shape: tuple[int, int]) -> None:
    """No fewer dimensions than before, or fewer rows than dimensions: a clear refusal (14.7)."""
    with pytest.raises(TrainingError, match="cannot be trained"):
        trained(PCA(dim=dim), RANDOM.normal(size=shape).astype(np.float32))


@pytest.mark.parametrize(("dim", "num_locals"), [(8, 3), (2, 3), (4, 0)])
def test_pca_local_refuses_groups_that_do_not_divide(dim: int, num_locals: int) -> None:
    """The dimension is a multiple of the groups (14.7)."""
    with pytest.raises(OptionError):
        create("PCALocal", {"dim": dim, "num_locals": num_locals}, kind=Encoder)


def test_pca_local_is_pca_in_another_order() -> None:
    """(8, 2) on 1000 rows gives [1000, 8], groups of like variance (14.7)."""
    rows = RANDOM.normal(size=(1000, 20)).astype(np.float32) * np.arange(20, 0, -1)

    local = trained(PCALocal(dim=8, num_locals=2), rows).transform(rows)

    first, second = local[:, :4].var(axis=0).sum(), local[:, 4:].var(axis=0).sum()
    assert local.shape == (1000, 8)
    assert first == pytest.approx(second, rel=0.1)
    plain = trained(PCA(dim=8), rows).transform(rows)
    np.testing.assert_allclose(np.sort(local.var(axis=0)), np.sort(plain.var(axis=0)), rtol=1e-4)


def test_a_balanced_permutation_deals_out_in_pairs() -> None:
    """5, 4, 3, 2, 1, 0 pairs largest with smallest: 0,5 1,4 2,3 (14.7)."""
    assert balanced_permutation(np.array([5.0, 4, 3, 2, 1, 0]), 3).tolist() == [0, 5, 1, 4, 2, 3]


@pytest.mark.parametrize("groups", [2, 3])
def test_balanced_groups_have_equal_sums(groups: int) -> None:
    """Where equal sums exist they are found (14.7)."""
    values = np.repeat(np.arange(6.0), groups)

    parts = np.split(values[balanced_permutation(values, groups)], groups)

    assert len({part.sum() for part in parts}) == 1


def test_pq_tells_the_nearest_centroid_of_each_part() -> None:
    """Codes count from 1, the first byte for the first dimensions (14.7)."""
    pq = PQ(num_bytes=2, clusters=3)
    centroids = [[[0, 0], [1, 1], [5, 5]], [[0, 0], [2, 2], [9, 9]]]
    pq.load_state({"centroids": np.array(centroids, np.float32)})

    assert pq.transform(np.array([[0.2, 0.1, 8, 8]], np.float32)).tolist() == [[1, 3]]


@pytest.mark.parametrize("clusters", [0, 1, 256])
def test_pq_refuses_clusters_that_no_byte_holds(clusters: int) -> None:
    """Two clusters at least, 255 at most (14.7)."""
    with pytest.raises(OptionError, match=r"2\.\.255"):
        create("PQ", {"num_bytes": 8, "clusters": clusters}, kind=Encoder)


def test_pq_refuses_dimensions_that_cannot_be_cut() -> None:
    """100 dimensions make no 8 parts; 100 make 10, bytes 1..16 (14.7)."""
    rows = RANDOM.normal(size=(1000, 100)).astype(np.float32)
    with pytest.raises(TrainingError, match="100 dimensions cannot be cut into 8"):
        trained(PQ(num_bytes=8), rows)

    codes = trained(PQ(num_bytes=10, clusters=16), rows).transform(rows)

    assert (codes.dtype.name, codes.shape) == ("uint8", (1000, 10))
    assert (codes.min(), codes.max()) == (1, 16)


def test_pq_needs_as_many_rows_as_clusters() -> None:
    """Too few documents to learn from: the error says how many are needed."""
    with pytest.raises(TrainingError, match="5 rows are fewer than 255 clusters"):
        trained(PQ(num_bytes=4), ROWS[:5])


@pytest.mark.parametrize("method", ["product_uniform", "uniform", "ortho_uniform"])
def test_hash_gives_clusters_and_bytes(method: str) -> None:
    """16 bytes and 2 clusterings on [1000, 128] give uint32 [1000, 18] (14.7).

    Clusters are numbered from 256 on, so that a row itself tells them from its bytes.
    """
    rows = RANDOM.normal(size=(1000, 128)).astype(np.float32)
    options = {"num_bytes": 16, "num_idx": 2, "clusters": 10, "method": method}
    encoder = create("HashEncoder", options, kind=Encoder)
    assert isinstance(encoder, HashBits)

    codes = trained(encoder, rows).transform(rows)

    assert (codes.dtype.name, codes.shape, encoder.dim) == ("uint32", (1000, 18), 18)
    assert codes[:, :2].min() >= FIRST_BUCKET
    assert codes[:, :2].max() < FIRST_BUCKET + 10
    assert 200 < codes[:, 2:].max() < 256


def test_hash_bits_of_near_vectors_agree() -> None:
    """Vectors that differ little share most bits; opposite ones share few."""
    encoder = trained(HashBits(num_bytes=16, num_idx=1, clusters=4), ROWS)
    near = encoder.transform(np.stack([ROWS[0], ROWS[0] * 1.01, -ROWS[0]]))[:, 1:].astype(np.uint8)
    differing = [np.unpackbits(near[0] ^ other).sum() for other in near[1:]]

    assert differing[0] < 8
    assert differing[1] > 100


def quantizer(**options: Any) -> Quantizer:
    """The grid of GNES's example: two dimensions a byte, four cells, -10..10."""
    bounds = {"upper_bound": 10.0, "lower_bound": -10.0}
    return Quantizer(**{"dim_per_byte": 2, "clusters": 4, **bounds, **options})


def test_the_quantizers_cells_lie_evenly() -> None:
    """Four cells of two dimensions have their middles at +-3.3333 (14.7)."""
    corners = list(itertools.product([-10 / 3, 10 / 3], repeat=2))

    np.testing.assert_allclose(quantizer().centroids, corners)


@pytest.mark.parametrize(("row", "codes"), [([-9, -9, 9, 9], [1, 4]), ([-9, 9, 9, -9], [2, 3])])
def test_the_quantizer_numbers_cells_from_one(row: list[float], codes: list[int]) -> None:
    """Each pair of dimensions becomes the number of its corner (14.7)."""
    assert quantizer().transform(np.array([row], np.float32)).tolist() == [codes]


@pytest.mark.parametrize("method", ["average", "random"])
def test_the_quantizer_makes_one_byte_of_ten_dimensions(method: str) -> None:
    """160 dimensions by tens are 16 bytes, in at most 255 cells (14.7)."""
    grid = quantizer(dim_per_byte=10, clusters=255, partition_method=method)

    codes = grid.transform(RANDOM.uniform(-9, 9, (50, 160)))

    assert (codes.shape, codes.dtype.name) == ((50, 16), "uint8")
    assert codes.min() >= 1
    assert 128 <= codes.max() == len(grid.centroids) <= 255


def test_the_quantizer_refuses_bounds_that_do_not_suit() -> None:
    """Data outside of the bounds, or bounds far wider than the data, are told (14.7)."""
    with pytest.raises(ContentError, match=r"-11\.\.0 lie outside of -10\.\.10"):
        quantizer().transform(np.array([[-11, 0]]))
    with pytest.raises(TrainingError, match="wider than the data"):
        trained(quantizer(), np.array([[0, 0.1]], np.float32))
    with pytest.raises(OptionError, match="not above"):
        create("Quantizer", {"dim_per_byte": 2, "upper_bound": -1, "lower_bound": 1}, kind=Encoder)


def test_vlad_sums_what_is_left_over_the_nearest_centroid() -> None:
    """Residuals go to the nearest centroid (GNES took the farthest), the row has length 1."""
    vlad = VLAD(num_clusters=2)
    vlad.load_state({"centroids": np.array([[0, 0], [10, 0]], np.float32)})

    row = vlad.transform(np.array([[[1, 0], [0, 2], [10, 2]]], np.float32))

    np.testing.assert_allclose(row, np.array([[1, 2, 0, 2]]) / 3, atol=1e-6)


def test_vlad_of_twenty_clusters() -> None:
    """[2, 2, 128] gives [2, 2560] of unit length (14.7)."""
    frames = RANDOM.normal(size=(40, 2, 128)).astype(np.float32)
    vlad = trained(VLAD(num_clusters=20), frames)

    rows = vlad.transform(frames[:2])

    assert rows.shape == (2, 2560)
    assert vlad.dim == 2560
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0)


def test_vlad_takes_chunks_of_different_numbers_of_frames() -> None:
    """Padding counts nothing: a short film alone is what it is beside a long one."""
    vlad = trained(VLAD(num_clusters=3), RANDOM.normal(size=(30, 4, 8)).astype(np.float32))
    long, short = (RANDOM.normal(size=(length, 8)).astype(np.float32) for length in (5, 2))

    both = vlad.encode([Chunk(0, array=long), Chunk(1, array=short)])

    np.testing.assert_allclose(both[1], vlad.encode([Chunk(0, array=short)])[0], atol=1e-6)


def test_the_standardizer_makes_mean_zero_and_deviation_one() -> None:
    """[[1, 2], [3, 6]] becomes [[-1, -1], [1, 1]] (14.7); a constant dimension becomes 0."""
    rows = np.array([[1, 2, 5], [3, 6, 5]], np.float32)

    assert trained(Standardizer(), rows).transform(rows).tolist() == [[-1, -1, 0], [1, 1, 0]]


def test_the_normalizer_makes_length_one() -> None:
    """[3, 4] points where [0.6, 0.8] does; zeros get some direction."""
    rows = Normalizer().transform(np.array([[3, 4], [0, 0]], np.float32))

    assert rows.tolist() == [pytest.approx([0.6, 0.8]), [1, 0]]


def test_the_binarizer_packs_signs() -> None:
    """Eight dimensions become one byte, the first the highest bit."""
    row = np.array([[1, -1, 1, -1, 0, 0, 0, 2, 3]], np.float32)

    assert Binarizer().transform(row).tolist() == [[0b10100001, 0b10000000]]


def test_vectors_of_another_width_than_learnt_are_a_content_error() -> None:
    """Dimensions that do not fit are told with both numbers."""
    for name in LEARNERS:
        with pytest.raises(ContentError, match="32 dimensions, not 8"):
            trained(learner(name)).encode(vectors(ROWS[:2, :8]))


def test_nothing_to_learn_from_is_refused() -> None:
    """Training on no documents says so."""
    for name in LEARNERS:
        component = learner(name)
        assert isinstance(component, Trainable)
        with pytest.raises(TrainingError, match="nothing to learn from"):
            component.train([])
