"""Labels: encoded for the networks, counted, and chosen from what occurs."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mammogan.config.label_fields import UNKNOWN
from mammogan.config.loss_settings import Supervision
from mammogan.train.label_encoding import LabelTable, numbers_of, one_hot

SEEN = np.array([[0, 2], [0, 2], [0, 2], [0, 1], [1, 1], [1, UNKNOWN], [1, 3], [1, 3]])
"""View and density of eight images."""


def shares(count=1000):
    """Spread uniform numbers evenly, so that every share is met exactly."""
    return (torch.arange(count) + 0.5) / count


def picked(wanted, count=1000):
    rows, counts = np.unique(
        LabelTable.of(SEEN).pick(wanted, shares(count)).numpy(), axis=0, return_counts=True
    )
    return dict(zip(map(tuple, rows.tolist()), counts.tolist(), strict=True))


def test_fields_stand_side_by_side_and_what_is_unknown_is_nought():
    labels = torch.tensor([[0, 3], [1, UNKNOWN], [UNKNOWN, 0]])
    assert one_hot(labels, (2, 4)).tolist() == [[1, 0, 0, 0, 0, 1], [0, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0]]
    assert one_hot(labels, (2, 4)).dtype == torch.float32


def test_without_classes_there_is_nothing_to_tell():
    assert one_hot(torch.zeros(3, 1, dtype=torch.int64), ()).shape == (3, 0)


def test_a_class_that_no_field_has_is_an_error():
    with pytest.raises(RuntimeError, match="smaller than num_classes"):
        one_hot(torch.tensor([[2]]), (2,))


def test_classes_of_a_rung_are_taken_field_by_field():
    reader = SimpleNamespace(classes={"view": np.array([0, 1]), "density": np.array([3, UNKNOWN])}.get)
    assert numbers_of(reader, Supervision(fields=("density", "view"))).tolist() == [[3, 0], [UNKNOWN, 1]]


def test_labels_are_drawn_as_often_as_they_occur():
    assert picked({}) == {(0, 1): 125, (0, 2): 375, (1, UNKNOWN): 125, (1, 1): 125, (1, 3): 250}


def test_who_wants_a_view_gets_the_rest_as_it_occurs_with_that_view():
    assert picked({0: 0}) == {(0, 1): 250, (0, 2): 750}
    assert picked({0: 1}) == {(1, UNKNOWN): 250, (1, 1): 250, (1, 3): 500}
    assert picked({1: 1}) == {(0, 1): 500, (1, 1): 500}
    assert picked({0: 1, 1: 3}) == {(1, 3): 1000}


def test_what_never_occurs_together_is_given_all_the_same_and_nothing_else_is_told():
    assert picked({0: 0, 1: 3}) == {(0, 3): 1000}
    assert picked({0: 7}) == {(7, UNKNOWN): 1000}


def test_the_ends_of_the_interval_are_labels_too():
    table, ends = LabelTable.of(SEEN), torch.tensor([0.0, 0.125, 1.0 - 2**-24, 1.0])
    assert table.pick({}, ends).tolist() == [[0, 1], [0, 2], [1, 3], [1, 3]]


def test_a_table_that_was_saved_is_the_same():
    table = LabelTable.of(SEEN)
    again = LabelTable.load(table.tensors())
    assert torch.equal(again.combinations_KF, table.combinations_KF)
    assert torch.equal(again.counts_K, table.counts_K)
    assert table.counts_K.sum() == len(SEEN)
