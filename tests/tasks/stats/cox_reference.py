"""Cox's model on one table, written out from the definitions: slow loops that share nothing with the product."""

from __future__ import annotations

import itertools

import numpy as np


class OneTable:
    """Fit, residuals, tests and pairs of one table. `entry`, `stratum` and `cluster` hold one value a row."""

    def __init__(self, x, time, event, entry=None, stratum=None, cluster=None, ties="efron"):
        self.x, self.time, self.event = np.asarray(x, float), np.asarray(time, float), np.asarray(event, int)
        n = len(self.time)
        self.entry = np.full(n, -np.inf) if entry is None else np.asarray(entry, float)
        self.stratum = np.zeros(n) if stratum is None else np.asarray(stratum)
        self.cluster = np.arange(n) if cluster is None else np.asarray(cluster)
        self.ties = ties
        self.middle = self.x.mean(axis=0)
        self.z = self.x - self.middle
        self.beta = np.zeros(self.x.shape[1])
        self.loglik_null, score, info = self.at(self.beta)
        self.score_test = score @ np.linalg.solve(info, score)
        for _ in range(50):
            step = np.linalg.solve(info, score)
            self.beta = self.beta + step
            self.loglik, score, info = self.at(self.beta)
            if score @ np.linalg.solve(info, score) < 1e-22:
                break
        self.info = info
        self.vcov = np.linalg.inv(info)
        self.se = np.sqrt(np.diag(self.vcov))

    def when(self):
        dead = self.event == 1
        return sorted(set(zip(self.stratum[dead], self.time[dead], strict=True)))

    def moments(self):
        """(stratum, time, those at risk, those with the event)."""
        for stratum, time in self.when():
            here = self.stratum == stratum
            at = np.flatnonzero(here & (self.entry < time) & (self.time >= time))
            dead = np.flatnonzero(here & (self.time == time) & (self.event == 1))
            yield stratum, time, at, dead

    def steps(self, beta):
        """Each event in turn: its moment, the weights of those at risk, the sum of these, their mean and covariance."""
        risk = np.exp(self.z @ beta)
        for stratum, time, at, dead in self.moments():
            for place in range(len(dead)):
                weight = risk[at].copy()
                if self.ties == "efron":
                    weight[np.isin(at, dead)] *= 1 - place / len(dead)
                total = weight.sum()
                mean = weight @ self.z[at] / total
                away = self.z[at] - mean
                yield stratum, time, at, dead, place, weight, total, mean, (away.T * weight) @ away / total

    def at(self, beta):
        q = len(beta)
        loglik, score, info = 0.0, np.zeros(q), np.zeros((q, q))
        for _, _, _, dead, place, _, total, mean, spread in self.steps(beta):
            loglik += self.z[dead[place]] @ beta - np.log(total)
            score += self.z[dead[place]] - mean
            info += spread
        return loglik, score, info

    def residuals(self):
        found = np.zeros_like(self.z)
        for _, _, at, dead, _, weight, total, mean, _ in self.steps(self.beta):
            found[at] -= (weight / total)[:, None] * (self.z[at] - mean)
            found[dead] += (self.z[dead] - mean) / len(dead)
        return found

    def robust(self):
        moves = self.residuals() @ self.vcov
        sums = np.array([moves[self.cluster == c].sum(axis=0) for c in np.unique(self.cluster)])
        return sums.T @ sums

    def survival_before(self, time):
        """Kaplan-Meier over all strata, just before a time."""
        left = 1.0
        for t in np.unique(self.time[self.event == 1]):
            if t < time:
                left *= (
                    1
                    - ((self.time == t) & (self.event == 1)).sum()
                    / ((self.entry < t) & (self.time >= t)).sum()
                )
        return left

    def ph_test(self, terms, transform="km"):
        """{term: (statistic, df)}: score tests of columns times a function of time; `terms` gives places by name."""
        q = len(self.beta)
        score, info = np.zeros(2 * q), np.zeros((2 * q, 2 * q))
        for _, time, _, dead, place, _, _, mean, spread in self.steps(self.beta):
            g = 1 - self.survival_before(time) if transform == "km" else time - self.time.mean()
            score += np.concatenate([np.zeros(q), g * (self.z[dead[place]] - mean)])
            info += np.kron([[1, g], [g, g * g]], spread)
        found = {}
        for name, places in {**terms, "GLOBAL": list(range(q))}.items():
            part = [*range(q), *(q + p for p in places)]
            u = np.where(np.isin(part, range(q)), 0.0, score[part])
            found[name] = (u @ np.linalg.solve(info[np.ix_(part, part)], u), len(places))
        return found

    def baseline(self):
        """{stratum: [(time, cumulative hazard where the columns are 0)]}."""
        found = {}
        for stratum, time, _, _, _, _, total, _, _ in self.steps(self.beta):
            rows = found.setdefault(stratum, [])
            rise = np.exp(-self.middle @ self.beta) / total
            before = rows[-1][1] if rows else 0.0
            if rows and rows[-1][0] == time:
                rows.pop()
            rows.append((time, before + rise))
        return found

    def concordance(self):
        """The share, its error by the infinitesimal jackknife, by cluster, and the number of pairs."""
        _, distinct = np.unique(self.x, axis=0, return_inverse=True)
        values = np.array([self.x[distinct == d][0] @ self.beta for d in range(distinct.max() + 1)])
        score = values[distinct]
        good, taken = np.zeros(len(score)), np.zeros(len(score))
        share = pairs = 0.0
        for i, j in itertools.permutations(range(len(score)), 2):
            if not self.event[i] or self.stratum[i] != self.stratum[j]:
                continue
            after = self.time[j] > self.time[i] or (self.time[j] == self.time[i] and not self.event[j])
            if not after or not self.entry[j] < self.time[i]:
                continue
            value = 0.5 if score[i] == score[j] else float(score[i] > score[j])
            share, pairs = share + value, pairs + 1
            good[[i, j]] += value
            taken[[i, j]] += 1
        share /= pairs
        moves = (good - share * taken) / pairs
        sums = np.array([moves[self.cluster == c].sum() for c in np.unique(self.cluster)])
        return share, np.sqrt((sums**2).sum()), pairs
