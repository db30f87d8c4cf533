"""dominance_quantile_sort: rows in ascending order, -0 before +0, NaN last, equal values in their order; with tau the
element ceil(tau N) - 1 of each (Hyndman, Fan 1996, type 1)."""
import math

DEFAULTS = {"num_rows": None, "num_levels": None, "num_taus": None, "ld_values": 0, "ld_sorted": 0, "tau": None}


def order(x):
    return (1, 0.0, 0.0) if math.isnan(x) else (0, x, math.copysign(1.0, x))


def results(case):
    tau, values, index = case.options(DEFAULTS, {})["tau"], [], []
    for row in case.inputs["values"].rows():
        places = sorted(range(len(row)), key=lambda i: order(row[i]))
        if tau:
            places = [places[math.ceil(t * len(row)) - 1] for t in tau]  # the product rounded to binary64
        index += places
        values += [row[i] for i in places]
    return {"sorted": values, "index": index}
