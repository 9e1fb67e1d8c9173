def _mt_make_warnings():
    import sys

    def warn(message, category=None, stacklevel=1):
        print('UserWarning: ' + str(message), file=sys.stderr)

    def ignore(*args, **options):
        return None
    return _mt_Module('warnings', {'warn': warn, 'filterwarnings': ignore, 'simplefilter': ignore})


_mt_mod_warnings = _mt_make_warnings()
