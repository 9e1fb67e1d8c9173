def _mt_make_enum():
    def unique(cls):
        return cls
    return _mt_Module('enum', {'Enum': _mt_Enum, 'IntEnum': _mt_IntEnum, 'StrEnum': _mt_StrEnum, 'auto': _mt_auto,
                               'unique': unique, 'EnumMeta': _mt_EnumType})


_mt_mod_enum = _mt_make_enum()
