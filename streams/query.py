"""A query: one indicator's expressions, as a Meter takes them. What a budget comes to on this side of the house."""

import msgspec


class Query(msgspec.Struct, frozen=True):
    """One indicator to be measured at every step.

    id: `service/name`. Every element of the result is a point: its labels, without the metric name, are appended to
        the id (`streams.frame.point_id`); a scalar or an element without labels is the id itself.
    expr: PromQL.
    weight_expr: PromQL that counts the events behind the value; its element with the same labels belongs to the
        point. None = not known.
    """

    id: str
    expr: str
    weight_expr: str | None = None
