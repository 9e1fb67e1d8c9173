def _mt_make_zoneinfo():
    import datetime

    def ZoneInfo(key):
        if key in ('UTC', 'Etc/UTC', 'GMT', 'Etc/GMT'):
            return datetime.timezone.utc
        raise NotImplementedError('only the zone UTC is known here: use datetime.timezone with a fixed offset')
    return _mt_Module('zoneinfo', {'ZoneInfo': ZoneInfo})


_mt_mod_zoneinfo = _mt_make_zoneinfo()
