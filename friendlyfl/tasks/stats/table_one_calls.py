"""Table 1 of one file in R and in Python, as text: with base R and pandas alone, so that it runs anywhere.

Words only. What does not live here: the federated table (table_one).
"""

from __future__ import annotations

from collections.abc import Sequence

from friendlyfl.tasks.stats import wording

CHANCES = "0.05, 0.25, 0.5, 0.75, 0.95"
DESCRIBE = (
    "describe <- function(x) { y <- x[!is.na(x)]; m <- mean(y); "
    "c(n = length(y), missing = sum(is.na(x)), mean = m, sd = sd(y), "
    f"skewness = mean((y - m)^3) / mean((y - m)^2)^1.5, quantile(y, c({CHANCES}))) }}"
)
SMD = (
    "smd <- function(x, g) { k <- !is.na(x) & !is.na(g); x <- x[k]; g <- factor(g[k]); "
    "if (!is.factor(x)) return(-diff(tapply(x, g, mean))[[1]] / sqrt(mean(tapply(x, g, var)))); "
    "p <- prop.table(table(g, droplevels(x)), 1)[, -1, drop = FALSE]; "
    "s <- (diag(p[1, ], ncol(p)) - p[1, ] %o% p[1, ] + diag(p[2, ], ncol(p)) - p[2, ] %o% p[2, ]) / 2; "
    "sqrt(drop((p[1, ] - p[2, ]) %*% solve(s, p[1, ] - p[2, ]))) }"
)


def calls(
    numbers: Sequence[str], dates: Sequence[str], factors: Sequence[str], group: str | None
) -> dict[str, str]:
    """Moments and quantiles of numbers, counts of levels, and standardised differences of two groups."""
    return {
        "r": "; ".join(_r(numbers, dates, factors, group)),
        "python": "; ".join(_python(numbers, dates, factors, group)),
    }


def _r(numbers: Sequence[str], dates: Sequence[str], factors: Sequence[str], group: str | None) -> list[str]:
    said = [f"d${wording.r_name(name)} <- as.numeric(as.Date(d${wording.r_name(name)}))" for name in dates]
    said.append("groups <- list(all = d)")
    if group:
        said.append(f"groups <- c(groups, split(d, addNA(factor(d${wording.r_name(group)}), ifany = TRUE)))")
    if numbers:
        said += [DESCRIBE, f"lapply(groups, function(d) t(sapply(d[{_c(numbers)}], describe)))"]
    if factors:
        said.append(f'lapply(groups, function(d) lapply(d[{_c(factors)}], table, useNA = "ifany"))')
    if group:
        found = f"d${wording.r_name(group)}"
        both = (
            f"if (length(unique(na.omit({found}))) == 2) sapply(d[{_c([*numbers, *factors])}], smd, {found})"
        )
        said += [SMD, both]
    return said


def _python(
    numbers: Sequence[str], dates: Sequence[str], factors: Sequence[str], group: str | None
) -> list[str]:
    said = [
        f"d[{name!r}] = (pandas.to_datetime(d[{name!r}]) - pandas.Timestamp(0)).dt.days" for name in dates
    ]
    said.append("groups = {'all': d}")
    if group:
        said.append(f"groups |= {{k: d[d[{group!r}] == k] for k in sorted(d[{group!r}].dropna().unique())}}")
        said.append(f"groups |= {{'(missing)': d[d[{group!r}].isna()]}}")
    if numbers:
        table = f"g[{list(numbers)!r}].describe(percentiles=[{CHANCES}]).T.to_string()"
        said.append(
            f"'\\n'.join(f'{{name}}\\n{{t}}' for name, t in ((k, {table}) for k, g in groups.items()))"
        )
        skew = f"{{x: float(scipy.stats.skew(g[x].dropna())) for x in {list(numbers)!r}}}"
        said.append(f"{{k: {skew} for k, g in groups.items() if len(g)}}  # skewness")
    for name in factors:
        said.append(f"{{k: g[{name!r}].value_counts(dropna=False).to_dict() for k, g in groups.items()}}")
    return said


def _c(names: Sequence[str]) -> str:
    return f"c({', '.join(map(wording.quoted, names))})"
