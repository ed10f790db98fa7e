"""Erlang-C and Erlang-A: closed forms, linear solves of the chain, laws of queues."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import poisson

from headset.core.errors import InvalidInput
from headset.stats.erlang import erlang_a, erlang_c

rates = st.floats(0.01, 100)
crews = st.integers(1, 60)
loads = st.floats(0.05, 0.98)


@given(service_rate=rates, load=loads)
def test_one_server_has_a_closed_form(service_rate, load):
    figures = erlang_c(arrival_rate=load * service_rate, service_rate=service_rate, servers=1)
    assert figures.waiting_probability == pytest.approx(load)
    assert figures.mean_wait == pytest.approx(load / (1 - load) / service_rate)


def test_two_servers_have_a_closed_form():
    figures = erlang_c(arrival_rate=1.5, service_rate=1, servers=2)
    assert figures.waiting_probability == pytest.approx(2 * 0.75**2 / 1.75)


@pytest.mark.parametrize(
    ("load", "servers", "patience_rate"), [(0.7, 1, 0), (2.1, 3, 0), (4, 6, 0), (0.9, 1, 0.4), (4, 3, 2), (9, 10, 0.2)]
)
def test_the_stationary_distribution_of_the_chain_gives_the_same_figures(load, servers, patience_rate):
    rate, longest = 2 * load, 400
    present = np.arange(servers + longest)
    busy, queue = np.minimum(present, servers), np.maximum(present - servers, 0)
    leaving = 2 * busy + patience_rate * queue
    flow = np.diag(np.full(len(present) - 1, rate), 1) + np.diag(leaving[1:], -1)
    flow -= np.diag(flow.sum(axis=1))
    share = np.linalg.solve(np.vstack([flow.T[:-1], np.ones(len(present))]), np.eye(len(present))[-1])

    rates_given = {"arrival_rate": rate, "service_rate": 2, "servers": servers}
    figures = erlang_a(**rates_given, patience_rate=patience_rate) if patience_rate else erlang_c(**rates_given)
    assert figures.waiting_probability == pytest.approx(share[servers:].sum())
    assert figures.mean_wait == pytest.approx(share @ queue / rate)
    assert figures.abandonment == pytest.approx(1 - 2 * (share @ busy) / rate, abs=1e-12)

    # One more contact, followed to the front of the queue: in state k, k others wait before it.
    ahead = np.arange(longest)
    passing = 2 * servers + patience_rate * ahead
    staying = np.diag(passing + patience_rate) - np.diag(passing[1:], -1)
    answered = np.linalg.solve(staying, np.where(ahead == 0, passing, 0))
    waited = np.linalg.solve(staying, answered)
    served_wait = share[servers:] @ waited / (share[:servers].sum() + share[servers:] @ answered)
    assert figures.served_wait == pytest.approx(served_wait)


@given(rate=rates, service_rate=rates, servers=crews)
def test_patience_as_long_as_service_leaves_a_poisson_number_present(rate, service_rate, servers):
    load = rate / service_rate
    figures = erlang_a(arrival_rate=rate, service_rate=service_rate, servers=servers, patience_rate=service_rate)
    assert figures.waiting_probability == pytest.approx(poisson.sf(servers - 1, load), rel=1e-9, abs=1e-250)
    queue = poisson.sf(np.arange(servers, servers + int(load) + 1_000), load).sum()
    assert figures.abandonment == pytest.approx(queue / load, rel=1e-9, abs=1e-250)


@given(service_rate=rates, load=loads, servers=crews)
def test_endless_patience_is_erlang_c(service_rate, load, servers):
    given_rates = {"arrival_rate": load * servers * service_rate, "service_rate": service_rate, "servers": servers}
    patient, endless = erlang_a(**given_rates, patience_rate=1e-9 * service_rate), erlang_c(**given_rates)
    assert patient.waiting_probability == pytest.approx(endless.waiting_probability, rel=1e-4)
    assert patient.mean_wait == pytest.approx(endless.mean_wait, rel=1e-4)
    assert patient.served_wait == pytest.approx(endless.served_wait, rel=1e-4)


@given(load=st.floats(0.05, 3), servers=crews, patience_rate=st.floats(0.01, 50))
def test_whoever_leaves_was_served_or_gave_up(load, servers, patience_rate):
    figures = erlang_a(arrival_rate=load * servers, service_rate=1, servers=servers, patience_rate=patience_rate)
    assert figures.abandonment == pytest.approx(patience_rate * figures.mean_wait)  # Little's law of the queue
    assert max(0, 1 - 1 / load) <= figures.abandonment * (1 + 1e-9) <= figures.waiting_probability * (1 + 1e-9)
    assert figures.waiting_probability <= 1


@given(rate=st.floats(0.05, 50), servers=crews, patience_rate=st.floats(0.01, 50))
def test_another_server_makes_nothing_worse(rate, servers, patience_rate):
    fewer, more = (
        erlang_a(arrival_rate=rate, service_rate=1, servers=count, patience_rate=patience_rate)
        for count in (servers, servers + 1)
    )
    rounding = 1 + 1e-9
    assert more.waiting_probability <= fewer.waiting_probability * rounding
    assert more.mean_wait <= fewer.mean_wait * rounding
    assert more.abandonment <= fewer.abandonment * rounding


@given(load=loads, servers=crews, speed=rates)
def test_figures_do_not_depend_on_the_unit_of_time(load, servers, speed):
    slow, fast = (
        erlang_a(arrival_rate=load * servers * unit, service_rate=unit, servers=servers, patience_rate=unit / 3)
        for unit in (1, speed)
    )
    assert fast.waiting_probability == pytest.approx(slow.waiting_probability)
    assert fast.abandonment == pytest.approx(slow.abandonment)
    assert fast.mean_wait * speed == pytest.approx(slow.mean_wait)
    assert fast.served_wait * speed == pytest.approx(slow.served_wait)


@pytest.mark.parametrize("load", [1_200, 1_900, 1_999])
def test_2000_servers_agree_with_sums_of_logarithms(load):
    blocked = np.exp(poisson.logpmf(2_000, load) - poisson.logcdf(2_000, load))
    waiting = blocked / (1 - load / 2_000 * (1 - blocked))
    figures = erlang_c(arrival_rate=load, service_rate=1, servers=2_000)
    assert figures.waiting_probability == pytest.approx(waiting, rel=1e-9)


@pytest.mark.parametrize(("load", "patience_rate"), [(1_500, 0.5), (2_000, 0.01), (2_500, 0.1), (6_000, 3)])
def test_2000_servers_with_patience_agree_with_sums_of_logarithms(load, patience_rate):
    present = np.arange(1, 60_000)
    leaving = np.minimum(present, 2_000) + patience_rate * np.maximum(present - 2_000, 0)
    weight = np.concatenate([[0], np.cumsum(np.log(load / leaving))])
    share = np.exp(weight - logsumexp(weight))
    figures = erlang_a(arrival_rate=load, service_rate=1, servers=2_000, patience_rate=patience_rate)
    assert figures.waiting_probability == pytest.approx(share[2_000:].sum(), rel=1e-9)
    assert figures.mean_wait == pytest.approx(share[2_000:] @ np.arange(len(share) - 2_000) / load, rel=1e-9)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("arrival_rate", {"arrival_rate": 0}),
        ("arrival_rate", {"arrival_rate": float("nan")}),
        ("service_rate", {"service_rate": -1}),
        ("service_rate", {"service_rate": float("inf")}),
        ("servers", {"servers": 0}),
        ("patience_rate", {"patience_rate": 0}),
    ],
)
def test_what_is_not_positive_is_named(field, change):
    given_rates = {"arrival_rate": 1, "service_rate": 1, "servers": 2, "patience_rate": 1}
    with pytest.raises(InvalidInput, match=f"^{field}: is "):
        erlang_a(**given_rates | change)


def test_a_queue_without_end_is_refused():
    with pytest.raises(InvalidInput, match=r"^arrival_rate: is 4, but 2 servers end only 4: lower it or add servers"):
        erlang_c(arrival_rate=4, service_rate=2, servers=2)


def test_a_queue_of_millions_is_refused(monkeypatch):
    monkeypatch.setattr("headset.stats.erlang._LONGEST_QUEUE", 1_000)
    with pytest.raises(InvalidInput, match=r"^patience_rate: is 1e-06, which lets the queue pass 1,000"):
        erlang_a(arrival_rate=2, service_rate=1, servers=1, patience_rate=1e-6)
