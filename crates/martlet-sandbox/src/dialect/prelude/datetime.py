def _mt_make_datetime():
    import datetime
    return _mt_Module('datetime', {'UTC': datetime.timezone.utc})


_mt_mod_datetime = _mt_make_datetime()
