# A plain value can be awaited: a tool's call may have given its result already.
async def _mt_value_later(value):
    return value


_mt_plain_types = (str, int, float, bool, list, dict, tuple, set, bytes, type(None))


def _mt_awaitable(x):
    if type(x) in _mt_plain_types:
        return _mt_value_later(x)
    return x


def _mt_awaitables(items):
    return [_mt_awaitable(x) for x in items]
