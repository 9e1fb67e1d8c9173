def _mt_make_numbers():
    return _mt_Module('numbers', {'Number': (int, float, complex), 'Complex': (int, float, complex),
                                  'Real': (int, float), 'Rational': int, 'Integral': int})


_mt_mod_numbers = _mt_make_numbers()
